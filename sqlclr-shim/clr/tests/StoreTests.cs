//! Payloads through a real store: streamed in and out, ranges, listings, reports, abandoned scans, unloaded AppDomains.
using System;
using System.Collections.Generic;
using System.Data.SqlTypes;
using System.IO;
using System.Reflection;
using System.Threading;
using Microsoft.SqlServer.Server;

internal static class StoreTests
{
    private static readonly Host Host = new Host(Program.AssemblyPath);
    private static readonly SqlString Main = new SqlString("main");

    private static void Store(long id, SqlBytes payload)
    {
        Host.Call("clr_StoreTensorAtomPayloadIn", Main, new SqlInt64(id), payload);
    }

    private static SqlBytes Get(long id)
    {
        return (SqlBytes)Host.Call("clr_GetTensorAtomPayloadFrom", Main, new SqlInt64(id));
    }

    // The sizes around a block of the shim, a chunk of the engine and a segment's alignment are where bytes get lost.
    public static void A_payload_comes_back_as_it_was_for_every_size_and_storage()
    {
        long id = 1000;
        foreach (int size in new[] { 0, 1, 7, 4096, 65535, 65536, 65537, 262143, 262145, 5000001 })
        {
            byte[] bytes = Values.RandomBytes(size, size);
            foreach (SqlBytes form in new[] { new SqlBytes(bytes), Values.Streamed(bytes), Values.Loose(bytes) })
            {
                Store(++id, form);
                SqlBytes found = Get(id);
                Check.Equal((long)size, found.Length);
                Check.True(found.Storage == StorageState.Stream, "a payload must be streamed");
                Check.True(Convert.ToBase64String(bytes) == Convert.ToBase64String(found.Value), size + " bytes differ");
            }
        }
    }

    public static void Todays_names_use_the_default_store()
    {
        Host.Call("clr_StoreTensorAtomPayload", new SqlInt64(7), new SqlBytes(new byte[] { 1, 2, 3 }));
        Check.Bytes(new byte[] { 1, 2, 3 }, ((SqlBytes)Host.Call("clr_GetTensorAtomPayload", new SqlInt64(7))).Value);
        Check.True(Get(7).IsNull, "the store of another alias must not have it");
    }

    // A disk that fails under a mapping is a fault which ends the server; under a read it is an error.
    public static void No_payload_is_mapped_into_the_process_of_the_server()
    {
        Store(21, new SqlBytes(Values.RandomBytes(4, 3000000)));
        Check.Equal(3000000, Get(21).Value.Length);
        Host.Call("clr_VerifyStore", Main, new SqlString(""), SqlInt32.Null, SqlString.Null);
        string maps = File.ReadAllText("/proc/self/maps");
        Check.True(maps.Contains("libtensoratom-1.so") && !maps.Contains("/segments/"), "mapped: " + maps);
        // Nor is the processor taken: the server knows nothing of threads that are not its own.
        foreach (string task in Directory.GetDirectories("/proc/self/task"))
        {
            Check.True(File.ReadAllText(Path.Combine(task, "comm")).Trim() != "tensoratom-1", "a second thread of the library");
        }
    }

    // A range that ran past the end returned what lay behind it.
    public static void Ranges_are_cut_at_the_end_and_negative_ones_refused()
    {
        byte[] bytes = Values.RandomBytes(3, 300000);
        Store(20, new SqlBytes(bytes));
        foreach (long[] range in new[] { new long[] { 0, 10 }, new long[] { 262140, 10 }, new long[] { 299995, 100 }, new long[] { 300000, 1 }, new long[] { 999999, 1 }, new[] { 1, long.MaxValue } })
        {
            long start = Math.Min(range[0], bytes.Length);
            var expected = new byte[Math.Min(range[1], bytes.Length - start)];
            Array.Copy(bytes, start, expected, 0, expected.Length);
            var found = (SqlBytes)Host.Call("clr_GetTensorAtomPayloadRange", Main, new SqlInt64(20), new SqlInt64(range[0]), new SqlInt64(range[1]));
            Check.Bytes(expected, found.Value);
        }
        Check.Fails("negative", () => Host.Call("clr_GetTensorAtomPayloadRange", Main, new SqlInt64(20), new SqlInt64(-1), new SqlInt64(1)));
    }

