-- Trusts exactly one build of the assembly by its SHA2_512. Needs CONTROL SERVER. Run again before each upgrade; once all
-- databases have been upgraded, untrust.sql and this script together leave the newest build as the only trusted one.
-- The number is the one that the build printed: a file that hashes to another is not trusted.
-- sqlcmd -b -v AssemblyPath="C:\TensorAtom\TensorAtom.SqlClr.dll" Sha2_512=0x0123... -i trust_hash.sql
SET NOCOUNT ON;
SET XACT_ABORT ON;

DECLARE @bits varbinary(max);
SELECT @bits = BulkColumn FROM OPENROWSET(BULK N'$(AssemblyPath)', SINGLE_BLOB) AS assembly_file;
DECLARE @hash varbinary(64) = HASHBYTES('SHA2_512', @bits);
SELECT @hash AS sha2_512;
IF @hash IS NULL OR @hash <> CONVERT(varbinary(64), N'$(Sha2_512)', 1)
    THROW 50009, N'TensorAtom: the assembly is not the one whose SHA2_512 was passed; nothing was trusted', 1;
IF NOT EXISTS (SELECT 1 FROM sys.trusted_assemblies WHERE hash = @hash)
    EXEC sys.sp_add_trusted_assembly @hash = @hash, @description = N'TensorAtom.SqlClr';
GO
