//! Calls the SQL CLR assembly under the CoreCLR of Windows: the library is loaded, checked against its pin and called through
//! P/Invoke, by several threads, with errors that come back as exceptions. The types of SQL Server that CoreCLR lacks
//! (aggregates, readers of rows) are run with Mono by `make clr-test`.
using System;
using System.Data.SqlTypes;
using System.IO;
using System.Threading;
using TensorAtom.SqlClr;

internal static class Host
{
    private static int Main(string[] arguments)
    {
        string folder = arguments[0];
        string store = Path.Combine(folder, "store");
        File.WriteAllLines(Path.Combine(folder, "sql.conf"), new[] { "library = " + arguments[1], "store.default = " + store });
        Environment.SetEnvironmentVariable("TENSORATOM_SQL_CONFIG", Path.Combine(folder, "sql.conf"));

        Same("dot", 32.0, VectorFunctions.DotProduct(Vector(1, 2, 3), Vector(4, 5, 6)).Value);
        Same("distance", 5.0, VectorFunctions.EuclideanDistance(Vector(0, 0), Vector(3, 4)).Value);
        Same("null", true, VectorFunctions.Norm(SqlBytes.Null).IsNull);
        Fails("lengths", () => VectorFunctions.DotProduct(Vector(1, 2), Vector(1)));

        OperatorProcedures.CreateStore(new SqlString("default"));
        var payload = new byte[3 << 20];
        new Random(7).NextBytes(payload);
        WriteProcedures.StorePayload(new SqlInt64(42), new SqlBytes(payload));
        Same("payload", BitConverter.ToString(payload), BitConverter.ToString(ReadFunctions.GetPayload(new SqlInt64(42)).Value));
        Same("missing", true, ReadFunctions.GetPayload(new SqlInt64(43)).IsNull);

        int wrong = 0;
        var threads = new Thread[4];
        for (int i = 0; i < threads.Length; i++)
        {
            threads[i] = new Thread(() =>
            {
                for (int call = 0; call < 500; call++)
                {
                    try
                    {
                        VectorFunctions.DotProduct(Vector(1, 2), Vector(1));
                        Interlocked.Increment(ref wrong);
                    }
                    catch (Exception error)
                    {
                        if (!error.Message.StartsWith("TensorAtom: ", StringComparison.Ordinal)) Interlocked.Increment(ref wrong);
                    }
                    if (VectorFunctions.Norm(Vector(3, 4)).Value != 5.0) Interlocked.Increment(ref wrong);
                }
            });
            threads[i].Start();
        }
        foreach (Thread thread in threads) thread.Join();
        Same("wrong answers of threads", 0, wrong);
        Console.WriteLine("the assembly works under " + Environment.Version + " on " + Environment.OSVersion);
        return 0;
    }

    private static SqlBytes Vector(params float[] values)
    {
        var bytes = new byte[4 * values.Length];
        Buffer.BlockCopy(values, 0, bytes, 0, bytes.Length);
        return new SqlBytes(bytes);
    }

    private static void Same<T>(string what, T expected, T found)
    {
        if (!Equals(expected, found)) throw new Exception(what + ": expected " + expected + ", found " + found);
    }

    private static void Fails(string what, Action call)
    {
        try
        {
            call();
        }
        catch (Exception error)
        {
            if (error.Message.StartsWith("TensorAtom: ", StringComparison.Ordinal)) return;
            throw;
        }
        throw new Exception(what + ": the call succeeded");
    }
}
