//! Aggregates as the server runs them: one object for many groups, spilled after any row, merged in parts, dropped without a word.
using System;
using System.Collections.Generic;
using System.Data.SqlTypes;
using System.Globalization;
using System.IO;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Threading;
using Microsoft.SqlServer.Server;

internal static class AggregateTests
{
    private const int Dim = 5;
    private static readonly Host Host = new Host(Program.AssemblyPath);

    // Further arguments of Accumulate by the name of the aggregate; those that are not here take a row alone.
    private static readonly Dictionary<string, object[]> Further = new Dictionary<string, object[]>
    {
        { "clr_VectorWeightedCentroid", new object[] { new SqlDouble(2) } }, { "clr_VectorWeightedSum", new object[] { new SqlDouble(2) } },
        { "clr_VectorKMeans", new object[] { new SqlInt32(2) } }, { "clr_PrincipalComponents", new object[] { new SqlInt32(2) } },
        { "VectorKMeansCluster", new object[] { new SqlInt32(2) } }, { "PrincipalComponentAnalysis", new object[] { new SqlInt32(2) } },
        { "clr_VectorRandomProjection", new object[] { new SqlInt32(3), new SqlInt32(-7) } },
        { "RandomProjection", new object[] { new SqlInt32(3), new SqlInt32(-7) } },
    };

    public static void Values_are_those_of_plain_loops()
    {
        float[][] rows = Rows(1, 40);
        var mean = new double[Dim];
        var square = new double[Dim];
        var low = new double[Dim];
        var high = new double[Dim];
        var covariance = new double[Dim * Dim];
        for (int i = 0; i < Dim; i++)
        {
            low[i] = double.MaxValue;
            high[i] = double.MinValue;
            foreach (float[] row in rows)
            {
                mean[i] += row[i] / (double)rows.Length;
                low[i] = Math.Min(low[i], row[i]);
                high[i] = Math.Max(high[i], row[i]);
            }
        }
        for (int at = 0; at < covariance.Length; at++)
        {
            foreach (float[] row in rows)
            {
                covariance[at] += (row[at / Dim] - mean[at / Dim]) * (row[at % Dim] - mean[at % Dim]) / rows.Length;
            }
        }
        for (int i = 0; i < Dim; i++)
        {
            square[i] = covariance[i * Dim + i];
        }
        Same(mean, Blob("clr_VectorCentroid", rows), 1);
        Same(mean, Blob("clr_VectorWeightedCentroid", rows), 1);
        Same(mean, Blob("clr_VectorSum", rows), rows.Length);
        Same(mean, Blob("clr_VectorWeightedSum", rows), 2 * rows.Length);
        Same(low, Blob("clr_VectorMin", rows), 1);
        Same(high, Blob("clr_VectorMax", rows), 1);
        Same(covariance, Blob("clr_VectorCovariance", rows), 1);
        float[] moments = Blob("clr_VectorMeanVariance", rows);
        Check.Equal(2 * Dim, moments.Length);
        Same(mean, new ArraySegment<float>(moments, 0, Dim), 1);
        Same(square, new ArraySegment<float>(moments, Dim, Dim), 1);
    }

