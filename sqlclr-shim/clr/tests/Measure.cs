//! Measures, never asserts: what a call through this assembly costs on this machine.
using System;
using System.Data.SqlTypes;
using System.Diagnostics;
using System.Reflection;

internal static class Measure
{
    private const int Calls = 200000;
    private const int Rounds = 5;

    internal static void Run(Host host)
    {
        Type functions = host.Assembly.GetType("TensorAtom.SqlClr.VectorFunctions");
        var dot = (Func<SqlBytes, SqlBytes, SqlDouble>)Delegate.CreateDelegate(typeof(Func<SqlBytes, SqlBytes, SqlDouble>), functions.GetMethod("DotProduct"));
        foreach (int dim in new[] { 8, 768, 1536 })
        {
            float[] a = Values.Random(1, dim);
            float[] b = Values.Random(2, dim);
            SqlBytes left = Values.Vector(a);
            SqlBytes right = Values.Vector(b);
            double sink = 0;
            double call = Best(() => sink += dot(left, right).Value);
            double loop = Best(() => sink += Plain(a, b));
            Console.WriteLine("dot, " + dim + " dims: " + call.ToString("F0") + " ns per call through the assembly, " + loop.ToString("F0")
                + " ns as a plain loop in C#" + (double.IsNaN(sink) ? "!" : ""));
        }
        Payload(host);
        Aggregate(host);
    }

    private static void Payload(Host host)
    {
        const int Size = 4 << 20;
        byte[] bytes = Values.RandomBytes(1, Size);
        var target = new byte[Size];
        host.Call("clr_StoreTensorAtomPayload", new SqlInt64(1), new SqlBytes(bytes));
        double get = Best(20, () => ((SqlBytes)host.Call("clr_GetTensorAtomPayload", new SqlInt64(1))).Read(0, target, 0, Size));
        double copy = Best(20, () => Buffer.BlockCopy(bytes, 0, target, 0, Size));
        Console.WriteLine("get of 4 MiB: " + (get / 1000).ToString("F0") + " us through the assembly, verified, " + (copy / 1000).ToString("F0") + " us as a copy of memory");
    }

    // As the server calls it: one Accumulate for each row.
    private static void Aggregate(Host host)
    {
        const int Rows = 100000;
        const int Distinct = 1000; // the same thousand rows again and again: reading them from a table is not what is measured
        const int Dim = 384;
        var floats = new float[Distinct][];
        var blobs = new SqlBytes[Distinct];
        for (int i = 0; i < Distinct; i++)
        {
            floats[i] = Values.Random(i, Dim);
            blobs[i] = Values.Vector(floats[i]);
        }
        object aggregate = host.NewAggregate("clr_VectorCentroid");
        var accumulate = (Action<SqlBytes>)Delegate.CreateDelegate(typeof(Action<SqlBytes>), aggregate, "Accumulate");
        double ours = Best(1, () =>
        {
            Host.Do(aggregate, "Init");
            for (int row = 0; row < Rows; row++)
            {
                accumulate(blobs[row % Distinct]);
            }
            Host.Do(aggregate, "Terminate");
        });
        var sums = new double[Dim];
        double plain = Best(1, () =>
        {
            for (int row = 0; row < Rows; row++)
            {
                float[] values = floats[row % Distinct];
                for (int i = 0; i < values.Length; i++)
                {
                    sums[i] += values[i];
                }
            }
        });
        Console.WriteLine("mean of 100,000 x 384: " + (ours / 1e6).ToString("F0") + " ms by clr_VectorCentroid, " + (plain / 1e6).ToString("F0")
            + " ms as a plain loop in C# over arrays that are there");
    }

    private static double Plain(float[] a, float[] b)
    {
        float sum = 0;
        for (int i = 0; i < a.Length; i++)
        {
            sum += a[i] * b[i];
        }
        return sum;
    }

    private static double Best(Action body)
    {
        return Best(Calls, body);
    }

    // Nanoseconds for each call, of the fastest round.
    private static double Best(int calls, Action body)
    {
        double best = double.MaxValue;
        for (int round = 0; round < Rounds; round++)
        {
            Stopwatch watch = Stopwatch.StartNew();
            for (int i = 0; i < calls; i++)
            {
                body();
            }
            best = Math.Min(best, watch.Elapsed.TotalMilliseconds * 1e6 / calls);
        }
        return best;
    }
}