    public static void What_is_not_there_is_null_and_what_is_null_is_not_stored()
    {
        Check.True(Get(-5).IsNull, "an unknown id is NULL");
        Check.True(((SqlBytes)Host.Call("clr_GetTensorAtomPayloadFrom", SqlString.Null, new SqlInt64(1))).IsNull, "NULL alias");
        Check.True(((SqlBytes)Host.Call("clr_GetTensorAtomPayload", SqlInt64.Null)).IsNull, "NULL id");
        Check.Fails("must not be NULL", () => Store(1, SqlBytes.Null));
        Check.Fails("no such alias", () => Host.Call("clr_StoreStats", new SqlString("other")));
        Check.Fails("not a path", () => Host.Call("clr_StoreStats", new SqlString("../main")));
    }

    // T-SQL cuts a text at the length of the parameter, in silence: then two long names were one.
    public static void A_name_that_is_too_long_or_no_text_is_refused_and_not_cut()
    {
        foreach (var routine in Host.Routines)
        {
            foreach (ParameterInfo parameter in routine.Value.GetParameters())
            {
                if (parameter.Name == "atomName" || parameter.Name == "setName" || parameter.Name == "prefix")
                {
                    Check.Equal(4000, ((SqlFacetAttribute)Attribute.GetCustomAttribute(parameter, typeof(SqlFacetAttribute))).MaxSize);
                }
            }
        }
        foreach (int length in new[] { 1025, 4000 })
        {
            Check.Fails("1024", () => Host.Call("clr_GetTensor", Main, new SqlString(new string('a', length))));
            Check.Fails("1024", () => Host.Call("clr_StoreTensor", Main, new SqlString(new string('a', length)), new SqlString("u8"), new SqlInt64(1), new SqlBytes(new byte[1])));
        }
        Check.Fails("surrogate", () => Host.Call("clr_GetTensor", Main, new SqlString("a\uD800")));
        Check.Fails("surrogate", () => Host.Rows("clr_ListAtoms", 1, Main, new SqlString("\uDC00")));
    }

    // A value that fails in the middle left half a payload under the id.
    public static void A_value_that_breaks_off_changes_nothing()
    {
        Store(30, new SqlBytes(new byte[] { 9 }));
        Check.Fails("broken pipe", () => Store(30, new SqlBytes(new BrokenStream())));
        Check.Bytes(new byte[] { 9 }, Get(30).Value);
    }

    // A reader that mixed two versions of a payload returned bytes that never existed.
    public static void A_value_that_is_being_read_stays_the_same_while_it_is_replaced()
    {
        byte[] old = Values.RandomBytes(5, 200000);
        Store(40, new SqlBytes(old));
        SqlBytes reading = Get(40);
        var first = new byte[1000];
        reading.Read(0, first, 0, first.Length);
        Store(40, new SqlBytes(new byte[] { 1 }));
        Check.True(Convert.ToBase64String(old) == Convert.ToBase64String(reading.Value), "the old version must be read to its end");
        Host.Call("clr_DeleteTensorAtomPayload", Main, new SqlInt64(40));
        Check.True(Get(40).IsNull, "deleted");
    }

    public static void A_listing_is_streamed_and_may_be_abandoned()
    {
        for (int i = 0; i < 20; i++)
        {
            Store(9000 + i, new SqlBytes(new byte[i]));
        }
        int matching = 0;
        foreach (object[] row in Host.Rows("clr_ListAtoms", int.MaxValue, Main, new SqlString("")))
        {
            var id = (SqlInt64)row[1];
            if (id.Value >= 9000 && id.Value < 9020)
            {
                matching++;
                Check.Equal(id.Value - 9000, ((SqlInt64)row[5]).Value);
                Check.Equal("[" + (id.Value - 9000) + "]", ((SqlString)row[4]).Value);
                Check.Equal("u8", ((SqlString)row[3]).Value);
            }
        }
        Check.Equal(20, matching);
        // BLAKE3-256 of nothing, as its authors give it.
        var digest = (SqlBytes)Host.Call("clr_TensorAtomPayloadDigest", Main, new SqlInt64(9000));
        Check.Equal("AF-13-49-B9-F5-F9-A1-A6", BitConverter.ToString(digest.Value, 0, 8));
        Check.True(((SqlBytes)Host.Call("clr_TensorAtomPayloadDigest", Main, new SqlInt64(-77))).IsNull, "an unknown id is NULL");
        for (int i = 0; i < 200; i++)
        {
            Check.Equal(1, Host.Rows("clr_ListAtoms", 1, Main, new SqlString("")).Count);
        }
        Check.Equal(0, Host.Rows("clr_ListAtoms", 1, SqlString.Null, new SqlString("")).Count);
    }