    public static void Clusters_medians_and_directions_are_found()
    {
        // Two heaps on the first axis: centres, the median of the larger one, and the direction between them are known.
        var rows = new List<float[]>();
        for (int i = 0; i < 30; i++)
        {
            rows.Add(new[] { i < 20 ? 0f : 10f, 0, 0 });
        }
        Check.Bytes(Values.Floats(0, 0, 0, 10, 0, 0), Values.Floats(Blob("clr_VectorKMeans", rows.ToArray())));
        float[] median = Blob("clr_GeometricMedian", rows.ToArray());
        Check.Close(0, median[0], 1e-6);
        float[] directions = Blob("clr_PrincipalComponents", rows.ToArray());
        Check.Close(10 / 3.0, directions[0], 1e-6);
        Check.Close(1, Math.Abs(directions[3]), 1e-6);
        string clusters = ((SqlString)Finish(Fed("VectorKMeansCluster", rows.ToArray()))).Value;
        Check.Equal("[{\"centroid\":[0,0,0],\"weight\":20},{\"centroid\":[10,0,0],\"weight\":10}]", clusters);
        string components = ((SqlString)Finish(Fed("PrincipalComponentAnalysis", rows.ToArray()))).Value;
        Check.True(components.StartsWith("{\"mean\":[3.33333", StringComparison.Ordinal) && components.EndsWith("}]}", StringComparison.Ordinal), components);
        // Exponentials of these are beyond f64; the sum of two equal ones is log 2 more than each.
        string softmax = ((SqlString)Finish(Fed("StreamingSoftmax", new float[] { 1000, 0 }, new float[] { 1000, -2000 }))).Value;
        Check.Equal("{\"log_sum_exp\":[1000.6931471805599,0],\"avg_probabilities\":[0.5,0.5],\"count\":2}", softmax);
        Check.Close(1000.6931, Blob("clr_VectorLogSumExp", new float[] { 1000 }, new float[] { 1000 })[0], 1e-3);
        Check.Equal("[2,1.5]", ((SqlString)Finish(Fed("VectorCentroid", new float[] { 1, 1 }, new float[] { 3, 2 }))).Value);
        Check.Equal("{\"weight\":2,\"mean\":[2],\"variance\":[1]}", ((SqlString)Finish(Fed("VectorMeanVariance", new float[] { 1 }, new float[] { 3 }))).Value);
        Check.Equal("[[1]]", ((SqlString)Finish(Fed("VectorCovariance", new float[] { 1 }, new float[] { 3 }))).Value);
    }

    // A sort that ran out of memory lost what had been added, and a parallel plan gave another mean than a serial one.
    public static void Every_aggregate_survives_spills_after_every_row_and_merges_of_parts()
    {
        float[][] rows = Rows(2, 60);
        foreach (KeyValuePair<string, Type> aggregate in Host.Aggregates)
        {
            object whole = Fed(aggregate.Key, rows);
            object spilled = New(aggregate.Key);
            object[] parts = { New(aggregate.Key), New(aggregate.Key), New(aggregate.Key) };
            for (int i = 0; i < rows.Length; i++)
            {
                Add(aggregate.Key, spilled, rows[i]);
                spilled = Host.Spill(spilled);
                Add(aggregate.Key, parts[i % 2], rows[i]);
            }
            // The third part saw no row, on either side of a merge.
            object merged = parts[2];
            Host.Do(merged, "Merge", Host.Spill(parts[0]));
            Host.Do(merged, "Merge", parts[1]);
            Host.Do(merged, "Merge", New(aggregate.Key));
            AreClose(aggregate.Key + ", spilled", Finish(whole), Finish(spilled));
            AreClose(aggregate.Key + ", merged", Finish(whole), Finish(merged));
        }
    }

    // A parallel plan merges in whatever order its threads end; a state that another was merged into must not change either.
    public static void Parts_are_merged_in_any_order_and_grouping()
    {
        float[][] rows = Rows(7, 30);
        foreach (KeyValuePair<string, Type> aggregate in Host.Aggregates)
        {
            string name = aggregate.Key;
            Func<int, object> part = number => Fed(name, Array.FindAll(rows, row => Array.IndexOf(rows, row) % 3 == number));
            Func<object, object, object> merge = (into, other) =>
            {
                object before = Finish(other);
                Host.Do(into, "Merge", other);
                AreClose(name + ", what was merged", before, Finish(other));
                return into;
            };
            object whole = Finish(Fed(name, rows));
            AreClose(name + ", (0 1) 2", whole, Finish(merge(merge(part(0), part(1)), part(2))));
            AreClose(name + ", 0 (1 2)", whole, Finish(merge(part(0), merge(part(1), part(2)))));
            AreClose(name + ", (2 0) 1", whole, Finish(merge(merge(part(2), part(0)), part(1))));
            AreClose(name + ", spilled 2 (1 0)", whole, Finish(merge(Host.Spill(part(2)), Host.Spill(merge(part(1), part(0))))));
        }
    }

