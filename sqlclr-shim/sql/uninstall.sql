-- Takes TensorAtom out of the current database: all that is bound to the assembly, whatever its name, and nothing else. Stores and
-- their files are not touched. May be run again. Where the language is registered: DROP EXTERNAL LANGUAGE TensorAtom.
-- The tables tensoratom.PayloadReference, OrphanPayload and MigrationRow are kept: they say what the stores hold.
SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
SET NOCOUNT ON;
SET XACT_ABORT ON;
GO
IF DB_ID(N'msdb') IS NOT NULL AND SERVERPROPERTY('EngineEdition') <> 4
BEGIN
    DECLARE @job nvarchar(128) = CONCAT(N'TensorAtom reconcile ', DB_NAME());
    IF EXISTS (SELECT 1 FROM msdb.dbo.sysjobs WHERE name = @job)
        EXEC msdb.dbo.sp_delete_job @job_name = @job;
END;
GO
DROP PROCEDURE IF EXISTS tensoratom.ReconcileStores;
DROP PROCEDURE IF EXISTS tensoratom.ReconcileStore;
DROP PROCEDURE IF EXISTS tensoratom.CollectOrphans;
DROP PROCEDURE IF EXISTS tensoratom.MigrateBatch;
DROP PROCEDURE IF EXISTS tensoratom.MigrateCheck;
DROP PROCEDURE IF EXISTS tensoratom.MigrateRollback;
DROP PROCEDURE IF EXISTS tensoratom.MigrationSource;
DROP PROCEDURE IF EXISTS tensoratom.StorePayload;
GO
-- By what the catalogue says, not by names: an aggregate of the same name that belongs to another assembly stays. All or nothing.
DECLARE @drop nvarchar(max) = (
    SELECT STRING_AGG(CAST(CONCAT(N'DROP ',
            CASE o.type WHEN 'AF' THEN N'AGGREGATE ' WHEN 'PC' THEN N'PROCEDURE ' WHEN 'TA' THEN N'TRIGGER ' ELSE N'FUNCTION ' END,
            QUOTENAME(SCHEMA_NAME(o.schema_id)), N'.', QUOTENAME(o.name)) AS nvarchar(max)), N'; ')
    FROM sys.assembly_modules AS m
    INNER JOIN sys.assemblies AS a ON a.assembly_id = m.assembly_id
    INNER JOIN sys.objects AS o ON o.object_id = m.object_id
    WHERE a.name = N'TensorAtom.SqlClr');
SET @drop = COALESCE(@drop, N'');
BEGIN TRANSACTION;
EXEC sys.sp_executesql @drop;
DROP ASSEMBLY IF EXISTS [TensorAtom.SqlClr];
COMMIT TRANSACTION;
GO
DECLARE @members nvarchar(max) = (
    SELECT STRING_AGG(CAST(CONCAT(N'ALTER ROLE ', QUOTENAME(r.name), N' DROP MEMBER ', QUOTENAME(u.name)) AS nvarchar(max)), N'; ')
    FROM sys.database_role_members AS m
    INNER JOIN sys.database_principals AS r ON r.principal_id = m.role_principal_id
    INNER JOIN sys.database_principals AS u ON u.principal_id = m.member_principal_id
    WHERE r.name IN (N'tensoratom_math', N'tensoratom_reader', N'tensoratom_writer', N'tensoratom_operator'));
SET @members = COALESCE(@members, N'');
EXEC sys.sp_executesql @members;
GO
DROP ROLE IF EXISTS tensoratom_math;
DROP ROLE IF EXISTS tensoratom_reader;
DROP ROLE IF EXISTS tensoratom_writer;
DROP ROLE IF EXISTS tensoratom_operator;
GO