    // A tenant whose alias is not heeded in one function sees, and deletes, what belongs to others.
    public static void An_alias_with_a_namespace_sees_that_alone()
    {
        var tenant = new SqlString("tenant");
        Store(500, new SqlBytes(new byte[] { 1 }));
        Host.Call("clr_StoreTensorAtomPayloadIn", tenant, new SqlInt64(500), new SqlBytes(new byte[] { 2, 2 }));
        Host.Call("clr_StoreTensor", tenant, new SqlString("plane"), new SqlString("f32"), new SqlInt64(2), Values.Vector(1, 2, 3, 4));
        Func<byte[]> read = () => ((SqlBytes)Host.Call("clr_GetTensorAtomPayloadFrom", tenant, new SqlInt64(500))).Value;
        Check.Bytes(new byte[] { 2, 2 }, read());
        Check.Bytes(new byte[] { 1 }, Get(500).Value);
        List<object[]> listed = Host.Rows("clr_ListAtoms", int.MaxValue, tenant, new SqlString(""));
        Check.Equal("500, \"plane\"", string.Join(", ", listed.ConvertAll(row => row[2].ToString())));
        List<object[]> changes = Host.Rows("clr_Changes", int.MaxValue, tenant, new SqlInt64(0));
        Check.Equal("500, \"plane\"", string.Join(", ", changes.ConvertAll(row => row[4].ToString())));
        Check.Bytes(Values.Floats(1, 2, 3, 4), ((SqlBytes)Host.Call("clr_GetTensor", tenant, new SqlString("plane"))).Value);
        Check.True(((SqlBytes)Host.Call("clr_GetTensor", Main, new SqlString("plane"))).IsNull, "the atom of another namespace");
        Check.Fails("empty", () => Host.Call("clr_GetTensor", Main, new SqlString("")));
        Check.Equal(2, Host.Rows("clr_SearchMatrix", 9, tenant, new SqlString("plane"), new SqlString("dot"), Values.Vector(1, 1), new SqlInt32(9), SqlInt32.Null).Count);
        Check.Fails("", () => Host.Call("clr_SearchMatrix", Main, new SqlString("plane"), new SqlString("dot"), Values.Vector(1, 1), new SqlInt32(9), SqlInt32.Null));
        var digest = (SqlBytes)Host.Call("clr_TensorAtomPayloadDigest", tenant, new SqlInt64(500));
        Check.True(BitConverter.ToString(digest.Value) != BitConverter.ToString(((SqlBytes)Host.Call("clr_TensorAtomPayloadDigest", Main, new SqlInt64(500))).Value), "two payloads");
        Host.Call("clr_CreateVectorSet", tenant, new SqlString("own"), new SqlInt64(1), new SqlString("f32"), new SqlString("dot"));
        Host.Call("clr_PutVectors", tenant, new SqlString("own"), new SqlString("4"), Values.Vector(1));
        Check.Equal(1, Host.Rows("clr_SearchVectors", 9, tenant, new SqlString("own"), Values.Vector(1), new SqlInt32(9)).Count);
        Check.Fails("", () => Host.Rows("clr_VectorSetInfo", 9, Main, new SqlString("own")));
        var verify = new object[] { tenant, new SqlString(""), SqlInt32.Null, SqlString.Null };
        Host.Call("clr_VerifyStore", verify);
        Check.True(((SqlString)verify[3]).Value.Contains("\"atoms_checked\":2,"), "verify: " + verify[3]);
        Host.Call("clr_DeleteTensorAtomPayloadVersion", tenant, new SqlInt64(500), new SqlInt64(Lsn(changes[0])));
        Check.True(((SqlBytes)Host.Call("clr_GetTensorAtomPayloadFrom", tenant, new SqlInt64(500))).IsNull, "deleted there");
        Host.Call("clr_DeleteTensorAtomPayload", tenant, new SqlInt64(500));
        Check.Bytes(new byte[] { 1 }, Get(500).Value);
    }