    // A server in Germany wrote commas into numbers, and each number became two.
    public static void Numbers_in_json_do_not_depend_on_the_language_of_the_server()
    {
        CultureInfo before = Thread.CurrentThread.CurrentCulture;
        try
        {
            Thread.CurrentThread.CurrentCulture = new CultureInfo("de-DE");
            Check.Equal("1,5", 1.5.ToString()); // else this machine has no such language, and nothing is tested
            Check.Equal("[0.75,-0.0009765625]", ((SqlString)Finish(Fed("VectorCentroid", new[] { 1.5f, -1 / 1024f }, new[] { 0f, -1 / 1024f }))).Value);
            Check.Equal("[1.5]", ((SqlString)Host.Call("clr_BytesToFloatArrayJson", Values.Vector(1.5f))).Value);
            Check.Equal(1.5f, Values.Floats(((SqlBytes)Host.Call("clr_JsonFloatArrayToBytes", new SqlString("[1.5]"))).Value)[0]);
        }
        finally
        {
            Thread.CurrentThread.CurrentCulture = before;
        }
    }

    // The rows of one group were counted again in the next one, because the server keeps the object.
    public static void Init_begins_anew_also_after_an_error()
    {
        foreach (KeyValuePair<string, Type> aggregate in Host.Aggregates)
        {
            object reused = Fed(aggregate.Key, Rows(3, 9));
            string name = aggregate.Key;
            Check.Fails("", () => Add(name, reused, new float[Dim + 1]));
            Host.Do(reused, "Init");
            Check.True(((INullable)Finish(reused)).IsNull, name + " must be NULL before the first row");
            float[][] rows = { new float[] { 1, 2 }, new float[] { 3, 5 }, new float[] { 4, 4 } };
            foreach (float[] row in rows)
            {
                Add(name, reused, row);
            }
            AreClose(name, Finish(Fed(name, rows)), Finish(reused));
        }
    }

    public static void Null_rows_are_no_rows_and_groups_of_them_are_null()
    {
        foreach (KeyValuePair<string, Type> aggregate in Host.Aggregates)
        {
            object empty = New(aggregate.Key);
            Accumulate(aggregate.Key, empty, Null(aggregate.Value));
            empty = Host.Spill(empty);
            Check.True(((INullable)Finish(empty)).IsNull, aggregate.Key + " of no row must be NULL");
            object some = New(aggregate.Key);
            float[][] rows = Rows(4, 12);
            foreach (float[] row in rows)
            {
                Accumulate(aggregate.Key, some, Null(aggregate.Value));
                Add(aggregate.Key, some, row);
            }
            AreClose(aggregate.Key, Finish(Fed(aggregate.Key, rows)), Finish(some));
        }
        object weighted = New("clr_VectorWeightedSum");
        Host.Do(weighted, "Accumulate", Values.Vector(1, 2), SqlDouble.Null);
        Check.True(((INullable)Finish(weighted)).IsNull, "a row of NULL weight is no row");
    }

    // A row of another length was skipped in silence, and the mean was that of the others.
    public static void Rows_of_unequal_or_broken_length_are_errors()
    {
        object centroid = Fed("clr_VectorCentroid", new float[] { 1, 2 });
        Check.Fails("as many dimensions", () => Add("clr_VectorCentroid", centroid, new float[] { 1, 2, 3 }));
        Check.Fails("", () => Add("clr_VectorCentroid", Host.Spill(centroid), new float[] { 1, 2, 3 }));
        Check.Fails("7 bytes", () => Host.Do(centroid, "Accumulate", new SqlBytes(new byte[7])));
        object json = Fed("VectorCentroid", new float[] { 1, 2 });
        Check.Fails("", () => Add("VectorCentroid", json, new float[] { 1 }));
        Check.Fails("", () => Host.Do(json, "Accumulate", new SqlString("[1,")));
        object clusters = Fed("clr_VectorKMeans", new float[] { 1, 2 });
        Check.Fails("same number", () => Host.Do(Host.Spill(clusters), "Accumulate", Values.Vector(1, 2), new SqlInt32(3)));
        Check.Fails("1 or more", () => Host.Do(New("clr_VectorKMeans"), "Accumulate", Values.Vector(1), SqlInt32.Null));
        object other = New("clr_VectorKMeans");
        Host.Do(other, "Accumulate", Values.Vector(1, 2), new SqlInt32(3));
        Check.Fails("", () => Host.Do(clusters, "Merge", other));
    }

