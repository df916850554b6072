//! The loader and the configuration against the library of this build, against one that was tampered with, and against hostile files.
using System;
using System.Data.SqlTypes;
using System.IO;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using TensorAtom.SqlClr;

internal static class LoaderTests
{
    private static readonly string Folder = Environment.GetEnvironmentVariable("TENSORATOM_SQL_BUILD");
    private static readonly string Good = Path.Combine(Folder, "libtensoratom-1.so");
    private static readonly string GoodHash = Hash(Good); // takes half a second

    private static string Hash(string path)
    {
        using (var sha = SHA256.Create())
        {
            return BitConverter.ToString(sha.ComputeHash(File.ReadAllBytes(path))).Replace("-", "").ToLowerInvariant();
        }
    }

    // A library swapped on disk ran inside the server with the rights of the service.
    public static void A_library_of_another_hash_is_not_loaded()
    {
        string path = Path.Combine(Folder, "libtampered-1.so");
        byte[] bytes = File.ReadAllBytes(Good);
        bytes[bytes.Length - 1] ^= 1;
        File.WriteAllBytes(path, bytes);
        Check.Fails("SHA-256", () => NativeLibrary.Load(path, 1, GoodHash));
    }

    // A relative path is looked up in folders that somebody else may write to.
    public static void A_relative_path_and_another_version_are_refused()
    {
        Check.Fails("absolute path", () => NativeLibrary.Load("libtensoratom-1.so", 1, ""));
        Check.Fails("-2.so", () => NativeLibrary.Load(Good, 2, ""));
    }

    // Two databases are never upgraded at the same moment: the one that was not yet lost its functions.
    public static void Each_assembly_finds_its_own_build_among_several()
    {
        string absent = Path.Combine(Folder, "libabsent-1.so");
        Check.True(NativeLibrary.LoadAny(new[] { absent, "relative", Good }, 1, GoodHash) != null, "the third is the one");
        Check.Fails("absolute path", () => NativeLibrary.LoadAny(new[] { absent, "relative" }, 1, GoodHash));
        WithConfiguration("library = /a\nlibrary.next = /b\nstore.a = /x\n", () => Check.Equal("/a /b", string.Join(" ", Configuration.Libraries())));
        WithConfiguration("store.a = /x\n", () => Check.Fails("library = PATH", () => Configuration.Libraries()));
    }

    // One file serves two readers: where they differ, a tenant is one thing here and another to the language extension.
    public static void The_file_means_what_it_means_to_the_language_extension()
    {
        string root = Environment.GetEnvironmentVariable("TENSORATOM_SQL_SOURCE");
        string[] cases = Regex.Split(File.ReadAllText(Path.Combine(root, "sqlclr-shim/sql.conf.cases")).Replace("\r\n", "\n"), "\n== ");
        Check.True(cases.Length > 20, "only " + cases.Length + " cases were found");
        for (int i = 1; i < cases.Length; i++)
        {
            string head = cases[i].Substring(0, cases[i].IndexOf('\n'));
            string text = cases[i].Substring(head.Length + 1).Replace("^", "\uFEFF").Replace("_\n", " \n");
            string alias = head.Substring(0, head.IndexOf(": ", StringComparison.Ordinal));
            string found = "an error";
            WithConfiguration(text, () =>
            {
                try
                {
                    Configuration.Registered meant = Configuration.Store(alias);
                    found = meant.Directory + " | " + (meant.Namespace.Length == 0 ? "-" : meant.Namespace) + " | "
                        + string.Join(" | ", Array.ConvertAll(new[] { meant.DeadlineMs, meant.Threads, meant.CacheMb }, number => number.IsNull ? "-" : number.ToString()));
                }
                catch (TensorAtomException)
                {
                }
            });
            Check.Equal(head, alias + ": " + found);
        }
        WithConfiguration(new byte[] { 0x23, 0xFF, 0x0A }, () => Check.Fails("UTF-8", () => Configuration.Store("a")));
    }

    private static void WithConfiguration(string text, Action body)
    {
        WithConfiguration(Encoding.UTF8.GetBytes(text), body);
    }

