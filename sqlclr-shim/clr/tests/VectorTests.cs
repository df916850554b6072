//! The vector functions as T-SQL meets them: NULL, empty, odd and unequal lengths, streamed values, many threads, two AppDomains.
using System;
using System.Collections.Generic;
using System.Data.SqlTypes;
using System.IO;
using System.Threading;

internal static class VectorTests
{
    private static readonly Host Host = new Host(Program.AssemblyPath);
    private static readonly string[] OfTwo = { "clr_VectorDotProduct", "clr_VectorCosineSimilarity", "clr_VectorEuclideanDistance", "clr_VectorAdd", "clr_VectorSubtract" };
    private static readonly string[] OfOne = { "clr_VectorNorm", "clr_VectorNormalize", "clr_VectorSoftmax", "clr_VectorArgMax" };

    private static float[] Floats(object result)
    {
        return Values.Floats(((SqlBytes)result).Value);
    }

    private static double Double(string name, params object[] arguments)
    {
        return ((SqlDouble)Host.Call(name, arguments)).Value;
    }

    private static void AllNull(string name, params object[] arguments)
    {
        Check.True(((INullable)Host.Call(name, arguments)).IsNull, name + " of NULL must be NULL");
    }

    // A NULL that throws ends the whole query of a procedure which has run for years.
    public static void Null_in_gives_null_out()
    {
        SqlBytes one = Values.Vector(1);
        foreach (string name in OfTwo)
        {
            AllNull(name, SqlBytes.Null, one);
            AllNull(name, one, SqlBytes.Null);
            AllNull(name, one, null);
        }
        foreach (string name in OfOne)
        {
            AllNull(name, SqlBytes.Null);
        }
        AllNull("clr_VectorScale", one, SqlDouble.Null);
        AllNull("clr_VectorScale", SqlBytes.Null, new SqlDouble(2));
        AllNull("clr_VectorLerp", one, one, SqlDouble.Null);
        AllNull("clr_VectorLerp", one, SqlBytes.Null, new SqlDouble(0.5));
    }

    // A tail that is cut off in silence gives a plausible number that is wrong.
    public static void Odd_and_unequal_lengths_are_errors()
    {
        foreach (string name in OfTwo)
        {
            Check.Fails("", () => Host.Call(name, Values.Vector(1, 2), Values.Vector(1)));
            Check.Fails("", () => Host.Call(name, new SqlBytes(new byte[5]), new SqlBytes(new byte[5])));
        }
        foreach (string name in OfOne)
        {
            Check.Fails("", () => Host.Call(name, new SqlBytes(new byte[7])));
        }
    }

    public static void Results_agree_with_a_plain_loop_for_every_length_and_storage()
    {
        foreach (int count in new[] { 1, 2, 3, 7, 16, 31, 33, 768, 1536, 40001 })
        {
            float[] a = Values.Random(count, count);
            float[] b = Values.Random(count + 1, count);
            double dot = 0, aa = 0, bb = 0, distance = 0;
            int largest = 0;
            for (int i = 0; i < count; i++)
            {
                dot += (double)a[i] * b[i];
                aa += (double)a[i] * a[i];
                bb += (double)b[i] * b[i];
                distance += ((double)a[i] - b[i]) * ((double)a[i] - b[i]);
                largest = a[i] > a[largest] ? i : largest;
            }
            double bound = 1e-5 * count;
            Func<SqlBytes>[] forms = { () => Values.Vector(a), () => Values.Streamed(Values.Floats(a)), () => Values.Loose(Values.Floats(a)) };
            foreach (Func<SqlBytes> form in forms)
            {
                Check.Close(dot, Double("clr_VectorDotProduct", form(), Values.Vector(b)), bound);
                Check.Close(dot / Math.Sqrt(aa * bb), Double("clr_VectorCosineSimilarity", form(), Values.Vector(b)), 1e-5);
                Check.Close(Math.Sqrt(distance), Double("clr_VectorEuclideanDistance", form(), Values.Vector(b)), bound);
                Check.Close(Math.Sqrt(aa), Double("clr_VectorNorm", form()), bound);
                Check.Equal(largest, ((SqlInt32)Host.Call("clr_VectorArgMax", form())).Value);
            }
            float[] sum = Floats(Host.Call("clr_VectorAdd", Values.Vector(a), Values.Vector(b)));
            float[] difference = Floats(Host.Call("clr_VectorSubtract", Values.Vector(a), Values.Vector(b)));
            float[] scaled = Floats(Host.Call("clr_VectorScale", Values.Vector(a), new SqlDouble(0.5)));
            float[] between = Floats(Host.Call("clr_VectorLerp", Values.Vector(a), Values.Vector(b), new SqlDouble(0.25)));
            float[] unit = Floats(Host.Call("clr_VectorNormalize", Values.Vector(a)));
            Check.Equal(count, sum.Length);
            for (int i = 0; i < count; i++)
            {
                Check.Equal(a[i] + b[i], sum[i]);
                Check.Equal(a[i] - b[i], difference[i]);
                Check.Equal(a[i] * 0.5f, scaled[i]);
                Check.Close(0.75 * a[i] + 0.25 * b[i], between[i], 1e-6);
                Check.Close(a[i] / Math.Sqrt(aa), unit[i], 1e-6);
            }
            double total = 0;
            foreach (float share in Floats(Host.Call("clr_VectorSoftmax", Values.Vector(a))))
            {
                total += share;
            }
            Check.Close(1, total, 1e-4);
        }
    }

    // A handle or a buffer shared between tasks mixed up the answers of two sessions.
    public static void Many_threads_get_their_own_answers()
    {
        var errors = new List<Exception>();
        var threads = new List<Thread>();
        for (int t = 0; t < 16; t++)
        {
            int seed = t;
            var thread = new Thread(() =>
            {
                try
                {
                    for (int i = 0; i < 500; i++)
                    {
                        float factor = seed * 1000 + i;
                        Check.Equal(3.0 * factor, Double("clr_VectorDotProduct", Values.Vector(1, 2), Values.Vector(factor, factor)));
                        Check.Fails("", () => Host.Call("clr_VectorNorm", new SqlBytes(new byte[3])));
                    }
                }
                catch (Exception error)
                {
                    lock (errors)
                    {
                        errors.Add(error);
                    }
                }
            });
            threads.Add(thread);
            thread.Start();
        }
        threads.ForEach(thread => thread.Join());
        Check.True(errors.Count == 0, errors.Count == 0 ? "" : errors[0].ToString());
    }

    // Each database has an AppDomain of its own, and the server unloads them under memory pressure, again and again.
    public static void An_AppDomain_can_be_unloaded_while_another_goes_on()
    {
        for (int round = 0; round < 3; round++)
        {
            AppDomain other = AppDomain.CreateDomain("database " + round);
            other.DoCallBack(() => Check.Equal(11.0, ((SqlDouble)new Host(Program.AssemblyPath).Call("clr_VectorDotProduct", Values.Vector(1, 2), Values.Vector(3, 4))).Value));
            AppDomain.Unload(other);
            Check.Equal(11.0, Double("clr_VectorDotProduct", Values.Vector(1, 2), Values.Vector(3, 4)));
        }
    }
}
