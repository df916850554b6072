//! Payloads into a store: streamed from the value, durable when the procedure returns.
using System;
using System.Data.SqlTypes;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.SqlServer.Server;

namespace TensorAtom.SqlClr
{
    /// <summary>
    /// Not part of the T-SQL transaction, on purpose: store first, then insert the row. A rollback leaves a payload without a
    /// row, which reconciliation finds; a row without a payload cannot arise.
    /// </summary>
    public static unsafe class WriteProcedures
    {
        private const ulong Open = ulong.MaxValue; // a first dimension that follows from the bytes
        private const int BlockBytes = 64 << 10; // stays out of the large object heap

        /// <summary>Stores into the store registered as 'default'; an id that is there gets a new version.</summary>
        [SqlProcedure(Name = "clr_StoreTensorAtomPayload")]
        public static void StorePayload(SqlInt64 tensorAtomId, [SqlFacet(MaxSize = -1)] SqlBytes payload)
        {
            StorePayloadIn(Stores.Default, tensorAtomId, payload);
        }

        /// <summary>As clr_StoreTensorAtomPayload, into the store of an alias.</summary>
        [SqlProcedure(Name = "clr_StoreTensorAtomPayloadIn")]
        public static void StorePayloadIn([SqlFacet(MaxSize = 64)] SqlString store, SqlInt64 tensorAtomId, [SqlFacet(MaxSize = -1)] SqlBytes payload)
        {
            if (Blob.AnyNull(store, tensorAtomId, payload))
            {
                throw new TensorAtomException("storing a payload: store, id and payload must not be NULL; for no payload store no row");
            }
            using (NativeHandle txn = Begin(store.Value))
            {
                Send(txn, TaKey.Of(tensorAtomId.Value), DType.U8, new[] { Open }, payload);
                Commit(txn);
            }
        }

        /// <summary>Stores a matrix under a name: rows of `rowElements` elements of a type, as many as the payload holds.</summary>
        [SqlProcedure(Name = "clr_StoreTensor")]
        public static void StoreTensor([SqlFacet(MaxSize = 64)] SqlString store, [SqlFacet(MaxSize = 1024)] SqlString atomName,
            [SqlFacet(MaxSize = 16)] SqlString dtype, SqlInt64 rowElements, [SqlFacet(MaxSize = -1)] SqlBytes payload)
        {
            if (Blob.AnyNull(store, atomName, dtype, rowElements, payload) || atomName.Value.Length == 0 || rowElements.Value <= 0)
            {
                throw new TensorAtomException("storing a tensor: no argument may be NULL, the name not empty, rowElements above 0");
            }
            byte[] name = Encoding.UTF8.GetBytes(atomName.Value);
            using (NativeHandle txn = Begin(store.Value))
            {
                fixed (byte* text = name)
                {
                    var key = new TaKey { Name = (IntPtr)text, NameLength = (ulong)name.Length };
                    Send(txn, key, DType.Number(dtype.Value), new[] { Open, (ulong)rowElements.Value }, payload);
                }
                Commit(txn);
            }
        }

        /// <summary>Deletes a payload; one that is not there is no error.</summary>
        [SqlProcedure(Name = "clr_DeleteTensorAtomPayload")]
        public static void DeletePayload([SqlFacet(MaxSize = 64)] SqlString store, SqlInt64 tensorAtomId)
        {
            if (Blob.AnyNull(store, tensorAtomId))
            {
                throw new TensorAtomException("deleting a payload: store and id must not be NULL");
            }
            using (NativeHandle txn = Begin(store.Value))
            {
                TaKey key = TaKey.Of(tensorAtomId.Value);
                uint existed;
                var error = new ErrorSpace();
                error.Check(Api.DeleteKey.Value(txn, ref key, out existed, error.Open()));
                Commit(txn);
            }
        }

        /// <summary>Deletes the version of a payload that clr_ListAtoms showed; an error where it was replaced since, and nothing is deleted.</summary>
        [SqlProcedure(Name = "clr_DeleteTensorAtomPayloadVersion")]
        public static void DeletePayloadVersion([SqlFacet(MaxSize = 64)] SqlString store, SqlInt64 tensorAtomId, SqlInt64 lsn)
        {
            if (Blob.AnyNull(store, tensorAtomId, lsn))
            {
                throw new TensorAtomException("deleting a version of a payload: store, id and lsn must not be NULL");
            }
            using (NativeHandle txn = Begin(store.Value))
            {
                TaKey key = TaKey.Of(tensorAtomId.Value);
                uint existed;
                var error = new ErrorSpace();
                error.Check(Api.DeleteKeyVersion.Value(txn, ref key, (ulong)lsn.Value, out existed, error.Open()));
                Commit(txn);
            }
        }

        internal static NativeHandle Begin(string alias)
        {
            NativeHandle store = Stores.Open(alias);
            return NativeHandle.Own((out ulong handle, ref ErrorSpace error) => Api.BeginTxn.Value(store, out handle, error.Open()));
        }

        internal static void Commit(NativeHandle txn)
        {
            var error = new ErrorSpace();
            error.Check(Api.CommitTxn.Value(txn, IntPtr.Zero, error.Open()));
        }

        private static void Send(NativeHandle txn, TaKey key, uint dtype, ulong[] shape, SqlBytes payload)
        {
            var block = new byte[BlockBytes];
            long offset = 0;
            Exception failure = null;
            Api.Source source = (context, buffer, capacity) =>
            {
                // No exception may pass through native frames.
                try
                {
                    int wanted = (int)Math.Min(Math.Min((ulong)block.Length, capacity), (ulong)(payload.Length - offset));
                    int given = wanted == 0 ? 0 : (int)payload.Read(offset, block, 0, wanted);
                    if (given < wanted && given == 0)
                    {
                        throw new TensorAtomException("storing a payload: the value ended early");
                    }
                    Marshal.Copy(block, 0, buffer, given);
                    offset += given;
                    return given;
                }
                catch (Exception error)
                {
                    failure = error;
                    return -1;
                }
            };
            var space = new ErrorSpace();
            int status = Api.Put.Value(txn, ref key, dtype, shape, (uint)shape.Length, IntPtr.Zero, 0, source, IntPtr.Zero, space.Open());
            GC.KeepAlive(source);
            if (failure != null)
            {
                throw new TensorAtomException("storing a payload: reading the value failed: " + failure.Message);
            }
            space.Check(status);
        }
    }
}
