//! Payloads out of a store, listings, search, reports. Nothing here changes a store.
using System;
using System.Collections;
using System.Collections.Generic;
using System.Data.SqlTypes;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.SqlServer.Server;

namespace TensorAtom.SqlClr
{
    /// <summary>Answers depend on the store, so none of these is deterministic. Unknown payloads are NULL, unknown aliases errors.</summary>
    public static unsafe class ReadFunctions
    {
        internal const int NotFound = 1;
        internal const int BufferTooSmall = 1001;
        internal const int KeyBytesMax = 8 << 10;
        internal const int NeighborsMax = 1 << 20;

        /// <summary>A payload of the store registered as 'default'.</summary>
        [SqlFunction(Name = "clr_GetTensorAtomPayload")]
        [return: SqlFacet(MaxSize = -1)]
        public static SqlBytes GetPayload(SqlInt64 tensorAtomId)
        {
            return GetPayloadFrom(Stores.Default, tensorAtomId);
        }

        /// <summary>A payload of the store of an alias, streamed to whoever reads the value.</summary>
        [SqlFunction(Name = "clr_GetTensorAtomPayloadFrom")]
        [return: SqlFacet(MaxSize = -1)]
        public static SqlBytes GetPayloadFrom([SqlFacet(MaxSize = 128)] SqlString store, SqlInt64 tensorAtomId)
        {
            return GetPayloadRange(store, tensorAtomId, 0, long.MaxValue);
        }

        /// <summary>`byteCount` bytes from `byteOffset`, from 0; cut at the end of the payload, as SUBSTRING would.</summary>
        [SqlFunction(Name = "clr_GetTensorAtomPayloadRange")]
        [return: SqlFacet(MaxSize = -1)]
        public static SqlBytes GetPayloadRange([SqlFacet(MaxSize = 128)] SqlString store, SqlInt64 tensorAtomId, SqlInt64 byteOffset, SqlInt64 byteCount)
        {
            if (Blob.AnyNull(store, tensorAtomId, byteOffset, byteCount))
            {
                return SqlBytes.Null;
            }
            if (byteOffset.Value < 0 || byteCount.Value < 0)
            {
                throw new TensorAtomException("reading a payload: offset and count must not be negative");
            }
            OpenStore opened = Stores.Open(store.Value);
            return Stream(opened, null, opened.Key(tensorAtomId.Value), byteOffset.Value, byteCount.Value);
        }

        /// <summary>The bytes of an atom with a name, as clr_StoreTensor took them, streamed to whoever reads the value.</summary>
        [SqlFunction(Name = "clr_GetTensor")]
        [return: SqlFacet(MaxSize = -1)]
        public static SqlBytes GetTensor([SqlFacet(MaxSize = 128)] SqlString store, [SqlFacet(MaxSize = 4000)] SqlString atomName)
        {
            if (Blob.AnyNull(store, atomName))
            {
                return SqlBytes.Null;
            }
            OpenStore opened = Stores.Open(store.Value);
            var name = new NativeText(atomName.Value);
            return Stream(opened, name, opened.Key(name), 0, long.MaxValue);
        }

        private static SqlBytes Stream(OpenStore opened, NativeText name, TaKey key, long byteOffset, long byteCount)
        {
            NativeHandle snapshot = opened.Snapshot();
            TaInfo info;
            var error = new ErrorSpace();
            int status = Api.Info.Value(snapshot, ref key, out info, error.Open());
            if (status != 0)
            {
                snapshot.Dispose();
                if (name != null)
                {
                    name.Dispose();
                }
                if (status == NotFound)
                {
                    return SqlBytes.Null;
                }
                error.Check(status);
            }
            GC.KeepAlive(name);
            long start = Math.Min(byteOffset, (long)info.Bytes);
            return new SqlBytes(new PayloadStream(snapshot, name, key, start, Math.Min(byteCount, (long)info.Bytes - start)));
        }

        /// <summary>BLAKE3-256 of a payload, as the store holds it; reads no byte of it.</summary>
        [SqlFunction(Name = "clr_TensorAtomPayloadDigest")]
        [return: SqlFacet(MaxSize = 32)]
        public static SqlBytes PayloadDigest([SqlFacet(MaxSize = 128)] SqlString store, SqlInt64 tensorAtomId)
        {
            if (Blob.AnyNull(store, tensorAtomId))
            {
                return SqlBytes.Null;
            }
            OpenStore opened = Stores.Open(store.Value);
            TaKey key = opened.Key(tensorAtomId.Value);
            TaInfo info;
            var error = new ErrorSpace();
            int status = Api.Info.Value(opened.Handle, ref key, out info, error.Open());
            if (status == NotFound)
            {
                return SqlBytes.Null;
            }
            error.Check(status);
            return new SqlBytes(Digest(info));
        }

