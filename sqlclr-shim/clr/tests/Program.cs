//! Entry of the test host: runs the tests, writes the SQL scripts, or measures.
using System;
using System.Data.SqlTypes;
using System.IO;

internal static class Program
{
    internal static string AssemblyPath
    {
        get { return Path.Combine(AppDomain.CurrentDomain.BaseDirectory, "TensorAtom.SqlClr.dll"); }
    }

    private static int Main(string[] arguments)
    {
        if (arguments.Length == 2 && arguments[0] == "sql")
        {
            SqlScripts.Write(new Host(AssemblyPath), arguments[1]);
            return 0;
        }
        PrepareStores();
        if (arguments.Length == 1 && arguments[0] == "measure")
        {
            Measure.Run(new Host(AssemblyPath));
            return 0;
        }
        return Check.RunAll();
    }

    // In the first AppDomain only: those that tests make find the stores there.
    private static void PrepareStores()
    {
        string build = Environment.GetEnvironmentVariable("TENSORATOM_SQL_BUILD");
        string stores = Path.Combine(build, "stores");
        if (Directory.Exists(stores))
        {
            Directory.Delete(stores, true);
        }
        Directory.CreateDirectory(stores);
        string[] lines =
        {
            "# written by the tests",
            "library = " + Path.Combine(build, "libtensoratom-1.so"),
            "store.main = " + Path.Combine(stores, "main"),
            "store.default = " + Path.Combine(stores, "default"),
            "store.tenant = " + Path.Combine(stores, "main"),
            "namespace.tenant = tenant 7",
            "store.late = " + Path.Combine(stores, "main"),
            "deadline_ms.late = 0",
        };
        File.WriteAllLines(Environment.GetEnvironmentVariable("TENSORATOM_SQL_CONFIG"), lines);
        var host = new Host(AssemblyPath);
        host.Call("clr_CreateStore", new SqlString("main"));
        host.Call("clr_CreateStore", new SqlString("default"));
        host.Call("clr_CreateStore", new SqlString("tenant"));
        host.Call("clr_CreateStore", new SqlString("tenant"));
    }
}
