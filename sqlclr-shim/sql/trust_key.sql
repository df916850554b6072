-- Trusts every build signed with one key: the variant for sites that keep a signing key of their own. Needs CONTROL SERVER.
-- sqlcmd -b -d master -v AssemblyPath="C:\TensorAtom\TensorAtom.SqlClr.dll" -i trust_key.sql
SET NOCOUNT ON;
SET XACT_ABORT ON;
GO
IF DB_NAME() <> N'master'
    THROW 50005, N'TensorAtom: the key and its login belong into master; run this script there', 1;
IF NOT EXISTS (SELECT 1 FROM sys.asymmetric_keys WHERE name = N'TensorAtomKey')
    EXEC (N'CREATE ASYMMETRIC KEY TensorAtomKey FROM EXECUTABLE FILE = N''$(AssemblyPath)''');
IF NOT EXISTS (SELECT 1 FROM sys.server_principals WHERE name = N'TensorAtomKeyLogin')
    EXEC (N'CREATE LOGIN TensorAtomKeyLogin FROM ASYMMETRIC KEY TensorAtomKey');
-- The login exists to carry this one permission; nobody can log in with a key.
GRANT UNSAFE ASSEMBLY TO TensorAtomKeyLogin;
-- Compare with the public key token that the build prints: a key of that name that was there before is not replaced.
SELECT k.name, k.thumbprint FROM sys.asymmetric_keys AS k WHERE k.name = N'TensorAtomKey';
GO