        /// <summary>Atoms whose names start with a prefix, all of them for '' (those with numbers first). One commit, streamed.</summary>
        [SqlFunction(Name = "clr_ListAtoms", FillRowMethodName = "FillAtom",
            TableDefinition = "atom_id bigint, atom_key nvarchar(max), dtype nvarchar(16), shape nvarchar(max), payload_bytes bigint, lsn bigint, created_us bigint, blake3_256 varbinary(32)")]
        public static IEnumerable ListAtoms([SqlFacet(MaxSize = 128)] SqlString store, [SqlFacet(MaxSize = 4000)] SqlString prefix)
        {
            return Blob.AnyNull(store, prefix) ? (IEnumerable)new Atom[0] : Atoms(store.Value, NativeText.Utf8(prefix.Value));
        }

        public static void FillAtom(object row, out SqlInt64 id, [SqlFacet(MaxSize = -1)] out SqlString key, [SqlFacet(MaxSize = 16)] out SqlString dtype,
            [SqlFacet(MaxSize = -1)] out SqlString shape, out SqlInt64 bytes, out SqlInt64 lsn, out SqlInt64 created, [SqlFacet(MaxSize = 32)] out SqlBytes digest)
        {
            var atom = (Atom)row;
            id = Id(atom.Key);
            key = atom.Key;
            dtype = atom.DType;
            shape = atom.Shape;
            bytes = atom.Bytes;
            lsn = atom.Lsn;
            created = atom.CreatedUs;
            digest = new SqlBytes(atom.Digest);
        }

        /// <summary>The k nearest rows of a stored matrix to a query of its element type, exactly; row_id counts from 0. A deadline of NULL is none.</summary>
        [SqlFunction(Name = "clr_SearchMatrix", FillRowMethodName = "FillNeighbor", TableDefinition = "rank int, row_id bigint, distance float")]
        public static IEnumerable SearchMatrix([SqlFacet(MaxSize = 128)] SqlString store, [SqlFacet(MaxSize = 4000)] SqlString atomName,
            [SqlFacet(MaxSize = 16)] SqlString metric, [SqlFacet(MaxSize = -1)] SqlBytes query, SqlInt32 k, SqlInt32 deadlineMs)
        {
            if (Blob.AnyNull(store, atomName, metric, query, k))
            {
                return new Neighbor[0];
            }
            if (k.Value < 0 || k.Value > NeighborsMax)
            {
                throw new TensorAtomException("searching: k must be 0 to 1,048,576");
            }
            OpenStore opened = Stores.Open(store.Value);
            var ids = new long[k.Value];
            var distances = new double[k.Value];
            var counts = new ulong[1];
            using (NativeHandle snapshot = opened.Snapshot())
            {
                opened.WithKey(atomName.Value, key =>
                {
                    Blob blob = Blob.Of(query);
                    uint number = Metric.Number(metric.Value);
                    CheckQuery(snapshot, ref key, blob);
                    return Deadline.Within(opened, deadlineMs, cancel =>
                    {
                        TaKey here = key;
                        var error = new ErrorSpace();
                        error.Check(Api.Search.Value(snapshot, ref here, number, blob.Buffer, 1, (ulong)ids.Length, cancel, ids, distances, counts, error.Open()));
                        return counts[0];
                    });
                });
            }
            return Neighbor.Rows(ids, distances, (int)counts[0]);
        }

        public static void FillNeighbor(object row, out SqlInt32 rank, out SqlInt64 id, out SqlDouble distance)
        {
            ((Neighbor)row).Fill(out rank, out id, out distance);
        }

        /// <summary>Counts and bytes of a store as JSON, for OPENJSON.</summary>
        [SqlFunction(Name = "clr_StoreStats")]
        [return: SqlFacet(MaxSize = -1)]
        public static SqlString StoreStats([SqlFacet(MaxSize = 128)] SqlString store)
        {
            if (store.IsNull)
            {
                return SqlString.Null;
            }
            OpenStore opened = Stores.Open(store.Value);
            return Deadline.Within(opened, SqlInt32.Null, cancel => Report((byte[] target, out ulong length, ref ErrorSpace error) =>
                Api.Stat.Value(opened.Handle, cancel, target, Capacity(target), out length, error.Open())));
        }

        /// <summary>Registered aliases, without their directories.</summary>
        [SqlFunction(Name = "clr_StoreAliases", FillRowMethodName = "FillAlias", TableDefinition = "store_alias nvarchar(64)")]
        public static IEnumerable StoreAliases()
        {
            return Configuration.Aliases();
        }