    private static void WithConfiguration(byte[] text, Action body)
    {
        string before = Environment.GetEnvironmentVariable(Configuration.FileVariable);
        string path = Path.Combine(Folder, "several.conf");
        try
        {
            File.WriteAllBytes(path, text);
            Environment.SetEnvironmentVariable(Configuration.FileVariable, path);
            body();
        }
        finally
        {
            Environment.SetEnvironmentVariable(Configuration.FileVariable, before);
        }
    }

    public static void A_file_that_is_no_library_and_a_missing_file_are_errors()
    {
        string path = Path.Combine(Folder, "libnonsense-1.so");
        File.WriteAllText(path, "not a library");
        Check.Fails("refused", () => NativeLibrary.Load(path, 1, Hash(path)));
        Check.Fails("correct the configuration", () => NativeLibrary.Load(Path.Combine(Folder, "libabsent-1.so"), 1, ""));
    }

    // A missing function was a null delegate, called in the middle of a query.
    public static void A_function_that_is_missing_is_named()
    {
        NativeLibrary library = NativeLibrary.Load(Good, 1, GoodHash);
        Check.Fails("'ta_absent'", () => library.Function<Action>("ta_absent"));
    }

    private unsafe delegate int Report(byte[] target, ulong capacity, out ulong length, void* error);

    // Memory of native code is not in what the server counts: an eighth of the machine was taken for what had been cold.
    public static unsafe void What_was_decoded_is_kept_within_the_bound_of_the_configuration()
    {
        new Host(Program.AssemblyPath).Call("clr_StoreStats", new SqlString("main"));
        var target = new byte[4096];
        ulong length;
        Check.Equal(0, NativeLibrary.Load(Good, 1, GoodHash).Function<Report>("ta_decode_cache")(target, 4096, out length, null));
        string found = Encoding.UTF8.GetString(target, 0, (int)length);
        Check.True(found.Contains("\"budget_bytes\":16777216"), found);
    }

    // T-SQL could name any directory that the service account can read.
    public static void A_path_is_not_an_alias()
    {
        foreach (string name in new[] { "", ".", "..", "../x", "/etc", "C:\\x", "\\\\host\\share", "a/b", "a\0", "a b", "store.x", "ä", new string('a', 65) })
        {
            Check.Fails("alias", () => Configuration.Store(name));
        }
        Check.Fails("no such alias", () => Configuration.Store("unregistered"));
    }

    // A typing error in the file must not open another directory than the one meant.
    public static void A_line_that_is_not_understood_is_an_error_with_its_number()
    {
        string before = Environment.GetEnvironmentVariable(Configuration.FileVariable);
        string path = Path.Combine(Folder, "bad.conf");
        try
        {
            Environment.SetEnvironmentVariable(Configuration.FileVariable, path);
            foreach (string line in new[] { "store.a", "store.a =", "store.a = relative", "store.a = /x/../y", "store.a = \\\\host\\share", "store.a = /x\nstore.a = /y",
                "store.a = /x\nnamespace.a =", "store.a = /x\ndeadline_ms.a = -1", "store.a = /x\ndeadline_ms.a = soon" })
            {
                File.WriteAllText(path, "# stores\n" + line + "\n");
                Check.Fails("line", () => Configuration.Store("a"));
            }
            File.WriteAllText(path, "# stores\r\n\r\n store.a = /x y \r\n");
            Configuration.Registered plain = Configuration.Store("a");
            Check.Equal("/x y", plain.Directory);
            Check.True(plain.Namespace == "" && plain.DeadlineMs.IsNull, "the default namespace, and no deadline");
            File.WriteAllText(path, "store.a = /x\nnamespace.a = tenant 7\ndeadline_ms.a = 500\n");
            Configuration.Registered more = Configuration.Store("a");
            Check.Equal("tenant 7, 500", more.Namespace + ", " + more.DeadlineMs);
            File.Delete(path);
            Check.Fails("create it", () => Configuration.Store("a"));
        }
        finally
        {
            Environment.SetEnvironmentVariable(Configuration.FileVariable, before);
        }
    }
}
