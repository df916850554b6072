-- Roles with the least that each kind of user needs; users are added to them, nobody gets anything by default.
-- Pure vector math, reading payloads, writing payloads, and keeping the store are four different trusts.
SET NOCOUNT ON;
SET XACT_ABORT ON;
GO
IF DATABASE_PRINCIPAL_ID(N'tensoratom_math') IS NULL
    EXEC (N'CREATE ROLE tensoratom_math AUTHORIZATION dbo');
IF DATABASE_PRINCIPAL_ID(N'tensoratom_reader') IS NULL
    EXEC (N'CREATE ROLE tensoratom_reader AUTHORIZATION dbo');
IF DATABASE_PRINCIPAL_ID(N'tensoratom_writer') IS NULL
    EXEC (N'CREATE ROLE tensoratom_writer AUTHORIZATION dbo');
IF DATABASE_PRINCIPAL_ID(N'tensoratom_operator') IS NULL
    EXEC (N'CREATE ROLE tensoratom_operator AUTHORIZATION dbo');
GO
-- What rows refer to is written with them, by the writers; nobody else changes what reconciliation goes by.
GRANT SELECT ON tensoratom.PayloadReference TO tensoratom_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON tensoratom.PayloadReference TO tensoratom_writer;
GRANT SELECT ON tensoratom.PayloadReference TO tensoratom_operator;
GRANT SELECT ON tensoratom.OrphanPayload TO tensoratom_operator;
GRANT SELECT ON tensoratom.MigrationRow TO tensoratom_operator;
GO
