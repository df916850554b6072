//! The file an administrator writes: where the native library and the stores lie, and what an alias means besides. T-SQL can
//! name an alias, never a path.
using System;
using System.Collections.Generic;
using System.Data.SqlTypes;
using System.Globalization;
using System.IO;
using System.Text;

namespace TensorAtom.SqlClr
{
    /// <summary>
    /// Lines of `key = value`: `library = PATH`, `library.NAME = PATH` for each further build of it, `store.ALIAS = PATH` for each
    /// store, and where wanted `namespace.ALIAS = NAME`, `deadline_ms.ALIAS = NUMBER`, `threads = NUMBER` and `cache_mb = NUMBER`; `#`
    /// starts a comment. Paths are absolute. The file is read anew at each question, so that a new alias needs no restart; it must not be larger than 1 MiB.
    /// </summary>
    internal static class Configuration
    {
        internal const string FileVariable = "TENSORATOM_SQL_CONFIG";
        private const string LibraryKey = "library";
        private const string StorePrefix = "store.";
        private const string NamespacePrefix = "namespace.";
        private const string DeadlinePrefix = "deadline_ms.";
        private const string ThreadsKey = "threads";
        private const string CacheKey = "cache_mb";
        private const int ThreadsMax = 1024;
        private const int CacheMbMax = 1 << 20;
        private const int FileBytesMax = 1 << 20;
        private const int AliasCharsMax = 64;

        /// <summary>
        /// `%ProgramData%\TensorAtom\sql.conf`. The variable belongs to the environment of the service account: whoever
        /// can set it can replace the service's programs, too.
        /// </summary>
        internal static string File
        {
            get
            {
                string named = Environment.GetEnvironmentVariable(FileVariable);
                if (!string.IsNullOrEmpty(named))
                {
                    return named;
                }
                string folder = Environment.GetFolderPath(Environment.SpecialFolder.CommonApplicationData);
                return Path.Combine(folder, "TensorAtom", "sql.conf");
            }
        }

        /// <summary>Paths of native libraries: of one build for each assembly that some database still has.</summary>
        internal static List<string> Libraries()
        {
            var paths = new List<string>();
            foreach (KeyValuePair<string, string> line in Read())
            {
                if (line.Key == LibraryKey || line.Key.StartsWith(LibraryKey + ".", StringComparison.Ordinal))
                {
                    paths.Add(line.Value);
                }
            }
            if (paths.Count == 0)
            {
                throw new TensorAtomException("looking for the native library: '" + File + "' has no line 'library = PATH'; add it");
            }
            return paths;
        }

        /// <summary>What an alias means: a directory, in it a namespace ('' for the default one), and how long a call may take.</summary>
        internal struct Registered
        {
            internal string Directory;
            internal string Namespace;
            internal SqlInt32 DeadlineMs;
            // Of a store in this process; the first to open it decides.
            internal SqlInt32 Threads;
            internal SqlInt32 CacheMb;
        }

        /// <summary>What is registered for an alias. The error does not name directories: the caller may be anyone.</summary>
        internal static Registered Store(string alias)
        {
            CheckAlias(alias);
            Dictionary<string, string> lines = Read();
            string path, space;
            if (!lines.TryGetValue(StorePrefix + alias, out path))
            {
                throw new TensorAtomException(
                    "opening store '" + alias + "': no such alias is registered; an administrator adds it to the configuration file");
            }
            return new Registered
            {
                Directory = path,
                Namespace = lines.TryGetValue(NamespacePrefix + alias, out space) ? space : "",
                DeadlineMs = Number(lines, DeadlinePrefix + alias),
                Threads = Number(lines, ThreadsKey),
                CacheMb = Number(lines, CacheKey),
            };
        }

        private static SqlInt32 Number(Dictionary<string, string> lines, string key)
        {
            string value;
            return lines.TryGetValue(key, out value) ? int.Parse(value, NumberStyles.None, CultureInfo.InvariantCulture) : SqlInt32.Null;
        }

        /// <summary>Aliases in order, without their directories.</summary>
        internal static IEnumerable<string> Aliases()
        {
            var aliases = new List<string>();
            foreach (string key in Read().Keys)
            {
                if (key.StartsWith(StorePrefix, StringComparison.Ordinal))
                {
                    aliases.Add(key.Substring(StorePrefix.Length));
                }
            }
            aliases.Sort(StringComparer.Ordinal);
            return aliases;
        }

        private static void CheckAlias(string alias)
        {
            bool good = alias.Length > 0 && alias.Length <= AliasCharsMax;
            foreach (char c in alias)
            {
                good = good && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-');
            }
            if (!good)
            {
                throw new TensorAtomException("opening a store: an alias has 1 to 64 letters, digits, '_' or '-'; pass a registered alias, not a path");
            }
        }

        private static Dictionary<string, string> Read()
        {
            var found = new Dictionary<string, string>(StringComparer.Ordinal);
            int number = 0;
            foreach (string raw in Lines())
            {
                number++;
                string line = raw.Trim();
                if (line.Length == 0 || line[0] == '#')
                {
                    continue;
                }
                int at = line.IndexOf('=');
                string key = at < 0 ? line : line.Substring(0, at).Trim();
                string value = at < 0 ? "" : line.Substring(at + 1).Trim();
                if (value.Length == 0 || !IsValue(key, value) || found.ContainsKey(key))
                {
                    throw new TensorAtomException("reading the configuration, line " + number.ToString(CultureInfo.InvariantCulture)
                        + ": expected 'key = ABSOLUTE LOCAL PATH', 'namespace.ALIAS = NAME', or a number for 'deadline_ms.ALIAS', 'threads' and 'cache_mb', "
                        + "each key once; correct the file");
                }
                found.Add(key, value);
            }
            return found;
        }

        private static bool IsValue(string key, string value)
        {
            int most = key == ThreadsKey ? ThreadsMax : key == CacheKey ? CacheMbMax : key.StartsWith(DeadlinePrefix, StringComparison.Ordinal) ? int.MaxValue : 0;
            if (most > 0)
            {
                int number;
                return int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number <= most;
            }
            return key.StartsWith(NamespacePrefix, StringComparison.Ordinal) || IsLocalAbsolute(value);
        }

        // A share would hand the service account's credentials to whoever answers for it.
        private static bool IsLocalAbsolute(string path)
        {
            bool drive = path.Length > 3 && path[1] == ':' && (path[2] == '\\' || path[2] == '/');
            bool root = path[0] == '/' && Path.DirectorySeparatorChar == '/';
            return (drive || root) && path.IndexOf("..", StringComparison.Ordinal) < 0;
        }

        private static IEnumerable<string> Lines()
        {
            try
            {
                using (var file = new FileStream(File, FileMode.Open, FileAccess.Read, FileShare.Read))
                {
                    if (file.Length > FileBytesMax)
                    {
                        throw new TensorAtomException("reading the configuration: the file is larger than 1 MiB; correct it");
                    }
                    return new StreamReader(file, new UTF8Encoding(false, true)).ReadToEnd().Split('\n');
                }
            }
            catch (DecoderFallbackException)
            {
                throw new TensorAtomException("reading the configuration: it is no UTF-8 text; save it as one");
            }
            catch (Exception error) when (error is IOException || error is UnauthorizedAccessException)
            {
                throw new TensorAtomException("reading the configuration '" + File + "': " + error.Message
                    + "; create it and let the service account read it");
            }
        }
    }
}