    // The server cannot stop a thread in native code: what has no deadline of its own has that of its alias.
    public static void Every_call_on_an_alias_with_a_deadline_ends_at_it()
    {
        var late = new SqlString("late");
        Store(600, new SqlBytes(new byte[] { 1 }));
        Host.Call("clr_CreateVectorSet", Main, new SqlString("late"), new SqlInt64(1), new SqlString("f32"), new SqlString("dot"));
        Host.Call("clr_PutVectors", Main, new SqlString("late"), new SqlString("1"), Values.Vector(1));
        long before = Lsn(Changes(0).FindLast(row => Id(row) == 600));
        var calls = new List<Action>
        {
            () => Host.Call("clr_StoreTensorAtomPayloadIn", late, new SqlInt64(600), new SqlBytes(new byte[] { 2 })),
            () => Host.Call("clr_StoreTensor", late, new SqlString("late"), new SqlString("u8"), new SqlInt64(1), new SqlBytes(new byte[] { 2 })),
            () => Host.Call("clr_DeleteTensorAtomPayload", late, new SqlInt64(600)),
            () => Host.Call("clr_DeleteTensorAtomPayloadVersion", late, new SqlInt64(600), new SqlInt64(before)),
            () => Host.Call("clr_CreateVectorSet", late, new SqlString("never"), new SqlInt64(1), new SqlString("f32"), new SqlString("dot")),
            () => Host.Call("clr_PutVectors", late, new SqlString("late"), new SqlString("2"), Values.Vector(1)),
            () => Host.Call("clr_DeleteVectors", late, new SqlString("late"), new SqlString("1"), SqlInt64.Null),
            () => Host.Call("clr_StoreStats", late),
            () => Host.Call("clr_VerifyStore", late, new SqlString(""), SqlInt32.Null, SqlString.Null),
            () => Host.Call("clr_QueryStore", late, new SqlString("SELECT 1"), new SqlInt32(1), SqlString.Null),
            () => Host.Rows("clr_SearchVectors", 1, late, new SqlString("late"), Values.Vector(1), new SqlInt32(1)),
        };
        foreach (Action call in calls)
        {
            Check.Fails("deadline", call);
        }
        Check.Bytes(new byte[] { 1 }, Get(600).Value);
        // What the caller says goes before it.
        Check.Equal(1, Host.Rows("clr_SearchVectorsWhere", 9, late, new SqlString("late"), Values.Vector(1), new SqlInt32(9), SqlString.Null,
            SqlString.Null, SqlString.Null, SqlInt64.Null, SqlInt64.Null, SqlDouble.Null, new SqlInt32(600000)).Count);
    }

    // A collector deleted what had been stored under the id since it looked.
    public static void A_version_that_was_replaced_is_not_deleted()
    {
        Store(81000, new SqlBytes(new byte[] { 1 }));
        long old = Lsn(Changes(0).FindLast(row => Id(row) == 81000));
        Store(81000, new SqlBytes(new byte[] { 2 }));
        Check.Fails("", () => Host.Call("clr_DeleteTensorAtomPayloadVersion", Main, new SqlInt64(81000), new SqlInt64(old)));
        Check.Bytes(new byte[] { 2 }, Get(81000).Value);
        long now = Lsn(Changes(0).FindLast(row => Id(row) == 81000));
        Host.Call("clr_DeleteTensorAtomPayloadVersion", Main, new SqlInt64(81000), new SqlInt64(now));
        Check.True(Get(81000).IsNull, "deleted");
    }

