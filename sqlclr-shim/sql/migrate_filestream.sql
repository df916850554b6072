-- Moves payloads from a FILESTREAM (or any varbinary) column into a store: in batches, resumable, each one read back and
-- compared by hash. The source column is not touched, so going back means using it again. Run install.sql and functions.sql first.
--     DECLARE @untried bigint = 1;
--     WHILE @untried > 0
--         EXEC tensoratom.MigrateBatch N'dbo.Payloads', N'PayloadId', N'Payload', N'default', @untried_rows = @untried OUTPUT;
--     EXEC tensoratom.MigrateCheck N'dbo.Payloads', N'PayloadId', N'Payload', N'default'; -- switch readers over at remaining_rows = 0
SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
SET NOCOUNT ON;
SET XACT_ABORT ON;
GO
-- What the others ask of the names they are given. Names come from the catalogue and are quoted: nothing the caller wrote is
-- executed, and the caller needs SELECT on the table: such a query is not covered by the procedure's owner.
CREATE OR ALTER PROCEDURE tensoratom.MigrationSource
    @source_table nvarchar(517),
    @id_column sysname,
    @payload_column sysname,
    @object_id int OUTPUT,
    @source nvarchar(600) OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    DECLARE @id int;
    SET @object_id = OBJECT_ID(@source_table, N'U');
    SET @id = COLUMNPROPERTY(@object_id, @id_column, 'ColumnId');
    -- A table of another database may have the number of a table here.
    IF @id IS NULL OR COLUMNPROPERTY(@object_id, @payload_column, 'ColumnId') IS NULL OR PARSENAME(@source_table, 3) <> DB_NAME()
        THROW 50001, N'TensorAtom: no such table or column here; pass schema.table and the names of its id and payload columns', 1;
    -- Rows of one id would replace one another in the store.
    IF COLUMNPROPERTY(@object_id, @id_column, 'AllowsNull') = 1 OR NOT EXISTS (
        SELECT 1
        FROM sys.indexes AS i
        INNER JOIN sys.index_columns AS c ON c.object_id = i.object_id AND c.index_id = i.index_id AND c.key_ordinal > 0
        WHERE i.object_id = @object_id AND i.is_unique = 1 AND i.has_filter = 0 AND i.is_disabled = 0
        GROUP BY i.index_id
        HAVING COUNT(*) = 1 AND MIN(c.column_id) = @id)
        THROW 50006, N'TensorAtom: the id column must be NOT NULL, with a primary key or a unique index on it alone', 1;
    SET @source = CONCAT(QUOTENAME(OBJECT_SCHEMA_NAME(@object_id)), N'.', QUOTENAME(OBJECT_NAME(@object_id)));
