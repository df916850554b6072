//! The native functions, one delegate for each, as the header declares them. Bound when first used.
using System;
using System.Runtime.InteropServices;
using System.Threading;

namespace TensorAtom.SqlClr
{
    /// <summary>Numbers of element types in the header.</summary>
    internal static class DType
    {
        internal const uint F32 = 2;
        internal const uint U8 = 14;

        // In the order of the numbers, which start at 1.
        private static readonly string[] Names =
        {
            "f64", "f32", "f16", "bf16", "f8e4m3", "f8e5m2", "i64", "i32", "i16", "i8", "u64", "u32", "u16", "u8", "bool", "b1", "opaque",
        };

        internal static string Name(uint number)
        {
            return number >= 1 && number <= Names.Length ? Names[number - 1] : "?";
        }

        internal static uint Number(string name)
        {
            return Numbered(Names, name, "dtype");
        }

        internal static uint Numbered(string[] names, string name, string what)
        {
            int at = Array.IndexOf(names, name.ToLowerInvariant());
            if (at < 0)
            {
                throw new TensorAtomException("unknown " + what + "; known: " + string.Join(" ", names));
            }
            return (uint)at + 1;
        }

        /// <summary>Bytes of an element; 0 for those that share bytes.</summary>
        internal static int Bytes(uint number)
        {
            switch (number)
            {
                case 1: case 7: case 11: return 8;
                case 2: case 8: case 12: return 4;
                case 3: case 4: case 9: case 13: return 2;
                case 16: case 17: return 0;
                default: return 1;
            }
        }
    }

    /// <summary>Distances by name.</summary>
    internal static class Metric
    {
        internal const uint Euclidean = 4;
        private static readonly string[] Names = { "dot", "cosine", "sqeuclidean", "euclidean", "manhattan", "hamming", "jaccard" };

        internal static uint Number(string name)
        {
            return DType.Numbered(Names, name, "metric");
        }

        internal static string Name(uint number)
        {
            return number >= 1 && number <= Names.Length ? Names[number - 1] : "?";
        }
    }

    /// <summary>`ta_options` of the header.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct TaOptions
    {
        internal const uint Create = 1;
        // No byte of a mapping is touched on a thread of the server: a damaged disk is an error code, not a fault.
        internal const uint Positioned = 4;

        internal uint Flags;
        internal uint ChunkBytes;
        internal ulong SegmentBytes;
        internal ulong CacheBytes;
        internal ulong Threads;
        internal ulong LockTimeoutMs;
        internal IntPtr ColdDirectory;
        internal ulong ColdDirectoryLength;
    }

    /// <summary>`ta_key` of the header; the texts lie in memory that somebody holds.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct TaKey
    {
        internal IntPtr Namespace;
        internal ulong NamespaceLength;
        internal IntPtr Name;
        internal ulong NameLength;
        internal long Number;
    }

    /// <summary>`ta_search_options` of the header.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct TaSearchOptions
    {
        internal const uint HeedAllow = 1;
        internal const uint HeedRange = 2;
        internal const uint HeedDistance = 4;

        internal uint Flags;
        internal uint Metric;
        internal long* Allow;
        internal ulong AllowCount;
        internal long* Deny;
        internal ulong DenyCount;
        internal long IdMin;
        internal long IdMax;
        internal double DistanceMax;
        internal ulong Threads;
    }

    /// <summary>`ta_info` of the header.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct TaInfo
    {
        internal uint DType;
        internal uint Rank;
        internal fixed ulong Shape[64];
        internal ulong Bytes;
        internal ulong Lsn;
        internal ulong CreatedUs;
        internal fixed byte Digest[32];
    }