    // A consumer that missed a delete kept the row for ever.
    public static void Changes_since_a_commit_are_streamed_in_order()
    {
        Store(80001, new SqlBytes(new byte[] { 1 }));
        long since = Lsn(Changes(0).FindLast(row => Id(row) == 80001));
        Store(80002, new SqlBytes(new byte[] { 2 }));
        Host.Call("clr_DeleteTensorAtomPayload", Main, new SqlInt64(80001));
        Host.Call("clr_StoreTensor", Main, new SqlString("changed/name"), new SqlString("u8"), new SqlInt64(1), new SqlBytes(new byte[] { 3 }));
        List<object[]> found = Changes(since);
        Check.Equal("80002 put, 80001 delete, \"changed/name\" put", string.Join(", ", found.ConvertAll(row => row[4] + " " + row[2])));
        Check.True(Lsn(found[0]) > since && Lsn(found[0]) < Lsn(found[1]) && Lsn(found[1]) < Lsn(found[2]), "in the order of commits");
        Check.True(((SqlInt64)found[2][3]).IsNull, "a name has no id");
        Check.Equal(0, Changes(Lsn(found[2])).Count);
        for (int i = 0; i < 100; i++)
        {
            Check.Equal(1, Host.Rows("clr_Changes", 1, Main, new SqlInt64(0)).Count);
        }
        Check.Equal(0, Host.Rows("clr_Changes", 1, SqlString.Null, new SqlInt64(0)).Count);
        Check.Fails("negative", () => Host.Call("clr_Changes", Main, new SqlInt64(-1)));
    }

    private static List<object[]> Changes(long since)
    {
        return Host.Rows("clr_Changes", int.MaxValue, Main, new SqlInt64(since));
    }

    private static long Lsn(object[] change)
    {
        return ((SqlInt64)change[1]).Value;
    }

    private static long Id(object[] change)
    {
        var id = (SqlInt64)change[3];
        return id.IsNull ? -1 : id.Value;
    }

    // A value larger than memory passes through in blocks; one that was collected whole took the server's memory with it.
    public static void A_large_value_passes_through_in_blocks()
    {
        string effort = Environment.GetEnvironmentVariable("TENSORATOM_TEST_EFFORT");
        // With more effort beyond 2 GiB, where 32-bit lengths end.
        long size = string.IsNullOrEmpty(effort) || effort == "1" ? 48L << 20 : (2L << 30) + 12345;
        long before = GC.GetTotalMemory(true);
        long peak = 0;
        Store(90000, new SqlBytes(new Pattern(size, () => peak = Math.Max(peak, GC.GetTotalMemory(false)))));
        SqlBytes found = Get(90000);
        Check.Equal(size, found.Length);
        var block = new byte[64 << 10];
        for (long at = 0; at < size; at += block.Length)
        {
            int count = (int)found.Read(at, block, 0, block.Length);
            peak = Math.Max(peak, GC.GetTotalMemory(false));
            Check.Equal((int)Math.Min(block.Length, size - at), count);
            Check.True(block[0] == Pattern.At(at) && block[count - 1] == Pattern.At(at + count - 1), "bytes at " + at + " differ");
        }
        Check.True(peak - before < 16 << 20, "managed memory grew by " + (peak - before) + " bytes");
        Host.Call("clr_DeleteTensorAtomPayload", Main, new SqlInt64(90000));
    }

    public static void Reports_are_json_and_the_store_is_sound()
    {
        Store(50, new SqlBytes(new byte[100]));
        var verify = new object[] { Main, new SqlString(""), SqlInt32.Null, SqlString.Null };
        Host.Call("clr_VerifyStore", verify);
        Check.True(((SqlString)verify[3]).Value.Contains("\"is_sound\":true"), "verify: " + verify[3]);
        Check.Fails("", () => Host.Call("clr_VerifyStore", Main, new SqlString(""), new SqlInt32(0), SqlString.Null));
        Check.Fails("not negative", () => Host.Call("clr_VerifyStore", Main, new SqlString(""), new SqlInt32(-1), SqlString.Null));
        Check.True(((SqlString)Host.Call("clr_StoreStats", Main)).Value.StartsWith("{", StringComparison.Ordinal), "stats");
        var query = new object[] { Main, new SqlString("SELECT 1 AS one"), new SqlInt32(10), SqlString.Null };
        Host.Call("clr_QueryStore", query);
        Check.True(((SqlString)query[3]).Value.Contains("[[1]]"), "query: " + query[3]);
        Check.Fails("", () => Host.Call("clr_QueryStore", Main, new SqlString("DELETE FROM atoms"), new SqlInt32(10), SqlString.Null));
        Check.Equal(4, Host.Rows("clr_StoreAliases", int.MaxValue).Count);
    }

