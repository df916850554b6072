-- Registers the language extension TensorAtom in this database. Set the path of the package, and of the file of stores.
-- Once per server before: EXEC sp_configure 'external scripts enabled', 1; RECONFIGURE; and the extensibility feature installed.
IF NOT EXISTS (SELECT * FROM sys.external_languages WHERE language = N'TensorAtom')
    CREATE EXTERNAL LANGUAGE TensorAtom FROM
        (CONTENT = N'/opt/tensoratom/tensoratom_extension.tar.gz', FILE_NAME = 'libtensoratom_extension.so', PLATFORM = LINUX,
         PARAMETERS = N'/etc/tensoratom/sql.conf');
ELSE
    ALTER EXTERNAL LANGUAGE TensorAtom SET
        (CONTENT = N'/opt/tensoratom/tensoratom_extension.tar.gz', FILE_NAME = 'libtensoratom_extension.so', PLATFORM = LINUX,
         PARAMETERS = N'/etc/tensoratom/sql.conf');
GO
-- On Windows instead:
--     (CONTENT = N'C:\TensorAtom\tensoratom_extension.zip', FILE_NAME = 'tensoratom_extension.dll', PLATFORM = WINDOWS,
--      PARAMETERS = N'C:\ProgramData\TensorAtom\sql.conf')
-- Who may run its scripts may read and write every registered store, and import and export: that is the writers alone.
GRANT EXECUTE ANY EXTERNAL SCRIPT TO tensoratom_writer;
GRANT EXECUTE EXTERNAL SCRIPT ON EXTERNAL LANGUAGE::TensorAtom TO tensoratom_writer;
GO
