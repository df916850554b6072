-- Trusts every build signed with one key: the variant for sites that keep a signing key of their own. Needs CONTROL SERVER.
-- The key is taken from a build whose SHA2_512 is the one that was printed.
-- sqlcmd -b -d master -v AssemblyPath="C:\TensorAtom\TensorAtom.SqlClr.dll" Sha2_512=0x0123... -i trust_key.sql
SET NOCOUNT ON;
SET XACT_ABORT ON;
GO
IF DB_NAME() <> N'master'
    THROW 50005, N'TensorAtom: the key and its login belong into master; run this script there', 1;
DECLARE @bits varbinary(max);
SELECT @bits = BulkColumn FROM OPENROWSET(BULK N'$(AssemblyPath)', SINGLE_BLOB) AS assembly_file;
DECLARE @hash varbinary(64) = HASHBYTES('SHA2_512', @bits);
IF @hash IS NULL OR @hash <> CONVERT(varbinary(64), N'$(Sha2_512)', 1)
    THROW 50009, N'TensorAtom: the assembly is not the one whose SHA2_512 was passed; nothing was trusted', 1;
IF NOT EXISTS (SELECT 1 FROM sys.asymmetric_keys WHERE name = N'TensorAtomKey')
    EXEC (N'CREATE ASYMMETRIC KEY TensorAtomKey FROM EXECUTABLE FILE = N''$(AssemblyPath)''');
IF NOT EXISTS (SELECT 1 FROM sys.server_principals WHERE name = N'TensorAtomKeyLogin')
    EXEC (N'CREATE LOGIN TensorAtomKeyLogin FROM ASYMMETRIC KEY TensorAtomKey');
-- The login exists to carry this one permission; nobody can log in with a key.
GRANT UNSAFE ASSEMBLY TO TensorAtomKeyLogin;
-- A key of that name that was there before is not replaced: after a change of the signing key run untrust.sql first.
SELECT k.name, k.thumbprint FROM sys.asymmetric_keys AS k WHERE k.name = N'TensorAtomKey';
GO
