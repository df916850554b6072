-- How rows come to refer to payloads: stored first, referred to in the same transaction as the rows of the application.
-- Run functions.sql and roles.sql first; may be run again.
--     BEGIN TRANSACTION;
--     EXEC tensoratom.StorePayload N'default', @id, @payload;
--     INSERT INTO dbo.Layers (PayloadId, Name) VALUES (@id, @name);
--     COMMIT TRANSACTION;
SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
SET NOCOUNT ON;
SET XACT_ABORT ON;
GO
-- A rollback leaves a payload that nobody refers to, which a later call may replace and tensoratom.ReconcileStore may collect. A
-- payload that rows refer to is not replaced: rolled back, they would refer to one that is gone. The same bytes again are no error.
-- To delete, delete the row of tensoratom.PayloadReference with the rows of the application; the payload is collected later.
CREATE OR ALTER PROCEDURE tensoratom.StorePayload
    @store_alias nvarchar(64),
    @atom_id bigint,
    @payload varbinary(max)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    IF @store_alias IS NULL OR @atom_id IS NULL OR @payload IS NULL
        THROW 50011, N'TensorAtom: alias, id and payload must not be NULL; for no payload store no row', 1;
    DECLARE @sha2_256 binary(32) = HASHBYTES('SHA2_256', @payload);
    DECLARE @known binary(32) = NULL;
    DECLARE @is_known bit = 0;
    BEGIN TRANSACTION;
    -- Holds the place: of two sessions that store one id, the second waits here.
    SELECT @is_known = 1, @known = r.sha2_256
    FROM tensoratom.PayloadReference AS r WITH (UPDLOCK, HOLDLOCK)
    WHERE r.store_alias = @store_alias AND r.atom_id = @atom_id;
    IF @is_known = 1 AND (@known IS NULL OR @known <> @sha2_256)
        THROW 50012, N'TensorAtom: rows refer to another payload under this id; payloads do not change: store under a new id', 1;
    IF @is_known = 0
    BEGIN
        EXEC dbo.clr_StoreTensorAtomPayloadIn @store = @store_alias, @tensorAtomId = @atom_id, @payload = @payload;
        INSERT INTO tensoratom.PayloadReference (store_alias, atom_id, payload_bytes, sha2_256, blake3_256)
        VALUES (@store_alias, @atom_id, DATALENGTH(@payload), @sha2_256, dbo.clr_TensorAtomPayloadDigest(@store_alias, @atom_id));
    END;
    COMMIT TRANSACTION;
END;
GO
GRANT EXECUTE ON tensoratom.StorePayload TO tensoratom_writer;
GO
