-- Compares what rows refer to with what the store holds, and schedules the comparison nightly where SQL Server Agent is present.
-- A payload is stored before its row is committed, so a rollback leaves a payload without a row (harmless); a row without a
-- payload, or with one of another size or hash, is damage. Payloads without rows are collected in two phases, if so asked.
SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
SET NOCOUNT ON;
SET XACT_ABORT ON;
GO
-- Findings as rows. Marks payloads without rows; with @collect = 1 deletes those that an earlier run had marked and that have
-- been without a row for the whole grace period: choose it longer than the longest transaction, and than the age of the
-- oldest backup that may be restored. Collect only where every payload with a number belongs to rows of this database: two
-- databases that share a store need an alias, and a namespace, each. @compare_sha2 = 1 reads every payload through and compares
-- its SHA2_256, too. With @fail_on_damage = 1 it ends with an error when a row has no payload, or another one; the findings are
-- returned all the same.
CREATE OR ALTER PROCEDURE tensoratom.ReconcileStore
    @store_alias nvarchar(64),
    @grace_hours int = 72,
    @collect bit = 0,
    @compare_sha2 bit = 0,
    @fail_on_damage bit = 0
AS
BEGIN
    SET NOCOUNT ON;
    IF @store_alias IS NULL
        THROW 50008, N'TensorAtom: @store_alias must not be NULL: nothing would be compared, and nothing found', 1;
    IF @grace_hours IS NULL OR @grace_hours < 1
        THROW 50002, N'TensorAtom: @grace_hours must be 1 or more: younger payloads may belong to open transactions', 1;
    DECLARE @before_utc datetime2(3) = DATEADD(hour, -@grace_hours, SYSUTCDATETIME());
    DECLARE @before_us bigint = DATEDIFF_BIG(microsecond, '19700101', @before_utc);

    -- Rows first, then the store: what a row refers to was stored before it, so it cannot be missing for being too new.
    CREATE TABLE #live (
        atom_id bigint NOT NULL PRIMARY KEY, payload_bytes bigint NOT NULL, sha2_256 binary(32) NULL, blake3_256 binary(32) NULL
    );
    INSERT INTO #live (atom_id, payload_bytes, sha2_256, blake3_256)
    SELECT r.atom_id, r.payload_bytes, r.sha2_256, r.blake3_256
    FROM tensoratom.PayloadReference AS r
    WHERE r.store_alias = @store_alias;
    -- One commit of the store.
    CREATE TABLE #stored (
        atom_id bigint NOT NULL PRIMARY KEY, payload_bytes bigint NOT NULL, lsn bigint NOT NULL, created_us bigint NOT NULL,
        blake3_256 binary(32) NOT NULL
    );
    INSERT INTO #stored (atom_id, payload_bytes, lsn, created_us, blake3_256)
    SELECT s.atom_id, s.payload_bytes, s.lsn, s.created_us, s.blake3_256
    FROM dbo.clr_ListAtoms(@store_alias, N'') AS s
    WHERE s.atom_id IS NOT NULL;

    CREATE TABLE #finding (finding nvarchar(32) NOT NULL, atom_id bigint NOT NULL, row_bytes bigint NULL, store_bytes bigint NULL);
    INSERT INTO #finding (finding, atom_id, row_bytes, store_bytes)
    SELECT N'row without payload', r.atom_id, r.payload_bytes, NULL
    FROM #live AS r
    LEFT JOIN #stored AS s ON s.atom_id = r.atom_id
    WHERE s.atom_id IS NULL;
    INSERT INTO #finding (finding, atom_id, row_bytes, store_bytes)
    SELECT CASE WHEN s.payload_bytes <> r.payload_bytes THEN N'size differs' ELSE N'hash differs' END,
        r.atom_id, r.payload_bytes, s.payload_bytes
    FROM #live AS r
    INNER JOIN #stored AS s ON s.atom_id = r.atom_id
    WHERE s.payload_bytes <> r.payload_bytes OR s.blake3_256 <> r.blake3_256;
    IF @compare_sha2 = 1
    BEGIN
        -- One after the other: a payload that cannot be read is a finding, not the end of the search for more.
        DECLARE @atom_id bigint = (
            SELECT MIN(r.atom_id) FROM #live AS r INNER JOIN #stored AS s ON s.atom_id = r.atom_id WHERE r.sha2_256 IS NOT NULL);
        WHILE @atom_id IS NOT NULL
        BEGIN
            DECLARE @is_readable bit = 0;
            DECLARE @hash binary(32) = NULL;
            BEGIN TRY
                SET @hash = HASHBYTES('SHA2_256', dbo.clr_GetTensorAtomPayloadFrom(@store_alias, @atom_id));
                SET @is_readable = 1;
            END TRY
            BEGIN CATCH
                PRINT CONCAT(N'TensorAtom: payload ', @atom_id, N' cannot be read: ', ERROR_MESSAGE());
            END CATCH;
            INSERT INTO #finding (finding, atom_id, row_bytes, store_bytes)
            SELECT CASE @is_readable WHEN 1 THEN N'content differs' ELSE N'unreadable' END, r.atom_id, r.payload_bytes, s.payload_bytes
            FROM #live AS r
            INNER JOIN #stored AS s ON s.atom_id = r.atom_id
            WHERE r.atom_id = @atom_id AND (@hash IS NULL OR @hash <> r.sha2_256);
            SET @atom_id = (
                SELECT MIN(r.atom_id) FROM #live AS r INNER JOIN #stored AS s ON s.atom_id = r.atom_id
                WHERE r.sha2_256 IS NOT NULL AND r.atom_id > @atom_id);
        END;
    END;
    INSERT INTO #finding (finding, atom_id, row_bytes, store_bytes)
    SELECT N'payload without row', s.atom_id, NULL, s.payload_bytes
    FROM #stored AS s
    LEFT JOIN #live AS r ON r.atom_id = s.atom_id
    WHERE r.atom_id IS NULL AND s.created_us < @before_us;

    -- A mark holds for one version: it goes when a row came, when the payload went, and when it was replaced.
    DELETE o
    FROM tensoratom.OrphanPayload AS o
    WHERE o.store_alias = @store_alias
        AND NOT EXISTS (SELECT 1 FROM #stored AS s WHERE s.atom_id = o.atom_id AND s.lsn = o.lsn
            AND NOT EXISTS (SELECT 1 FROM #live AS r WHERE r.atom_id = s.atom_id));
    INSERT INTO tensoratom.OrphanPayload (store_alias, atom_id, lsn, payload_bytes)
    SELECT @store_alias, s.atom_id, s.lsn, s.payload_bytes
    FROM #stored AS s
    WHERE NOT EXISTS (SELECT 1 FROM #live AS r WHERE r.atom_id = s.atom_id)
        AND NOT EXISTS (SELECT 1 FROM tensoratom.OrphanPayload AS o WHERE o.store_alias = @store_alias AND o.atom_id = s.atom_id);

    IF @collect = 1
        EXEC tensoratom.CollectOrphans @store_alias = @store_alias, @before_utc = @before_utc;
    SELECT @store_alias AS store_alias, f.finding, f.atom_id, f.row_bytes, f.store_bytes
    FROM #finding AS f
    ORDER BY f.finding, f.atom_id;
    IF @fail_on_damage = 1 AND EXISTS (SELECT 1 FROM #finding AS f WHERE f.finding <> N'payload without row')
        THROW 50003, N'TensorAtom: rows have no payload, or another one; run tensoratom.ReconcileStore to see which', 1;
END;
GO
-- Every store that rows refer to, or that has payloads marked, one after the other; an error at the end when one of them has
-- damage, or could not be read.
CREATE OR ALTER PROCEDURE tensoratom.ReconcileStores
    @grace_hours int = 72,
    @collect bit = 0,
    @compare_sha2 bit = 0
AS
BEGIN
    SET NOCOUNT ON;
    DECLARE @failed int = 0;
    CREATE TABLE #alias (store_alias nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL PRIMARY KEY);
    INSERT INTO #alias (store_alias)
    SELECT r.store_alias FROM tensoratom.PayloadReference AS r
    UNION
    SELECT o.store_alias FROM tensoratom.OrphanPayload AS o;
    DECLARE @store_alias nvarchar(64) = (SELECT MIN(store_alias) FROM #alias);
    WHILE @store_alias IS NOT NULL
    BEGIN
        BEGIN TRY
            EXEC tensoratom.ReconcileStore @store_alias = @store_alias, @grace_hours = @grace_hours, @collect = @collect,
                @compare_sha2 = @compare_sha2, @fail_on_damage = 1;
        END TRY
        BEGIN CATCH
            SET @failed = @failed + 1;
            PRINT CONCAT(N'TensorAtom: store ', @store_alias, N': ', ERROR_MESSAGE());
        END CATCH;
        SET @store_alias = (SELECT MIN(store_alias) FROM #alias WHERE store_alias > @store_alias);
    END;
    IF @failed > 0
        THROW 50004, N'TensorAtom: a store has damage, or could not be read; the messages say which', 1;
END;
GO
-- The second phase, called by tensoratom.ReconcileStore.
CREATE OR ALTER PROCEDURE tensoratom.CollectOrphans
    @store_alias nvarchar(64),
    @before_utc datetime2(3)
AS
BEGIN
    SET NOCOUNT ON;
    DECLARE @atom_id bigint, @lsn bigint;
    DECLARE @last bigint = NULL;
    WHILE 1 = 1
    BEGIN
        SET @atom_id = NULL;
        SELECT TOP (1) @atom_id = o.atom_id, @lsn = o.lsn
        FROM tensoratom.OrphanPayload AS o
        WHERE o.store_alias = @store_alias AND o.first_seen_utc < @before_utc AND (@last IS NULL OR o.atom_id > @last)
        ORDER BY o.atom_id;
        IF @atom_id IS NULL
            BREAK;
        SET @last = @atom_id;
        -- A row may have come since the comparison: look again, and wait for one that is being inserted.
        IF NOT EXISTS (SELECT 1 FROM tensoratom.PayloadReference AS r WITH (READCOMMITTEDLOCK)
            WHERE r.store_alias = @store_alias AND r.atom_id = @atom_id)
        BEGIN
            BEGIN TRY
                -- Fails when the payload was replaced since: then the next run decides anew.
                EXEC dbo.clr_DeleteTensorAtomPayloadVersion @store = @store_alias, @tensorAtomId = @atom_id, @lsn = @lsn;
                DELETE FROM tensoratom.OrphanPayload WHERE store_alias = @store_alias AND atom_id = @atom_id;
            END TRY
            BEGIN CATCH
                PRINT CONCAT(N'TensorAtom: payload ', @atom_id, N' stays: ', ERROR_MESSAGE());
            END CATCH;
        END;
    END;
END;
GO
DROP PROCEDURE IF EXISTS tensoratom.Reconcile;
GO
GRANT EXECUTE ON tensoratom.ReconcileStore TO tensoratom_operator;
GRANT EXECUTE ON tensoratom.ReconcileStores TO tensoratom_operator;
GO
-- The nightly job fails where there is damage, so that whoever is told of failed jobs is told. Needs a role in msdb that may
-- make jobs.
IF DB_ID(N'msdb') IS NOT NULL AND SERVERPROPERTY('EngineEdition') <> 4
BEGIN
    DECLARE @job nvarchar(128) = CONCAT(N'TensorAtom reconcile ', DB_NAME());
    DECLARE @database nvarchar(128) = DB_NAME();
    DECLARE @step nvarchar(max) = N'EXEC tensoratom.ReconcileStores;';
    IF NOT EXISTS (SELECT 1 FROM msdb.dbo.sysjobs WHERE name = @job)
    BEGIN
        -- All or nothing: a job without its step would be taken for one that is there.
        BEGIN TRY
            BEGIN TRANSACTION;
            EXEC msdb.dbo.sp_add_job @job_name = @job, @description = N'Rows without payload, payloads without row.';
            EXEC msdb.dbo.sp_add_jobstep @job_name = @job, @step_name = N'compare', @subsystem = N'TSQL',
                @database_name = @database, @command = @step;
            EXEC msdb.dbo.sp_add_jobschedule @job_name = @job, @name = N'nightly', @freq_type = 4, @freq_interval = 1,
                @active_start_time = 30000;
            EXEC msdb.dbo.sp_add_jobserver @job_name = @job;
            COMMIT TRANSACTION;
        END TRY
        BEGIN CATCH
            IF XACT_STATE() <> 0
                ROLLBACK TRANSACTION;
            THROW;
        END CATCH;
    END
    -- A step that somebody has made his own stays as it is, as long as it calls what is there.
    ELSE IF NOT EXISTS (SELECT 1 FROM msdb.dbo.sysjobs AS j INNER JOIN msdb.dbo.sysjobsteps AS s ON s.job_id = j.job_id
        WHERE j.name = @job AND s.command LIKE N'%tensoratom.ReconcileStore%')
        EXEC msdb.dbo.sp_update_jobstep @job_name = @job, @step_id = 1, @command = @step;
END;
GO
