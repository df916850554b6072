-- Puts the assembly and the tables of the integration into the current database. May be run again: it adds what is missing, and
-- leaves an assembly that is there to upgrade.sql.
-- Run trust_hash.sql or trust_key.sql first, roles.sql and functions.sql afterwards. TRUSTWORTHY stays off. Needs UNSAFE ASSEMBLY,
-- which sysadmin has, and SQL Server 2017 or newer.
-- sqlcmd -b -d MyDatabase -v AssemblyPath="C:\TensorAtom\TensorAtom.SqlClr.dll" -i install.sql
SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
SET NOCOUNT ON;
SET XACT_ABORT ON;
GO
IF (SELECT CAST(value_in_use AS int) FROM sys.configurations WHERE name = N'clr enabled') = 0
    THROW 50000, N'TensorAtom: clr is not enabled; an administrator runs: EXEC sp_configure ''clr enabled'', 1; RECONFIGURE;', 1;
IF (SELECT is_trustworthy_on FROM sys.databases WHERE database_id = DB_ID()) = 1
    PRINT N'TensorAtom: note: TRUSTWORTHY is on in this database; TensorAtom does not need it.';
IF HAS_PERMS_BY_NAME(NULL, NULL, N'UNSAFE ASSEMBLY') = 0
    THROW 50010, N'TensorAtom: to create the assembly needs UNSAFE ASSEMBLY on the server; an administrator of the server runs this script', 1;
GO
IF SCHEMA_ID(N'tensoratom') IS NULL
    EXEC (N'CREATE SCHEMA tensoratom AUTHORIZATION dbo');
GO
IF NOT EXISTS (SELECT 1 FROM sys.assemblies WHERE name = N'TensorAtom.SqlClr')
    EXEC (N'CREATE ASSEMBLY [TensorAtom.SqlClr] AUTHORIZATION dbo FROM N''$(AssemblyPath)'' WITH PERMISSION_SET = UNSAFE');
GO
-- What the rows of this database refer to, one row per payload: the set that reconciliation compares with the store.
IF OBJECT_ID(N'tensoratom.PayloadReference', N'U') IS NULL
    CREATE TABLE tensoratom.PayloadReference (
        store_alias nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
        atom_id bigint NOT NULL,
        payload_bytes bigint NOT NULL,
        sha2_256 binary(32) NULL,
        blake3_256 binary(32) NULL,
        created_utc datetime2(3) NOT NULL CONSTRAINT DF_PayloadReference_created DEFAULT (SYSUTCDATETIME()),
        CONSTRAINT PK_PayloadReference PRIMARY KEY CLUSTERED (store_alias, atom_id)
    );
GO
IF COL_LENGTH(N'tensoratom.PayloadReference', N'blake3_256') IS NULL
    ALTER TABLE tensoratom.PayloadReference ADD blake3_256 binary(32) NULL;
GO
-- Payloads that no row referred to when reconciliation looked: marked in one run, collected in a later one.
IF OBJECT_ID(N'tensoratom.OrphanPayload', N'U') IS NULL
    CREATE TABLE tensoratom.OrphanPayload (
        store_alias nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
        atom_id bigint NOT NULL,
        lsn bigint NOT NULL,
        payload_bytes bigint NOT NULL,
        first_seen_utc datetime2(3) NOT NULL CONSTRAINT DF_OrphanPayload_first_seen DEFAULT (SYSUTCDATETIME()),
        CONSTRAINT PK_OrphanPayload PRIMARY KEY CLUSTERED (store_alias, atom_id)
    );
GO
-- State of a migration, one row per payload. Kept after the end: it is the evidence that each hash was compared.
IF OBJECT_ID(N'tensoratom.MigrationRow', N'U') IS NULL
    CREATE TABLE tensoratom.MigrationRow (
        source_object_id int NOT NULL,
        store_alias nvarchar(64) COLLATE Latin1_General_100_BIN2 NOT NULL,
        atom_id bigint NOT NULL,
        state nvarchar(16) COLLATE Latin1_General_100_BIN2 NOT NULL
            CONSTRAINT CK_MigrationRow_state CHECK (state IN (N'verified', N'failed')),
        payload_bytes bigint NULL,
        sha2_256 binary(32) NULL,
        message nvarchar(2000) NULL,
        at_utc datetime2(3) NOT NULL CONSTRAINT DF_MigrationRow_at DEFAULT (SYSUTCDATETIME()),
        CONSTRAINT PK_MigrationRow PRIMARY KEY CLUSTERED (source_object_id, store_alias, atom_id)
    );
GO
