-- Moves payloads from a FILESTREAM (or any varbinary) column into a store: in batches, resumable, each one read back and
-- compared by hash. The source column is not touched, so going back means using it again.
SET NOCOUNT ON;
SET XACT_ABORT ON;
GO
-- Repeat until remaining_rows is 0, or failed_rows alone is left of it. Safe to stop at any moment: a payload counts when its row
-- says 'verified'. What was never tried comes first, so that rows which always fail hold up no others. The names are looked up
-- and quoted, and the caller needs SELECT on the table: the query is not covered by the procedure's owner.
CREATE OR ALTER PROCEDURE tensoratom.MigrateBatch
    @source_table nvarchar(517),
    @id_column sysname,
    @payload_column sysname,
    @store_alias nvarchar(64) = N'default',
    @batch_rows int = 100
AS
BEGIN
    SET NOCOUNT ON;
    DECLARE @object_id int = OBJECT_ID(@source_table, N'U');
    IF @object_id IS NULL OR COLUMNPROPERTY(@object_id, @id_column, 'ColumnId') IS NULL
        OR COLUMNPROPERTY(@object_id, @payload_column, 'ColumnId') IS NULL
        THROW 50001, N'TensorAtom: no such table or column; pass schema.table and the names of its id and payload columns', 1;
    -- Names come from the catalogue and are quoted: nothing the caller wrote is executed.
    DECLARE @source nvarchar(600) = CONCAT(QUOTENAME(OBJECT_SCHEMA_NAME(@object_id)), N'.', QUOTENAME(OBJECT_NAME(@object_id)));
    DECLARE @id nvarchar(258) = QUOTENAME(@id_column);
    DECLARE @payload nvarchar(258) = QUOTENAME(@payload_column);
    DECLARE @unverified nvarchar(max) = CONCAT(
        N' FROM ', @source, N' AS s LEFT JOIN tensoratom.MigrationRow AS m ON m.source_object_id = @object ',
        N'AND m.store_alias = @store AND m.atom_id = s.', @id,
        N' WHERE s.', @payload, N' IS NOT NULL AND (m.state IS NULL OR m.state <> N''verified'')');
    DECLARE @pending nvarchar(max) = CONCAT(N'SELECT TOP (@rows) s.', @id, @unverified, N' ORDER BY m.at_utc, s.', @id);
    DECLARE @counting nvarchar(max) = CONCAT(N'SELECT @remaining = COUNT_BIG(*)', @unverified);
    DECLARE @fetch nvarchar(max) = CONCAT(N'SELECT @bytes = s.', @payload, N' FROM ', @source, N' AS s WHERE s.', @id, N' = @atom');

    DECLARE @todo TABLE (atom_id bigint NOT NULL PRIMARY KEY);
    INSERT INTO @todo (atom_id)
    EXEC sys.sp_executesql @pending, N'@rows int, @object int, @store nvarchar(64)',
        @rows = @batch_rows, @object = @object_id, @store = @store_alias;

    DECLARE @atom_id bigint = (SELECT MIN(atom_id) FROM @todo);
    WHILE @atom_id IS NOT NULL
    BEGIN
        DECLARE @bytes varbinary(max) = NULL;
        DECLARE @expected binary(32) = NULL;
        DECLARE @digest binary(32) = NULL;
        DECLARE @state nvarchar(16) = N'failed';
        DECLARE @message nvarchar(2000) = NULL;
        BEGIN TRY
            EXEC sys.sp_executesql @fetch, N'@bytes varbinary(max) OUTPUT, @atom bigint', @bytes = @bytes OUTPUT, @atom = @atom_id;
            SET @expected = HASHBYTES('SHA2_256', @bytes);
            EXEC dbo.clr_StoreTensorAtomPayloadIn @store = @store_alias, @tensorAtomId = @atom_id, @payload = @bytes;
            SET @digest = dbo.clr_TensorAtomPayloadDigest(@store_alias, @atom_id);
            IF HASHBYTES('SHA2_256', dbo.clr_GetTensorAtomPayloadFrom(@store_alias, @atom_id)) = @expected
                SET @state = N'verified';
            ELSE
                SET @message = N'read back with another hash';
        END TRY
        BEGIN CATCH
            SET @message = LEFT(ERROR_MESSAGE(), 2000);
        END CATCH;

        BEGIN TRANSACTION;
        DELETE FROM tensoratom.MigrationRow
        WHERE source_object_id = @object_id AND store_alias = @store_alias AND atom_id = @atom_id;
        INSERT INTO tensoratom.MigrationRow (source_object_id, store_alias, atom_id, state, payload_bytes, sha2_256, message)
        VALUES (@object_id, @store_alias, @atom_id, @state, DATALENGTH(@bytes), @expected, @message);
        -- A reference that is there stays where this failed: without it the payload would be collected as one that nobody needs.
        IF @state = N'verified'
        BEGIN
            DELETE FROM tensoratom.PayloadReference WHERE store_alias = @store_alias AND atom_id = @atom_id;
            INSERT INTO tensoratom.PayloadReference (store_alias, atom_id, payload_bytes, sha2_256, blake3_256)
            VALUES (@store_alias, @atom_id, DATALENGTH(@bytes), @expected, @digest);
        END;
        COMMIT TRANSACTION;
        SET @atom_id = (SELECT MIN(atom_id) FROM @todo WHERE atom_id > @atom_id);
    END;

    DECLARE @remaining bigint = 0;
    EXEC sys.sp_executesql @counting, N'@object int, @store nvarchar(64), @remaining bigint OUTPUT',
        @object = @object_id, @store = @store_alias, @remaining = @remaining OUTPUT;
    SELECT SUM(CASE WHEN m.state = N'verified' THEN 1 ELSE 0 END) AS verified_rows,
        SUM(CASE WHEN m.state = N'failed' THEN 1 ELSE 0 END) AS failed_rows,
        (SELECT COUNT(*) FROM @todo) AS batch_rows,
        @remaining AS remaining_rows
    FROM tensoratom.MigrationRow AS m
    WHERE m.source_object_id = @object_id AND m.store_alias = @store_alias;