    internal static unsafe class Api
    {
        internal delegate uint Version();
        internal delegate int Close(ulong handle, TaError* error);
        internal delegate int Pair(byte[] a, byte[] b, uint dtype, ulong count, out double result, TaError* error);
        internal delegate int Distance(uint metric, byte[] a, byte[] b, uint dtype, ulong count, out double result, TaError* error);
        internal delegate int Reduce(uint reduction, byte[] a, uint dtype, ulong count, out double result, TaError* error);
        internal delegate int Binary(byte[] a, byte[] b, uint dtype, ulong count, [In, Out] byte[] target, TaError* error);
        internal delegate int Unary(byte[] a, uint dtype, ulong count, [In, Out] byte[] target, TaError* error);
        internal delegate int Scaled(byte[] a, double factor, uint dtype, ulong count, [In, Out] byte[] target, TaError* error);
        internal delegate int Between(byte[] a, byte[] b, double t, uint dtype, ulong count, [In, Out] byte[] target, TaError* error);
        internal delegate int Json(byte[] source, ulong count, [In, Out] byte[] target, ulong capacity, out ulong length, TaError* error);
        internal delegate int Convert(byte[] source, uint from, [In, Out] byte[] target, uint to, ulong count, uint saturate, TaError* error);
        internal delegate int StoreOpen(byte[] path, ulong pathLength, ref TaOptions options, out ulong store, TaError* error);
        internal delegate int Snapshot(SafeHandle store, uint asOf, ulong moment, out ulong snapshot, TaError* error);
        internal delegate int Begin(SafeHandle store, out ulong txn, TaError* error);
        internal delegate int NamespaceCreate(SafeHandle store, byte[] name, ulong nameLength, TaError* error);
        internal delegate int Commit(SafeHandle txn, ulong cancel, IntPtr lsn, TaError* error);
        internal delegate long Source(IntPtr context, IntPtr buffer, ulong capacity);
        internal delegate int PutStream(SafeHandle txn, ref TaKey key, uint dtype, ulong[] shape, uint rank, IntPtr options, Source source,
            IntPtr context, ulong cancel, TaError* error);
        internal delegate int Delete(SafeHandle txn, ref TaKey key, out uint existed, TaError* error);
        internal delegate int DeleteVersion(SafeHandle txn, ref TaKey key, ulong lsn, out uint existed, TaError* error);
        internal delegate int GetInfo(SafeHandle from, ref TaKey key, out TaInfo info, TaError* error);
        internal delegate int Read(SafeHandle from, ref TaKey key, ulong offset, IntPtr target, ulong count, TaError* error);
        internal delegate int List(SafeHandle snapshot, byte[] ns, ulong nsLength, byte[] prefix, ulong prefixLength, out ulong list, TaError* error);
        internal delegate int ListNext(SafeHandle list, out TaInfo info, [In, Out] byte[] key, ulong capacity, out ulong length, TaError* error);
        internal delegate int Changes(SafeHandle store, byte[] ns, ulong nsLength, ulong since, out ulong list, TaError* error);
        internal delegate int ChangesNext(SafeHandle list, out ulong lsn, out uint isPut, [In, Out] byte[] key, ulong capacity, out ulong length,
            TaError* error);
        internal delegate int Report(SafeHandle store, [In, Out] byte[] target, ulong capacity, out ulong length, TaError* error);
        internal delegate int StatWith(SafeHandle store, ulong cancel, [In, Out] byte[] target, ulong capacity, out ulong length, TaError* error);
        internal delegate int VerifyIn(SafeHandle store, byte[] ns, ulong nsLength, byte[] prefix, ulong prefixLength, ulong cancel,
            [In, Out] byte[] target, ulong capacity, out ulong length, TaError* error);
        internal delegate int Verify(SafeHandle store, byte[] prefix, ulong prefixLength, ulong cancel, [In, Out] byte[] target, ulong capacity,
            out ulong length, TaError* error);
        internal delegate int Query(SafeHandle store, byte[] sql, ulong sqlLength, ulong rowLimit, ulong cancel, [In, Out] byte[] target,
            ulong capacity, out ulong length, TaError* error);
        internal delegate int AggregateNew(byte[] kind, ulong kindLength, out ulong aggregate, TaError* error);
        internal delegate int AggregatePush(SafeHandle aggregate, uint dtype, ulong dim, byte[] data, ulong rows, ulong stride, double[] weights,
            TaError* error);
        internal delegate int AggregateMerge(SafeHandle aggregate, SafeHandle other, TaError* error);
        internal delegate int AggregateImport(byte[] state, ulong stateBytes, out ulong aggregate, TaError* error);
        internal delegate int AggregateFinish(SafeHandle aggregate, [In, Out] double[] values, ulong valuesCapacity,
            [In, Out] double[] beside, ulong besideCapacity,
            out ulong rows, out ulong dim, TaError* error);
        internal delegate int SetDecodeCacheBytes(ulong budget, TaError* error);
        internal delegate int CancelNew(ulong deadlineMs, out ulong cancel, TaError* error);
        internal delegate int QuantizeI8(byte[] source, ulong count, ulong block, [In, Out] byte[] codes, [In, Out] float[] scale,
            [In, Out] int[] zeroPoint, TaError* error);
        internal delegate int DequantizeI8(byte[] codes, ulong count, ulong block, float[] scale, int[] zeroPoint, [In, Out] byte[] target,
            TaError* error);
        internal delegate int VectorsCreate(SafeHandle txn, ref TaKey name, ulong dim, uint dtype, uint metric, TaError* error);
        internal delegate int VectorsPut(SafeHandle vectors, long[] ids, ulong count, byte[] data, ulong stride, ulong cancel, TaError* error);
        internal delegate int VectorsDelete(SafeHandle vectors, long[] ids, ulong count, ulong cancel, out ulong deleted, TaError* error);
        internal delegate int VectorsFind(SafeHandle store, ref TaKey name, out ulong vectors, TaError* error);
        internal delegate int VectorsFacts(SafeHandle vectors, out ulong dim, out uint dtype, out uint metric, TaError* error);
        internal delegate int VectorsCount(SafeHandle vectors, out ulong count, TaError* error);
        internal delegate int SearchWith(SafeHandle vectors, ref TaSearchOptions options, byte[] query, ulong queries, ulong k, ulong cancel,
            [In, Out] long[] ids, [In, Out] double[] distances, [In, Out] ulong[] counts, TaError* error);
        internal delegate int SearchMatrix(SafeHandle snapshot, ref TaKey key, uint metric, byte[] query, ulong queries, ulong k, ulong cancel,
            [In, Out] long[] ids, [In, Out] double[] distances, [In, Out] ulong[] counts, TaError* error);

