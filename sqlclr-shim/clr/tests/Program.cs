//! Entry of the test host: runs the tests, writes the SQL scripts, or measures.
using System;
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
        if (arguments.Length == 1 && arguments[0] == "measure")
        {
            Measure.Run(new Host(AssemblyPath));
            return 0;
        }
        return Check.RunAll();
    }
}