END;
GO
-- Before the readers are switched over: compares what was migrated with the source as it is now, by hash. What changed since,
-- or is gone, is marked 'failed', and the next MigrateBatch takes what is there again. Reads the whole column; let nobody write
-- to it from here on.
CREATE OR ALTER PROCEDURE tensoratom.MigrateCheck
    @source_table nvarchar(517),
    @id_column sysname,
    @payload_column sysname,
    @store_alias nvarchar(64) = N'default'
AS
BEGIN
    SET NOCOUNT ON;
    DECLARE @object_id int = OBJECT_ID(@source_table, N'U');
    IF @object_id IS NULL OR COLUMNPROPERTY(@object_id, @id_column, 'ColumnId') IS NULL
        OR COLUMNPROPERTY(@object_id, @payload_column, 'ColumnId') IS NULL
        THROW 50001, N'TensorAtom: no such table or column; pass schema.table and the names of its id and payload columns', 1;
    DECLARE @compare nvarchar(max) = CONCAT(
        N'UPDATE m SET state = N''failed'', message = N''the source changed since it was migrated'' ',
        N'FROM tensoratom.MigrationRow AS m LEFT JOIN ', QUOTENAME(OBJECT_SCHEMA_NAME(@object_id)), N'.',
        QUOTENAME(OBJECT_NAME(@object_id)), N' AS s ON s.', QUOTENAME(@id_column), N' = m.atom_id ',
        N'WHERE m.source_object_id = @object AND m.store_alias = @store AND m.state = N''verified'' AND (s.',
        QUOTENAME(@payload_column), N' IS NULL OR HASHBYTES(''SHA2_256'', s.', QUOTENAME(@payload_column), N') <> m.sha2_256)');
    EXEC sys.sp_executesql @compare, N'@object int, @store nvarchar(64)', @object = @object_id, @store = @store_alias;
    SELECT COUNT_BIG(*) AS failed_rows
    FROM tensoratom.MigrationRow AS m
    WHERE m.source_object_id = @object_id AND m.store_alias = @store_alias AND m.state = N'failed';
END;
GO
-- Forgets a migration: the source column is whole, so its rows are simply read from there again. The payloads in the store
-- become payloads without rows, which tensoratom.ReconcileStore lists.
CREATE OR ALTER PROCEDURE tensoratom.MigrateRollback
    @source_table nvarchar(517),
    @store_alias nvarchar(64) = N'default'
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @object_id int = OBJECT_ID(@source_table, N'U');
    IF @object_id IS NULL
        THROW 50001, N'TensorAtom: no such table; pass schema.table as it was passed to tensoratom.MigrateBatch', 1;
    BEGIN TRANSACTION;
    DELETE r
    FROM tensoratom.PayloadReference AS r
    INNER JOIN tensoratom.MigrationRow AS m ON m.store_alias = r.store_alias AND m.atom_id = r.atom_id
    WHERE m.source_object_id = @object_id AND m.store_alias = @store_alias;
    DELETE FROM tensoratom.MigrationRow WHERE source_object_id = @object_id AND store_alias = @store_alias;
    COMMIT TRANSACTION;
END;
GO