        internal delegate int GgufDequantize(byte[] layout, ulong layoutLength, byte[] blocks, ulong blockBytes, [In, Out] byte[] target, ulong count,
            TaError* error);
        internal delegate int Matmul(uint dtype, ulong rows, ulong inner, ulong cols, byte[] a, byte[] b, [In, Out] byte[] target, TaError* error);
        internal delegate int Svd(uint dtype, ulong rows, ulong cols, byte[] a, ulong rank, [In, Out] byte[] u, [In, Out] byte[] values,
            [In, Out] byte[] vt, TaError* error);
        internal delegate int ProjectionRandom(ulong dim, ulong axes, ulong seed, out ulong projection, TaError* error);
        internal delegate int ProjectionLandmarks(ulong dim, out ulong projection, TaError* error);
        internal delegate int Project(SafeHandle projection, byte[] vectors, ulong count, [In, Out] double[] target, ulong targetCount, TaError* error);

        internal static readonly Lazy<Close> CloseHandle = Bind<Close>("ta_close");
        internal static readonly Lazy<Pair> Dot = Bind<Pair>("ta_dot");
        internal static readonly Lazy<Pair> CosineSimilarity = Bind<Pair>("ta_cosine_similarity");
        internal static readonly Lazy<Distance> DistanceOf = Bind<Distance>("ta_distance");
        internal static readonly Lazy<Reduce> ReduceOf = Bind<Reduce>("ta_reduce");
        internal static readonly Lazy<Binary> Add = Bind<Binary>("ta_add");
        internal static readonly Lazy<Binary> Subtract = Bind<Binary>("ta_sub");
        internal static readonly Lazy<Between> Lerp = Bind<Between>("ta_lerp");
        internal static readonly Lazy<Scaled> Scale = Bind<Scaled>("ta_scale");
        internal static readonly Lazy<Unary> Normalize = Bind<Unary>("ta_normalize");
        internal static readonly Lazy<Unary> Softmax = Bind<Unary>("ta_softmax");
        internal static readonly Lazy<Json> JsonParse = Bind<Json>("ta_json_parse");
        internal static readonly Lazy<Json> JsonWrite = Bind<Json>("ta_json_write");
        internal static readonly Lazy<Convert> ConvertTo = Bind<Convert>("ta_convert");
        internal static readonly Lazy<StoreOpen> OpenStore = Bind<StoreOpen>("ta_store_open");
        internal static readonly Lazy<SetDecodeCacheBytes> BoundDecodeCache = Bind<SetDecodeCacheBytes>("ta_set_decode_cache_bytes");
        internal static readonly Lazy<Snapshot> TakeSnapshot = Bind<Snapshot>("ta_snapshot");
        internal static readonly Lazy<Begin> BeginTxn = Bind<Begin>("ta_begin");
        internal static readonly Lazy<Commit> CommitTxn = Bind<Commit>("ta_commit_with");
        internal static readonly Lazy<PutStream> Put = Bind<PutStream>("ta_put_stream_with");
        internal static readonly Lazy<Delete> DeleteKey = Bind<Delete>("ta_delete");
        internal static readonly Lazy<DeleteVersion> DeleteKeyVersion = Bind<DeleteVersion>("ta_delete_version");
        internal static readonly Lazy<GetInfo> Info = Bind<GetInfo>("ta_get_info");
        internal static readonly Lazy<Read> ReadRange = Bind<Read>("ta_read");
        internal static readonly Lazy<List> ListAtoms = Bind<List>("ta_list_in");
        internal static readonly Lazy<ListNext> NextAtom = Bind<ListNext>("ta_list_next");
        internal static readonly Lazy<Changes> ListChanges = Bind<Changes>("ta_changes");
        internal static readonly Lazy<ChangesNext> NextChange = Bind<ChangesNext>("ta_changes_next");
        internal static readonly Lazy<StatWith> Stat = Bind<StatWith>("ta_stat_with");
        internal static readonly Lazy<Verify> VerifyStore = Bind<Verify>("ta_verify");
        internal static readonly Lazy<VerifyIn> VerifyNamespace = Bind<VerifyIn>("ta_verify_in");
        internal static readonly Lazy<NamespaceCreate> CreateNamespace = Bind<NamespaceCreate>("ta_namespace_create");
        internal static readonly Lazy<GgufDequantize> DequantizeGguf = Bind<GgufDequantize>("ta_gguf_dequantize");
        internal static readonly Lazy<Matmul> Multiply = Bind<Matmul>("ta_matmul");
        internal static readonly Lazy<Svd> Decompose = Bind<Svd>("ta_svd");
        internal static readonly Lazy<ProjectionRandom> NewRandomProjection = Bind<ProjectionRandom>("ta_projection_random");
        internal static readonly Lazy<ProjectionLandmarks> NewLandmarks = Bind<ProjectionLandmarks>("ta_projection_landmarks");
        internal static readonly Lazy<Project> ProjectVectors = Bind<Project>("ta_project");
        internal static readonly Lazy<Query> QueryStore = Bind<Query>("ta_query_with");
        internal static readonly Lazy<SearchMatrix> Search = Bind<SearchMatrix>("ta_search_matrix");

