-- Takes back what trust_hash.sql and trust_key.sql gave, for the whole server: every hash, the key and its login. Needs CONTROL
-- SERVER. Databases that still have an assembly which is trusted no more cannot load it: run uninstall.sql in each before.
-- sqlcmd -b -d master -i untrust.sql
SET NOCOUNT ON;
SET XACT_ABORT ON;
GO
IF DB_NAME() <> N'master'
    THROW 50005, N'TensorAtom: the key and its login are in master; run this script there', 1;
GO
DECLARE @hash varbinary(64) = (SELECT TOP (1) hash FROM sys.trusted_assemblies WHERE description = N'TensorAtom.SqlClr' ORDER BY hash);
WHILE @hash IS NOT NULL
BEGIN
    EXEC sys.sp_drop_trusted_assembly @hash = @hash;
    SET @hash = (SELECT TOP (1) hash FROM sys.trusted_assemblies WHERE description = N'TensorAtom.SqlClr' ORDER BY hash);
END;
GO
IF EXISTS (SELECT 1 FROM sys.server_principals WHERE name = N'TensorAtomKeyLogin')
    EXEC (N'DROP LOGIN TensorAtomKeyLogin');
IF EXISTS (SELECT 1 FROM sys.asymmetric_keys WHERE name = N'TensorAtomKey')
    EXEC (N'DROP ASYMMETRIC KEY TensorAtomKey');
GO