        public static void FillAlias(object row, [SqlFacet(MaxSize = 64)] out SqlString alias)
        {
            alias = (string)row;
        }

        /// <summary>The number of a key in JSON; NULL for a name.</summary>
        internal static SqlInt64 Id(string key)
        {
            long number;
            return long.TryParse(key, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out number) ? number : SqlInt64.Null;
        }

        internal delegate int Reporter(byte[] target, out ulong length, ref ErrorSpace error);

        /// <summary>A text of unknown length.</summary>
        internal static string Report(Reporter ask)
        {
            return Encoding.UTF8.GetString(Bytes(ask));
        }

        /// <summary>Bytes of unknown number. They can grow between two calls, so the length of the first is a guess.</summary>
        internal static byte[] Bytes(Reporter ask)
        {
            return Bytes(4 << 10, ask);
        }

        /// <summary>As above, with room for so many at first.</summary>
        internal static byte[] Bytes(int guess, Reporter ask)
        {
            var target = new byte[guess];
            while (true)
            {
                ulong length;
                var error = new ErrorSpace();
                int status = ask(target, out length, ref error);
                if (status == 0)
                {
                    Array.Resize(ref target, (int)length);
                    return target;
                }
                if (status != BufferTooSmall || length > int.MaxValue / 2)
                {
                    error.Check(status);
                }
                target = new byte[(int)length + (int)length / 4];
            }
        }

        internal static ulong Capacity(byte[] target)
        {
            return (ulong)target.Length;
        }

        // The native side reads as many bytes as a row has; only here is it known how many the value has.
        private static void CheckQuery(NativeHandle snapshot, ref TaKey key, Blob query)
        {
            TaInfo info;
            var error = new ErrorSpace();
            error.Check(Api.Info.Value(snapshot, ref key, out info, error.Open()));
            ulong dim = info.Rank == 2 ? info.Shape[1] : 0;
            bool fits = info.DType == 16 ? (dim + 7) / 8 == (ulong)query.Length : Kernels.Count(info.DType, query) == dim;
            if (info.Rank != 2 || !fits)
            {
                throw new TensorAtomException("searching: the query has " + query.Length + " bytes and does not fit rows of " + dim + " elements of type "
                    + DType.Name(info.DType) + "; the atom must have two dimensions");
            }
        }

        // The enumerator owns the native list: Dispose of an abandoned scan closes it, or its finalizer does.
        private static IEnumerable<Atom> Atoms(string alias, byte[] prefix)
        {
            OpenStore opened = Stores.Open(alias);
            using (NativeHandle snapshot = opened.Snapshot())
            using (NativeHandle list = Listing(opened, snapshot, prefix))
            {
                var key = new byte[KeyBytesMax];
                for (Atom atom = Next(list, key); atom != null; atom = Next(list, key))
                {
                    yield return atom;
                }
            }
        }

        private static NativeHandle Listing(OpenStore opened, NativeHandle snapshot, byte[] prefix)
        {
            byte[] space = opened.Namespace.Bytes;
            return NativeHandle.Own((out ulong handle, ref ErrorSpace error) =>
                Api.ListAtoms.Value(snapshot, space, (ulong)space.Length, prefix, (ulong)prefix.Length, out handle, error.Open()));
        }

        private static Atom Next(NativeHandle list, byte[] key)
        {
            TaInfo info;
            ulong length;
            var error = new ErrorSpace();
            int status = Api.NextAtom.Value(list, out info, key, (ulong)key.Length, out length, error.Open());
            if (status == NotFound)
            {
                return null;
            }
            error.Check(status);
            var sides = new List<string>();
            for (int i = 0; i < info.Rank; i++)
            {
                sides.Add(info.Shape[i].ToString(CultureInfo.InvariantCulture));
            }
            byte[] digest = Digest(info);
            return new Atom
            {
                Key = Encoding.UTF8.GetString(key, 0, (int)length),
                DType = DType.Name(info.DType),
                Shape = "[" + string.Join(",", sides) + "]",
                Bytes = (long)info.Bytes,
                Lsn = (long)info.Lsn,
                CreatedUs = (long)info.CreatedUs,
                Digest = digest,
            };
        }

        private static byte[] Digest(TaInfo info)
        {
            var digest = new byte[32];
            Marshal.Copy((IntPtr)info.Digest, digest, 0, digest.Length);
            return digest;
        }

        private sealed class Atom
        {
            // As JSON: a number, or a string in quotes.
            internal string Key;
            internal string DType;
            internal string Shape;
            internal long Bytes;
            internal long Lsn;
            internal long CreatedUs;
            internal byte[] Digest;
        }
    }
}
