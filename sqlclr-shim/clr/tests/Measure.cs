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
        double best = double.MaxValue;
        for (int round = 0; round < Rounds; round++)
        {
            Stopwatch watch = Stopwatch.StartNew();
            for (int i = 0; i < Calls; i++)
            {
                body();
            }
            best = Math.Min(best, watch.Elapsed.TotalMilliseconds * 1e6 / Calls);
        }
        return best;
    }
}
