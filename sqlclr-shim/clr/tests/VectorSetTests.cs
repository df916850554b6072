//! Vector sets as T-SQL meets them: made, filled, searched with every filter, emptied.
using System;
using System.Collections.Generic;
using System.Data.SqlTypes;
using System.Linq;

internal static class VectorSetTests
{
    private const int Dim = 8;
    private const int Count = 300;
    private static readonly Host Host = new Host(Program.AssemblyPath);
    private static readonly SqlString Main = new SqlString("main");

    // A filter that is not heeded shows one customer the vectors of another.
    public static void Searches_give_the_rows_of_a_plain_loop_under_every_filter()
    {
        SqlString set = Filled("filters", "f32", "sqeuclidean");
        float[] query = Values.Random(77, Dim);
        List<KeyValuePair<double, long>> all = Nearest(query);
        Same(all, 10, Host.Rows("clr_SearchVectors", int.MaxValue, Main, set, Values.Vector(query), new SqlInt32(10)));
        Same(all, 5, Where(set, query, 5));
        SqlString some = new SqlString("7, 9,-3, 100,9");
        Same(all.Where(pair => pair.Value == 7 || pair.Value == 9 || pair.Value == 100), 3, Where(set, query, 10, only: some));
        Same(all.Where(pair => pair.Value != 7 && pair.Value != 9 && pair.Value != 100), Count - 3, Where(set, query, Count, not: some));
        Same(all.Where(pair => pair.Value >= 50), 4, Where(set, query, 4, min: 50));
        Same(all.Where(pair => pair.Value >= 50 && pair.Value <= 52), 3, Where(set, query, 4, min: 50, max: 52));
        double far = all[20].Key;
        Same(all, 21, Where(set, query, Count, distance: far + 1e-6));
        Check.Equal(0, Where(set, query, 5, only: new SqlString("")).Count);
        Check.Equal(0, Where(set, query, 0).Count);
    }

    public static void A_search_that_is_abandoned_or_null_costs_nothing()
    {
        SqlString set = Filled("abandoned", "f32", "cosine");
        SqlBytes query = Values.Vector(Values.Random(3, Dim));
        for (int i = 0; i < 200; i++)
        {
            Check.Equal(1, Host.Rows("clr_SearchVectors", 1, Main, set, query, new SqlInt32(50)).Count);
        }
        Check.Equal(0, Host.Rows("clr_SearchVectors", 1, Main, set, SqlBytes.Null, new SqlInt32(1)).Count);
        Check.Equal(0, Host.Rows("clr_SearchVectors", 1, SqlString.Null, set, query, new SqlInt32(1)).Count);
        // A k that is larger than the set took memory for all of k.
        Check.Equal(Count, Host.Rows("clr_SearchVectors", int.MaxValue, Main, set, query, new SqlInt32(1 << 20)).Count);
    }

    // The native side reads as many bytes as the set says: a shorter value would be read past its end.
    public static void Vectors_that_do_not_fit_the_set_are_errors()
    {
        SqlString set = Filled("unfit", "f32", "dot");
        Check.Fails("not one vector", () => Host.Call("clr_SearchVectors", Main, set, new SqlBytes(new byte[2 * Dim * 4]), new SqlInt32(1)));
        Check.Fails("whole number of vectors", () => Host.Call("clr_SearchVectors", Main, set, new SqlBytes(new byte[Dim * 4 - 1]), new SqlInt32(1)));
        Check.Fails("as many of both", () => Host.Call("clr_PutVectors", Main, set, new SqlString("1,2"), new SqlBytes(new byte[Dim * 4])));
        Check.Fails("'x'", () => Host.Call("clr_PutVectors", Main, set, new SqlString("x"), new SqlBytes(new byte[Dim * 4])));
        Check.Fails("", () => Host.Call("clr_CreateVectorSet", Main, set, new SqlInt64(3), new SqlString("f32"), new SqlString("dot")));
        Check.Fails("dim must be", () => Host.Call("clr_CreateVectorSet", Main, set, new SqlInt64(-3), new SqlString("f32"), new SqlString("dot")));
        Check.Fails("", () => Host.Call("clr_SearchVectors", Main, new SqlString("absent"), new SqlBytes(new byte[8]), new SqlInt32(1)));
        Check.Fails("empty", () => Host.Call("clr_SearchVectors", Main, new SqlString(""), new SqlBytes(new byte[8]), new SqlInt32(1)));
        Check.Fails("k must be", () => Host.Call("clr_SearchVectors", Main, set, new SqlBytes(new byte[Dim * 4]), new SqlInt32(-1)));
        Check.Fails("NULL", () => Host.Call("clr_PutVectors", Main, set, SqlString.Null, new SqlBytes(new byte[8])));
        Check.Equal((long)Count, Size(set));
    }