    public static void A_stored_matrix_is_searched_exactly()
    {
        const int Rows = 500;
        const int Dim = 24;
        float[] matrix = Values.Random(9, Rows * Dim);
        Host.Call("clr_StoreTensor", Main, new SqlString("words/embeddings"), new SqlString("f32"), new SqlInt64(Dim), new SqlBytes(Values.Floats(matrix)));
        float[] query = Values.Random(10, Dim);
        var distances = new double[Rows];
        var rows = new int[Rows];
        for (int row = 0; row < Rows; row++)
        {
            rows[row] = row;
            for (int i = 0; i < Dim; i++)
            {
                double difference = (double)matrix[row * Dim + i] - query[i];
                distances[row] += difference * difference;
            }
        }
        Array.Sort((double[])distances.Clone(), rows);
        List<object[]> found = Host.Rows("clr_SearchMatrix", 10, Main, new SqlString("words/embeddings"), new SqlString("sqeuclidean"), Values.Vector(query), new SqlInt32(10), SqlInt32.Null);
        Check.Equal(10, found.Count);
        for (int i = 0; i < found.Count; i++)
        {
            Check.Equal(i + 1, ((SqlInt32)found[i][1]).Value);
            Check.Equal((long)rows[i], ((SqlInt64)found[i][2]).Value);
            Check.Close(distances[rows[i]], ((SqlDouble)found[i][3]).Value, 1e-4);
        }
        Check.Fails("does not fit", () => Host.Call("clr_SearchMatrix", Main, new SqlString("words/embeddings"), new SqlString("dot"), Values.Vector(1), new SqlInt32(1), SqlInt32.Null));
    }

    // Bytes are no matrix: a search in them must say so, not read beyond the query.
    public static void A_search_in_what_is_no_matrix_is_an_error()
    {
        Check.Fails("", () => Host.Call("clr_SearchMatrix", Main, new SqlString("absent"), new SqlString("cosine"), Values.Vector(1, 2), new SqlInt32(3), SqlInt32.Null));
        Check.Fails("k must be", () => Host.Call("clr_SearchMatrix", Main, new SqlString("absent"), new SqlString("cosine"), Values.Vector(1, 2), new SqlInt32(-3), SqlInt32.Null));
        Check.Fails("unknown metric", () => Host.Call("clr_SearchMatrix", Main, new SqlString("absent"), new SqlString("x"), Values.Vector(1, 2), new SqlInt32(3), SqlInt32.Null));
    }

    public static void Threads_write_and_read_at_once()
    {
        Exception failure = null;
        var threads = new List<Thread>();
        for (int t = 0; t < 8; t++)
        {
            int seed = t;
            var thread = new Thread(() =>
            {
                try
                {
                    for (int i = 0; i < 10; i++)
                    {
                        byte[] bytes = Values.RandomBytes(seed * 100 + i, 1000 + seed);
                        Store(seed + 70000, new SqlBytes(bytes));
                        Check.Bytes(bytes, Get(seed + 70000).Value);
                    }
                }
                catch (Exception error)
                {
                    failure = error;
                }
            });
            threads.Add(thread);
            thread.Start();
        }
        threads.ForEach(thread => thread.Join());
        Check.True(failure == null, "" + failure);
    }

    // A new AppDomain gets its first calls from many sessions at once: each of them must find one store, open.
    public static void The_first_calls_of_a_database_come_from_many_threads()
    {
        Store(61, new SqlBytes(Values.RandomBytes(61, 5000)));
        AppDomain other = AppDomain.CreateDomain("many at once");
        other.DoCallBack(ReadAtOnce);
        AppDomain.Unload(other);
    }

