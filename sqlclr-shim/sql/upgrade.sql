-- Replaces the assembly by a newer build with the same signatures; for others run uninstall.sql, which keeps the tables, and
-- install everything anew. Trust the new build first (hash variant), copy the new native library beside the old one, name it in
-- the configuration by a further line library.NAME (databases that still have the old build go on with theirs), then run
-- install.sql, this, and the other scripts again. Needs UNSAFE ASSEMBLY.
-- Where tables have persisted columns or checks over its functions the server asks for WITH UNCHECKED DATA and DBCC CHECKTABLE.
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