        internal static readonly Lazy<AggregateNew> NewAggregate = Bind<AggregateNew>("ta_aggregate_new");
        internal static readonly Lazy<AggregatePush> PushRows = Bind<AggregatePush>("ta_aggregate_push");
        internal static readonly Lazy<AggregateMerge> MergeAggregates = Bind<AggregateMerge>("ta_aggregate_merge");
        internal static readonly Lazy<Report> ExportAggregate = Bind<Report>("ta_aggregate_export");
        internal static readonly Lazy<AggregateImport> ImportAggregate = Bind<AggregateImport>("ta_aggregate_import");
        internal static readonly Lazy<AggregateFinish> FinishAggregate = Bind<AggregateFinish>("ta_aggregate_finish");
        internal static readonly Lazy<CancelNew> NewCancel = Bind<CancelNew>("ta_cancel_new");
        internal static readonly Lazy<QuantizeI8> Quantize = Bind<QuantizeI8>("ta_quantize_i8");
        internal static readonly Lazy<DequantizeI8> Dequantize = Bind<DequantizeI8>("ta_dequantize_i8");
        internal static readonly Lazy<VectorsCreate> CreateVectors = Bind<VectorsCreate>("ta_txn_vectors_create");
        internal static readonly Lazy<VectorsPut> UpsertVectors = Bind<VectorsPut>("ta_vectors_upsert_with");
        internal static readonly Lazy<VectorsDelete> DeleteVectors = Bind<VectorsDelete>("ta_vectors_delete_with");
        internal static readonly Lazy<VectorsFind> FindVectors = Bind<VectorsFind>("ta_vectors_find");
        internal static readonly Lazy<VectorsFacts> FactsOfVectors = Bind<VectorsFacts>("ta_vectors_facts");
        internal static readonly Lazy<VectorsCount> CountVectors = Bind<VectorsCount>("ta_vectors_count");
        internal static readonly Lazy<SearchWith> SearchVectors = Bind<SearchWith>("ta_search_with");

        private static readonly object Gate = new object();
        private static NativeLibrary loaded;

        private static Lazy<T> Bind<T>(string name) where T : class
        {
            return new Lazy<T>(() => Library().Function<T>(name), LazyThreadSafetyMode.PublicationOnly);
        }

        // A failed attempt is not remembered: once the configuration is right, the next call works. One session hashes, the others wait.
        private static NativeLibrary Library()
        {
            lock (Gate)
            {
                return loaded ?? (loaded = Load());
            }
        }

        private static NativeLibrary Load()
        {
            NativeLibrary library = NativeLibrary.LoadAny(Configuration.Libraries(), Pin.Abi, Pin.Sha256);
            uint version = library.Function<Version>("ta_abi_version")();
            if (version != Pin.Abi)
            {
                throw new TensorAtomException("loading the native library: it speaks interface version " + version + ", this assembly "
                    + Pin.Abi + "; install the pair that was built together");
            }
            return library;
        }
    }
}
