-- Moves payloads from a FILESTREAM (or any varbinary) column into a store: in batches, resumable, each one read back and
-- compared by hash. The source column is not touched, so going back means using it again.
SET NOCOUNT ON;
SET XACT_ABORT ON;
GO
-- Repeat until it returns 0 remaining rows. Safe to stop at any moment: a payload counts when its row says 'verified'.
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
    DECLARE @pending nvarchar(max) = CONCAT(
        N'SELECT TOP (@rows) s.', @id, N' FROM ', @source, N' AS s WHERE s.', @payload, N' IS NOT NULL AND NOT EXISTS (',
        N'SELECT 1 FROM tensoratom.MigrationRow AS m WHERE m.source_object_id = @object AND m.store_alias = @store ',
        N'AND m.atom_id = s.', @id, N' AND m.state = N''verified'') ORDER BY s.', @id);
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
        DELETE FROM tensoratom.PayloadReference WHERE store_alias = @store_alias AND atom_id = @atom_id;
        IF @state = N'verified'
            INSERT INTO tensoratom.PayloadReference (store_alias, atom_id, payload_bytes, sha2_256, blake3_256)
            VALUES (@store_alias, @atom_id, DATALENGTH(@bytes), @expected, @digest);
        COMMIT TRANSACTION;
        SET @atom_id = (SELECT MIN(atom_id) FROM @todo WHERE atom_id > @atom_id);
    END;

    SELECT SUM(CASE WHEN m.state = N'verified' THEN 1 ELSE 0 END) AS verified_rows,
        SUM(CASE WHEN m.state = N'failed' THEN 1 ELSE 0 END) AS failed_rows,
        (SELECT COUNT(*) FROM @todo) AS batch_rows
    FROM tensoratom.MigrationRow AS m
    WHERE m.source_object_id = @object_id AND m.store_alias = @store_alias;
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
    BEGIN TRANSACTION;
    DELETE r
    FROM tensoratom.PayloadReference AS r
    INNER JOIN tensoratom.MigrationRow AS m ON m.store_alias = r.store_alias AND m.atom_id = r.atom_id
    WHERE m.source_object_id = @object_id AND m.store_alias = @store_alias;
    DELETE FROM tensoratom.MigrationRow WHERE source_object_id = @object_id AND store_alias = @store_alias;
    COMMIT TRANSACTION;
END;
GO