    // Rows that were collected for one call were lost or taken twice where the space for them ended.
    public static void Every_number_of_rows_is_counted_once_for_short_and_long_rows()
    {
        foreach (int dim in new[] { 1, 5, 384, 1500, 2048, 5000 })
        {
            var row = new float[dim];
            row[dim - 1] = 3;
            object sum = New("clr_VectorSum");
            object weighted = New("clr_VectorWeightedSum");
            for (int count = 1; count < 40; count++)
            {
                Host.Do(sum, "Accumulate", Values.Vector(row));
                Host.Do(weighted, "Accumulate", Values.Vector(row), new SqlDouble(count));
                bool isSpilled = count % 7 == 0;
                sum = isSpilled ? Host.Spill(sum) : sum;
                // To look at the value is not part of what the server does, and must not matter either.
                float[] total = Values.Floats(((SqlBytes)Finish(count % 5 == 0 ? sum : Host.Spill(sum))).Value);
                Check.Equal(3f * count, total[dim - 1]);
                Check.True(dim == 1 || total[0] == 0, "a number of another element");
            }
            Check.Equal(3f * 780, Values.Floats(((SqlBytes)Finish(weighted)).Value)[dim - 1]);
        }
        Check.Fails("0 elements", () => Fed("clr_VectorSum", new float[0]));
    }

    // A state that grew with the rows filled tempdb; one that claimed a size the file did not have filled memory.
    public static void States_are_bounded_and_broken_ones_refused()
    {
        foreach (KeyValuePair<string, Type> aggregate in Host.Aggregates)
        {
            var facts = (SqlUserDefinedAggregateAttribute)Attribute.GetCustomAttribute(aggregate.Value, typeof(SqlUserDefinedAggregateAttribute));
            Check.Equal(-1, facts.MaxByteSize);
            Check.Equal(Format.UserDefined, facts.Format);
        }
        object centroid = Fed("clr_VectorCentroid", Rows(5, 10));
        int few = State(centroid).Length;
        foreach (float[] row in Rows(6, 5000))
        {
            Add("clr_VectorCentroid", centroid, row);
        }
        byte[] state = State(centroid);
        Check.Equal(few, state.Length);
        for (int cut = 0; cut < state.Length; cut++)
        {
            byte[] shorter = new byte[cut];
            Array.Copy(state, shorter, cut);
            Refused(shorter);
        }
        // The version is first; the length of the state lies behind the text of its kind.
        byte[] huge = (byte[])state.Clone();
        huge[2 + state[1] + 3] = 0x7F;
        Check.Fails("cannot be one", () => Load(huge));
        byte[] newer = (byte[])state.Clone();
        newer[0]++;
        Check.Fails("it has version 2", () => Load(newer));
    }