    private static void ReadAtOnce()
    {
        var host = new Host(Program.AssemblyPath);
        int good = 0;
        var gate = new ManualResetEvent(false);
        var threads = new List<Thread>();
        for (int t = 0; t < 8; t++)
        {
            string alias = t % 2 == 0 ? "main" : "tenant";
            var thread = new Thread(() =>
            {
                gate.WaitOne();
                var value = (SqlBytes)host.Call("clr_GetTensorAtomPayloadFrom", new SqlString(alias), new SqlInt64(61));
                Interlocked.Add(ref good, alias == "main" ? value.Value.Length == 5000 ? 1 : 0 : value.IsNull ? 1 : 0);
            });
            threads.Add(thread);
            thread.Start();
        }
        gate.Set();
        threads.ForEach(thread => thread.Join());
        Check.Equal(8, good);
    }

    // Handles of an unloaded database kept its store open until the server was restarted.
    public static void An_AppDomain_is_unloaded_with_a_value_a_scan_and_a_group_half_way()
    {
        Store(60, new SqlBytes(Values.RandomBytes(60, 100000)));
        for (int round = 0; round < 3; round++)
        {
            AppDomain other = AppDomain.CreateDomain("database " + round);
            other.DoCallBack(ReadHalf);
            AppDomain.Unload(other);
            Check.Equal(100000L, Get(60).Length);
        }
    }

    // What a database holds at any moment: a value, a scan and a group, each begun and not ended.
    private static void ReadHalf()
    {
        var host = new Host(Program.AssemblyPath);
        var value = (SqlBytes)host.Call("clr_GetTensorAtomPayloadFrom", new SqlString("main"), new SqlInt64(60));
        value.Read(0, new byte[50000], 0, 50000);
        var rows = ((System.Collections.IEnumerable)host.Call("clr_ListAtoms", new SqlString("main"), new SqlString(""))).GetEnumerator();
        Check.True(rows.MoveNext(), "the store has atoms");
        object group = host.NewAggregate("clr_VectorCentroid");
        Host.Do(group, "Init");
        Host.Do(group, "Accumulate", Values.Vector(1, 2));
        AppDomain.CurrentDomain.SetData("held", new[] { value, rows, group });
    }

    /// <summary>So many bytes that follow from their places, made when they are read.</summary>
    private sealed class Pattern : Stream
    {
        private readonly long length;
        private readonly Action onRead;

        internal Pattern(long length, Action onRead)
        {
            this.length = length;
            this.onRead = onRead;
        }

        internal static byte At(long position)
        {
            return (byte)(position * 31 + (position >> 16) * 7);
        }

        public override bool CanRead { get { return true; } }
        public override bool CanSeek { get { return true; } }
        public override bool CanWrite { get { return false; } }
        public override long Length { get { return length; } }
        public override long Position { get; set; }

        public override int Read(byte[] buffer, int offset, int count)
        {
            onRead();
            int given = (int)Math.Min(count, length - Position);
            for (int i = 0; i < given; i++)
            {
                buffer[offset + i] = At(Position + i);
            }
            Position += given;
            return given;
        }

        public override long Seek(long offset, SeekOrigin origin)
        {
            return Position = offset + (origin == SeekOrigin.Begin ? 0 : origin == SeekOrigin.Current ? Position : length);
        }

        public override void Flush()
        {
        }

        public override void SetLength(long value)
        {
            throw new NotSupportedException();
        }

        public override void Write(byte[] buffer, int offset, int count)
        {
            throw new NotSupportedException();
        }
    }

    /// <summary>Announces 200,000 bytes and fails after the first block.</summary>
    private sealed class BrokenStream : MemoryStream
    {
        internal BrokenStream() : base(new byte[200000])
        {
        }

        public override int Read(byte[] buffer, int offset, int count)
        {
            if (Position > 0)
            {
                throw new IOException("broken pipe");
            }
            return base.Read(buffer, offset, count);
        }
    }
}
