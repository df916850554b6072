-- Compares what rows refer to with what the store holds, and schedules the comparison nightly where SQL Server Agent is present.
-- A payload is stored before its row is committed, so a rollback leaves a payload without a row (harmless); a row without a
-- payload is damage. Nothing is deleted here: the report names what the operator may delete.
SET NOCOUNT ON;
SET XACT_ABORT ON;
GO
CREATE OR ALTER PROCEDURE tensoratom.Reconcile
    @store_alias nvarchar(64),
    @grace_hours int = 72
AS
BEGIN
    SET NOCOUNT ON;
    -- Younger payloads may belong to a transaction that has not committed yet: longer than the longest transaction,
    -- and than the oldest backup that may be restored.
    DECLARE @oldest_us bigint = DATEDIFF_BIG(microsecond, '19700101', DATEADD(hour, -@grace_hours, SYSUTCDATETIME()));

    SELECT N'row without payload' AS finding, r.atom_id, r.payload_bytes AS row_bytes, CAST(NULL AS bigint) AS store_bytes
    FROM tensoratom.PayloadReference AS r
    LEFT JOIN dbo.clr_ListAtoms(@store_alias, N'') AS s ON s.atom_id = r.atom_id
    WHERE r.store_alias = @store_alias AND s.atom_id IS NULL
    UNION ALL
    SELECT N'size differs', r.atom_id, r.payload_bytes, s.payload_bytes
    FROM tensoratom.PayloadReference AS r
    INNER JOIN dbo.clr_ListAtoms(@store_alias, N'') AS s ON s.atom_id = r.atom_id
    WHERE r.store_alias = @store_alias AND s.payload_bytes <> r.payload_bytes
    UNION ALL
    SELECT N'payload without row', s.atom_id, CAST(NULL AS bigint), s.payload_bytes
    FROM dbo.clr_ListAtoms(@store_alias, N'') AS s
    LEFT JOIN tensoratom.PayloadReference AS r ON r.store_alias = @store_alias AND r.atom_id = s.atom_id
    WHERE s.atom_id IS NOT NULL AND r.atom_id IS NULL AND s.created_us < @oldest_us
    ORDER BY finding, atom_id;
END;
GO
IF DB_ID(N'msdb') IS NOT NULL AND SERVERPROPERTY('EngineEdition') <> 4
BEGIN
    DECLARE @job nvarchar(128) = CONCAT(N'TensorAtom reconcile ', DB_NAME());
    IF NOT EXISTS (SELECT 1 FROM msdb.dbo.sysjobs WHERE name = @job)
    BEGIN
        DECLARE @database nvarchar(128) = DB_NAME();
        EXEC msdb.dbo.sp_add_job @job_name = @job, @description = N'Rows without payload, payloads without row.';
        EXEC msdb.dbo.sp_add_jobstep @job_name = @job, @step_name = N'compare', @subsystem = N'TSQL',
            @database_name = @database, @command = N'EXEC tensoratom.Reconcile @store_alias = N''default'';';
        EXEC msdb.dbo.sp_add_jobschedule @job_name = @job, @name = N'nightly', @freq_type = 4, @freq_interval = 1,
            @active_start_time = 30000;
        EXEC msdb.dbo.sp_add_jobserver @job_name = @job;
    END;
END;
GO
