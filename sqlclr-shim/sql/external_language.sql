-- Registers the language extension TensorAtom in this database, on Linux or Windows, or replaces it by a newer build. Needs
-- nothing of the assembly's scripts. Once per server before: EXEC sp_configure 'external scripts enabled', 1; RECONFIGURE; and the
-- extensibility feature installed.
-- sqlcmd -b -d MyDatabase -v Package="/opt/tensoratom/tensoratom_extension.tar.gz" Config="/etc/tensoratom/sql.conf" -i external_language.sql
-- On Windows the package is tensoratom_extension.zip, and the file of stores, say, C:\ProgramData\TensorAtom\sql.conf.
SET NOCOUNT ON;
SET XACT_ABORT ON;
GO
DECLARE @is_windows bit = (SELECT CASE host_platform WHEN N'Windows' THEN 1 ELSE 0 END FROM sys.dm_os_host_info);
DECLARE @file nvarchar(max) = CONCAT(N'(CONTENT = N''$(Package)'', FILE_NAME = ''',
    CASE @is_windows WHEN 1 THEN N'tensoratom_extension.dll'', PLATFORM = WINDOWS' ELSE N'libtensoratom_extension.so'', PLATFORM = LINUX' END,
    N', PARAMETERS = N''$(Config)'')');
DECLARE @statement nvarchar(max) = N'CREATE EXTERNAL LANGUAGE TensorAtom FROM ';
IF EXISTS (SELECT 1 FROM sys.external_languages WHERE language = N'TensorAtom')
    SET @statement = N'ALTER EXTERNAL LANGUAGE TensorAtom SET ';
SET @statement = CONCAT(@statement, @file);
EXEC sys.sp_executesql @statement;
GO
-- Who may run its scripts may read and write every registered store, and import and export: that is the writers alone.
IF DATABASE_PRINCIPAL_ID(N'tensoratom_writer') IS NULL
    EXEC (N'CREATE ROLE tensoratom_writer AUTHORIZATION dbo');
GO
GRANT EXECUTE ANY EXTERNAL SCRIPT TO tensoratom_writer;
GRANT EXECUTE EXTERNAL SCRIPT ON EXTERNAL LANGUAGE::TensorAtom TO tensoratom_writer;
GO