    // Terminate is never called after an error: what the finalizer does not close stays for the life of the server.
    public static void Abandoned_aggregates_are_closed_by_the_collector()
    {
        const int Each = 2000;
        const int Rounds = 4;
        for (int round = 0; round < Rounds; round++)
        {
            Abandon(Each);
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        // The lowest 24 bits of a handle are its place in the table, and places of closed ones are used again.
        object state = Private(Fed("clr_VectorCentroid", new float[] { 1, 2 }), "state");
        long place = ((SafeHandle)Private(state, "native")).DangerousGetHandle().ToInt64() & 0xFFFFFF;
        Check.True(place < Each * (Rounds - 1), "place " + place + " of the table: abandoned handles stay open");
    }

    private static void Abandon(int count)
    {
        for (int i = 0; i < count; i++)
        {
            Fed("clr_VectorCentroid", new float[] { i, i });
        }
    }

    private static object Private(object owner, string field)
    {
        return owner.GetType().GetField(field, BindingFlags.Instance | BindingFlags.NonPublic).GetValue(owner);
    }

    private static float[][] Rows(int seed, int count)
    {
        var rows = new float[count][];
        for (int i = 0; i < count; i++)
        {
            rows[i] = Values.Random(seed * 1000 + i, Dim);
        }
        return rows;
    }

    private static object New(string name)
    {
        object aggregate = Host.NewAggregate(name);
        Host.Do(aggregate, "Init");
        return aggregate;
    }

    private static object Fed(string name, params float[][] rows)
    {
        object aggregate = New(name);
        foreach (float[] row in rows)
        {
            Add(name, aggregate, row);
        }
        return aggregate;
    }

    private static void Add(string name, object aggregate, float[] row)
    {
        SqlBytes blob = Values.Streamed(Values.Floats(row));
        bool isBinary = name.StartsWith("clr_", StringComparison.Ordinal);
        Accumulate(name, aggregate, isBinary ? (object)blob : (SqlString)Host.Call("clr_BytesToFloatArrayJson", blob));
    }

    private static void Accumulate(string name, object aggregate, object row)
    {
        object[] further;
        var arguments = new List<object> { row };
        arguments.AddRange(Further.TryGetValue(name, out further) ? further : new object[0]);
        Host.Do(aggregate, "Accumulate", arguments.ToArray());
    }

    private static object Null(Type aggregate)
    {
        bool isBinary = aggregate.GetMethod("Accumulate").GetParameters()[0].ParameterType == typeof(SqlBytes);
        return isBinary ? (object)SqlBytes.Null : SqlString.Null;
    }

    private static object Finish(object aggregate)
    {
        return Host.Do(aggregate, "Terminate");
    }

    private static float[] Blob(string name, params float[][] rows)
    {
        return Values.Floats(((SqlBytes)Finish(Fed(name, rows))).Value);
    }

    private static byte[] State(object aggregate)
    {
        var bytes = new MemoryStream();
        ((IBinarySerialize)aggregate).Write(new BinaryWriter(bytes));
        return bytes.ToArray();
    }

    private static void Load(byte[] state)
    {
        ((IBinarySerialize)New("clr_VectorCentroid")).Read(new BinaryReader(new MemoryStream(state)));
    }

    private static void Refused(byte[] state)
    {
        try
        {
            Load(state);
        }
        catch (Exception)
        {
            return;
        }
        throw new Exception("a state cut to " + state.Length + " bytes was taken");
    }

    private static void Same(double[] expected, IList<float> found, double factor)
    {
        Check.Equal(expected.Length, found.Count);
        for (int i = 0; i < expected.Length; i++)
        {
            Check.Close(expected[i] * factor, found[i], 1e-6 * factor);
        }
    }

    // Sums in another order round otherwise; a direction is one up to its sign, which follows from the largest element.
    private static void AreClose(string what, object expected, object found)
    {
        double[] a = Numbers(expected);
        double[] b = Numbers(found);
        Check.Equal(what + ": " + a.Length, what + ": " + b.Length);
        Check.True(a.Length > 0, what + ": no numbers");
        for (int i = 0; i < a.Length; i++)
        {
            Check.True(Math.Abs(a[i] - b[i]) <= 1e-5, what + ": " + a[i] + " and " + b[i]);
        }
    }

    private static double[] Numbers(object value)
    {
        var blob = value as SqlBytes;
        if (blob != null)
        {
            return Array.ConvertAll(Values.Floats(blob.Value), number => (double)number);
        }
        var numbers = new List<double>();
        string text = ((SqlString)value).Value;
        foreach (string word in text.Split('[', ']', ',', ':', '{', '}'))
        {
            double number;
            if (double.TryParse(word, System.Globalization.NumberStyles.Float, System.Globalization.CultureInfo.InvariantCulture, out number))
            {
                numbers.Add(number);
            }
        }
        return numbers.ToArray();
    }
}
