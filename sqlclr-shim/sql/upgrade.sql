-- Replaces the assembly by a newer build with the same signatures. Trust the new build first (hash variant), copy the new
-- native library beside the old one (its name and hash belong to the assembly), then run this and functions.sql again.
-- sqlcmd -b -d MyDatabase -v AssemblyPath="C:\TensorAtom\TensorAtom.SqlClr.dll" -i upgrade.sql
SET NOCOUNT ON;
SET XACT_ABORT ON;
GO
BEGIN TRY
    EXEC (N'ALTER ASSEMBLY [TensorAtom.SqlClr] FROM N''$(AssemblyPath)'' WITH PERMISSION_SET = UNSAFE');
END TRY
BEGIN CATCH
    -- 6285: the server already has this very build. Everything else is an error.
    IF ERROR_NUMBER() <> 6285
        THROW;
END CATCH;
GO