END;
GO
-- Repeat until untried_rows is 0, and once more for what failed for a reason that is gone. Safe to stop at any moment: a payload
-- counts when its row says 'verified'. What was never tried comes first, so that rows which always fail hold up no others. A
-- payload of more than 2 GiB cannot pass through T-SQL and fails.
CREATE OR ALTER PROCEDURE tensoratom.MigrateBatch
    @source_table nvarchar(517),
    @id_column sysname,
    @payload_column sysname,
    @store_alias nvarchar(64) = N'default',
    @batch_rows int = 100,
    @remaining_rows bigint = NULL OUTPUT,
    @untried_rows bigint = NULL OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET IMPLICIT_TRANSACTIONS OFF;
    IF @@TRANCOUNT > 0
        THROW 50007, N'TensorAtom: not inside a transaction: a rollback would forget what the store has taken; commit first', 1;
    IF @store_alias IS NULL OR @batch_rows IS NULL OR @batch_rows < 1
        THROW 50008, N'TensorAtom: @store_alias must not be NULL, @batch_rows must be 1 or more', 1;
    DECLARE @object_id int, @source nvarchar(600);
    EXEC tensoratom.MigrationSource @source_table, @id_column, @payload_column, @object_id OUTPUT, @source OUTPUT;
    DECLARE @id nvarchar(258) = QUOTENAME(@id_column);
    DECLARE @payload nvarchar(258) = QUOTENAME(@payload_column);
    DECLARE @unverified nvarchar(max) = CONCAT(
        N' FROM ', @source, N' AS s LEFT JOIN tensoratom.MigrationRow AS m ON m.source_object_id = @object ',
        N'AND m.store_alias = @store AND m.atom_id = s.', @id,
        N' WHERE s.', @payload, N' IS NOT NULL AND (m.state IS NULL OR m.state <> N''verified'')');
    DECLARE @pending nvarchar(max) = CONCAT(
        N'INSERT INTO #todo (atom_id) SELECT TOP (@rows) s.', @id, @unverified, N' ORDER BY m.at_utc, s.', @id);
    DECLARE @counting nvarchar(max) = CONCAT(
        N'SELECT @remaining = COUNT_BIG(*), @untried = COALESCE(SUM(CASE WHEN m.state IS NULL THEN CAST(1 AS bigint) ELSE 0 END), 0)',
        @unverified);
    DECLARE @fetch nvarchar(max) = CONCAT(N'SELECT @bytes = s.', @payload, N' FROM ', @source, N' AS s WHERE s.', @id, N' = @atom');

    CREATE TABLE #todo (atom_id bigint NOT NULL PRIMARY KEY);
    EXEC sys.sp_executesql @pending, N'@rows int, @object int, @store nvarchar(64)',
        @rows = @batch_rows, @object = @object_id, @store = @store_alias;

    DECLARE @atom_id bigint = (SELECT MIN(atom_id) FROM #todo);
    WHILE @atom_id IS NOT NULL
    BEGIN
        DECLARE @bytes varbinary(max) = NULL;
        DECLARE @expected binary(32) = NULL;
        DECLARE @there binary(32) = NULL;
        DECLARE @is_shared bit = 0;
        DECLARE @digest binary(32) = NULL;
        DECLARE @state nvarchar(16) = N'failed';
        DECLARE @message nvarchar(2000) = NULL;
        -- The hash of what this migration has put there, and may put there again.
        DECLARE @put binary(32) = (
            SELECT m.sha2_256
            FROM tensoratom.MigrationRow AS m
            WHERE m.source_object_id = @object_id AND m.store_alias = @store_alias AND m.atom_id = @atom_id);
        BEGIN TRY
            EXEC sys.sp_executesql @fetch, N'@bytes varbinary(max) OUTPUT, @atom bigint', @bytes = @bytes OUTPUT, @atom = @atom_id;
            SET @expected = HASHBYTES('SHA2_256', @bytes);
            IF @put IS NULL
            BEGIN
                SET @there = HASHBYTES('SHA2_256', dbo.clr_GetTensorAtomPayloadFrom(@store_alias, @atom_id));
                -- Referred to already: then it is not this migration's to forget.
                IF EXISTS (SELECT 1 FROM tensoratom.PayloadReference AS r WHERE r.store_alias = @store_alias AND r.atom_id = @atom_id)
                    SET @is_shared = 1;
            END;
            IF @there <> @expected
                SET @message = CONCAT(N'the store has another payload under this id, which this migration did not put there: ',
                    N'use another alias (a namespace of the store), or delete that payload');
            ELSE
            BEGIN
                IF @there IS NULL
                    EXEC dbo.clr_StoreTensorAtomPayloadIn @store = @store_alias, @tensorAtomId = @atom_id, @payload = @bytes;
                IF @is_shared = 0
                    SET @put = @expected;
                SET @digest = dbo.clr_TensorAtomPayloadDigest(@store_alias, @atom_id);
                IF HASHBYTES('SHA2_256', dbo.clr_GetTensorAtomPayloadFrom(@store_alias, @atom_id)) = @expected
                    SET @state = N'verified';
                ELSE
                    SET @message = N'read back with another hash';
            END;
        END TRY
        BEGIN CATCH
            SET @message = LEFT(ERROR_MESSAGE(), 2000);
        END CATCH;

        BEGIN TRANSACTION;
        DELETE FROM tensoratom.MigrationRow WITH (UPDLOCK, HOLDLOCK)
        WHERE source_object_id = @object_id AND store_alias = @store_alias AND atom_id = @atom_id;
        INSERT INTO tensoratom.MigrationRow (source_object_id, store_alias, atom_id, state, payload_bytes, sha2_256, message)
        VALUES (@object_id, @store_alias, @atom_id, @state, DATALENGTH(@bytes), @put, @message);
        -- A reference that is there stays where this failed: without it the payload would be collected as one that nobody needs.
        IF @state = N'verified' AND @is_shared = 1
            UPDATE tensoratom.PayloadReference
            SET sha2_256 = COALESCE(sha2_256, @expected), blake3_256 = COALESCE(blake3_256, @digest)
            WHERE store_alias = @store_alias AND atom_id = @atom_id;
        IF @state = N'verified' AND @is_shared = 0
        BEGIN
            DELETE FROM tensoratom.PayloadReference WITH (UPDLOCK, HOLDLOCK) WHERE store_alias = @store_alias AND atom_id = @atom_id;
            INSERT INTO tensoratom.PayloadReference (store_alias, atom_id, payload_bytes, sha2_256, blake3_256)
            VALUES (@store_alias, @atom_id, DATALENGTH(@bytes), @expected, @digest);
        END;
        COMMIT TRANSACTION;
        SET @atom_id = (SELECT MIN(atom_id) FROM #todo WHERE atom_id > @atom_id);
    END;

    EXEC sys.sp_executesql @counting, N'@object int, @store nvarchar(64), @remaining bigint OUTPUT, @untried bigint OUTPUT',
        @object = @object_id, @store = @store_alias, @remaining = @remaining_rows OUTPUT, @untried = @untried_rows OUTPUT;
    SELECT COALESCE(SUM(CASE WHEN m.state = N'verified' THEN 1 ELSE 0 END), 0) AS verified_rows,
        COALESCE(SUM(CASE WHEN m.state = N'failed' THEN 1 ELSE 0 END), 0) AS failed_rows,
        (SELECT COUNT(*) FROM #todo) AS batch_rows,
        @remaining_rows AS remaining_rows,
        @untried_rows AS untried_rows
    FROM tensoratom.MigrationRow AS m
    WHERE m.source_object_id = @object_id AND m.store_alias = @store_alias;
END;
GO
-- Before the readers are switched over: compares what was migrated with the source as it is now, by SHA2_256, and with the store,
-- by the digest in its catalog (tensoratom.ReconcileStore with @compare_sha2 = 1 reads the store's bytes, too). What changed
-- since, or is gone, is marked 'failed', and the next MigrateBatch takes what is there again. remaining_rows counts rows of the
-- source without a verified payload. Reads the whole column; let nobody write to it from here on.
CREATE OR ALTER PROCEDURE tensoratom.MigrateCheck
    @source_table nvarchar(517),
    @id_column sysname,
    @payload_column sysname,
    @store_alias nvarchar(64) = N'default',
    @remaining_rows bigint = NULL OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    IF @store_alias IS NULL
        THROW 50008, N'TensorAtom: @store_alias must not be NULL', 1;
    DECLARE @object_id int, @source nvarchar(600);
    EXEC tensoratom.MigrationSource @source_table, @id_column, @payload_column, @object_id OUTPUT, @source OUTPUT;
    DECLARE @id nvarchar(258) = QUOTENAME(@id_column);
    DECLARE @payload nvarchar(258) = QUOTENAME(@payload_column);
    DECLARE @compare nvarchar(max) = CONCAT(
        N'UPDATE m SET state = N''failed'', message = N''the source or the store changed since it was migrated'' ',
        N'FROM tensoratom.MigrationRow AS m LEFT JOIN ', @source, N' AS s ON s.', @id, N' = m.atom_id ',
        N'LEFT JOIN tensoratom.PayloadReference AS r ON r.store_alias = m.store_alias AND r.atom_id = m.atom_id ',
        N'WHERE m.source_object_id = @object AND m.store_alias = @store AND m.state = N''verified'' AND (s.', @payload, N' IS NULL ',
        N'OR HASHBYTES(''SHA2_256'', s.', @payload, N') <> COALESCE(m.sha2_256, r.sha2_256, 0x) OR r.blake3_256 IS NULL ',
        N'OR r.blake3_256 <> COALESCE(dbo.clr_TensorAtomPayloadDigest(@store, m.atom_id), 0x))');
    EXEC sys.sp_executesql @compare, N'@object int, @store nvarchar(64)', @object = @object_id, @store = @store_alias;
    DECLARE @counting nvarchar(max) = CONCAT(
        N'SELECT @remaining = COUNT_BIG(*) FROM ', @source, N' AS s WHERE s.', @payload, N' IS NOT NULL AND NOT EXISTS ',
        N'(SELECT 1 FROM tensoratom.MigrationRow AS m WHERE m.source_object_id = @object AND m.store_alias = @store ',
        N'AND m.atom_id = s.', @id, N' AND m.state = N''verified'')');
    EXEC sys.sp_executesql @counting, N'@object int, @store nvarchar(64), @remaining bigint OUTPUT',
        @object = @object_id, @store = @store_alias, @remaining = @remaining_rows OUTPUT;
    SELECT COUNT_BIG(*) AS failed_rows, @remaining_rows AS remaining_rows
    FROM tensoratom.MigrationRow AS m
    WHERE m.source_object_id = @object_id AND m.store_alias = @store_alias AND m.state = N'failed';
END;
GO
-- Forgets a migration: the source column is whole, so its rows are simply read from there again. The payloads in the store
-- become payloads without rows, which tensoratom.ReconcileStore lists. What was written to the store after the readers had been
-- switched over is not in the column: its references stay, and kept_references counts them.
CREATE OR ALTER PROCEDURE tensoratom.MigrateRollback
    @source_table nvarchar(517),
    @store_alias nvarchar(64) = N'default'
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @object_id int = OBJECT_ID(@source_table, N'U');
    IF @object_id IS NULL OR PARSENAME(@source_table, 3) <> DB_NAME()
        THROW 50001, N'TensorAtom: no such table here; pass schema.table as it was passed to tensoratom.MigrateBatch', 1;
    BEGIN TRANSACTION;
    DELETE r
    FROM tensoratom.PayloadReference AS r
    INNER JOIN tensoratom.MigrationRow AS m
        ON m.store_alias = r.store_alias AND m.atom_id = r.atom_id AND m.sha2_256 = r.sha2_256
    WHERE m.source_object_id = @object_id AND m.store_alias = @store_alias;
    DECLARE @kept int = (
        SELECT COUNT(*)
        FROM tensoratom.PayloadReference AS r
        INNER JOIN tensoratom.MigrationRow AS m ON m.store_alias = r.store_alias AND m.atom_id = r.atom_id AND m.sha2_256 IS NOT NULL
        WHERE m.source_object_id = @object_id AND m.store_alias = @store_alias);
    DELETE FROM tensoratom.MigrationRow WHERE source_object_id = @object_id AND store_alias = @store_alias;
    COMMIT TRANSACTION;
    SELECT @kept AS kept_references;
END;
GO
