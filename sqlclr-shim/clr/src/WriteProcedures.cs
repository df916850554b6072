//! Payloads into a store: streamed from the value, durable when the procedure returns.
using System;
using System.Data.SqlTypes;
using System.Runtime.InteropServices;
using Microsoft.SqlServer.Server;

namespace TensorAtom.SqlClr
{
    /// <summary>
    /// Not part of the T-SQL transaction, on purpose: store first, then insert the row. A rollback leaves a payload without a
    /// row, which reconciliation finds; a row without a payload cannot arise.
    /// </summary>
    public static unsafe class WriteProcedures
    {
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
                Send(txn, tensorAtomId.Value, payload);
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

        private static NativeHandle Begin(string alias)
        {
            NativeHandle store = Stores.Open(alias);
            return NativeHandle.Own((out ulong handle, ref ErrorSpace error) => Api.BeginTxn.Value(store, out handle, error.Open()));
        }

        private static void Commit(NativeHandle txn)
        {
            var error = new ErrorSpace();
            error.Check(Api.CommitTxn.Value(txn, IntPtr.Zero, error.Open()));
        }

        private static void Send(NativeHandle txn, long id, SqlBytes payload)
        {
            TaKey key = TaKey.Of(id);
            var shape = new[] { ulong.MaxValue }; // as long as the bytes make it
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
            int status = Api.Put.Value(txn, ref key, DType.U8, shape, 1, IntPtr.Zero, 0, source, IntPtr.Zero, space.Open());
            GC.KeepAlive(source);
            if (failure != null)
            {
                throw new TensorAtomException("storing a payload: reading the value failed: " + failure.Message);
            }
            space.Check(status);
        }
    }
}