    public static void A_deadline_ends_a_search()
    {
        SqlString set = Filled("deadline", "f32", "dot");
        Check.Fails("", () => Host.Call("clr_SearchVectorsWhere", Main, set, Values.Vector(Values.Random(1, Dim)), new SqlInt32(3), SqlString.Null,
            SqlString.Null, SqlString.Null, SqlInt64.Null, SqlInt64.Null, SqlDouble.Null, new SqlInt32(0)));
        Check.Equal(3, Where(set, Values.Random(1, Dim), 3, deadline: 60000).Count);
    }

    public static void Vectors_are_replaced_and_deleted()
    {
        SqlString set = Filled("changed", "f32", "sqeuclidean");
        float[] here = Values.Random(55, Dim);
        Host.Call("clr_PutVectors", Main, set, new SqlString("12"), Values.Streamed(Values.Floats(here)));
        Check.Equal((long)Count, Size(set));
        List<object[]> found = Where(set, here, 1);
        Check.Equal(12L, ((SqlInt64)found[0][2]).Value);
        Check.Equal(0.0, ((SqlDouble)found[0][3]).Value);
        var delete = new object[] { Main, set, new SqlString("12,13,99999"), SqlInt64.Null };
        Host.Call("clr_DeleteVectors", delete);
        Check.Equal(2L, ((SqlInt64)delete[3]).Value);
        Check.Equal(Count - 2L, Size(set));
    }

    public static void Sets_of_other_types_say_what_they_are()
    {
        foreach (string type in new[] { "f16", "bf16", "i8" })
        {
            var set = new SqlString("typed/" + type);
            Host.Call("clr_CreateVectorSet", Main, set, new SqlInt64(4), new SqlString(type), new SqlString("sqeuclidean"));
            var vector = new SqlBytes(new byte[] { 1, 2, 3, 4, 5, 6, 7, 8 });
            Host.Call("clr_PutVectors", Main, set, new SqlString(type == "i8" ? "-5,6" : "6"), vector);
            List<object[]> found = Host.Rows("clr_SearchVectors", 9, Main, set, type == "i8" ? new SqlBytes(new byte[] { 5, 6, 7, 8 }) : vector, new SqlInt32(1));
            Check.Equal(6L, ((SqlInt64)found[0][2]).Value);
            object[] info = Host.Rows("clr_VectorSetInfo", 9, Main, set)[0];
            Check.Equal("4 " + type + " sqeuclidean", ((SqlInt64)info[1]).Value + " " + ((SqlString)info[2]).Value + " " + ((SqlString)info[3]).Value);
        }
        Check.Equal(0, Host.Rows("clr_VectorSetInfo", 9, Main, SqlString.Null).Count);
    }

    private static SqlString Filled(string name, string dtype, string metric)
    {
        var set = new SqlString("sets/" + name);
        Host.Call("clr_CreateVectorSet", Main, set, new SqlInt64(Dim), new SqlString(dtype), new SqlString(metric));
        Host.Call("clr_PutVectors", Main, set, new SqlString(string.Join(",", Enumerable.Range(0, Count))), Values.Vector(Values.Random(42, Dim * Count)));
        return set;
    }

    private static List<KeyValuePair<double, long>> Nearest(float[] query)
    {
        float[] vectors = Values.Random(42, Dim * Count);
        var found = new List<KeyValuePair<double, long>>();
        for (int row = 0; row < Count; row++)
        {
            double distance = 0;
            for (int i = 0; i < Dim; i++)
            {
                double difference = (double)vectors[row * Dim + i] - query[i];
                distance += difference * difference;
            }
            found.Add(new KeyValuePair<double, long>(distance, row));
        }
        found.Sort((a, b) => a.Key.CompareTo(b.Key));
        return found;
    }

    private static List<object[]> Where(SqlString set, float[] query, int k, SqlString? only = null, SqlString? not = null, long? min = null,
        long? max = null, double? distance = null, int? deadline = null)
    {
        return Host.Rows("clr_SearchVectorsWhere", int.MaxValue, Main, set, Values.Vector(query), new SqlInt32(k), SqlString.Null, only ?? SqlString.Null,
            not ?? SqlString.Null, min == null ? SqlInt64.Null : new SqlInt64(min.Value), max == null ? SqlInt64.Null : new SqlInt64(max.Value),
            distance == null ? SqlDouble.Null : new SqlDouble(distance.Value), deadline == null ? SqlInt32.Null : new SqlInt32(deadline.Value));
    }

    private static void Same(IEnumerable<KeyValuePair<double, long>> expected, int count, List<object[]> found)
    {
        Check.Equal(count, found.Count);
        int rank = 0;
        foreach (KeyValuePair<double, long> neighbor in expected.Take(count))
        {
            Check.Equal(rank + 1, ((SqlInt32)found[rank][1]).Value);
            Check.Equal(neighbor.Value, ((SqlInt64)found[rank][2]).Value);
            Check.Close(neighbor.Key, ((SqlDouble)found[rank][3]).Value, 1e-5);
            rank++;
        }
    }

    private static long Size(SqlString set)
    {
        return ((SqlInt64)Host.Rows("clr_VectorSetInfo", 1, Main, set)[0][4]).Value;
    }
}
