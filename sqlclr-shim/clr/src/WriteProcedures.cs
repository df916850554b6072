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
        public static void StorePayloadIn([SqlFacet(MaxSize = 128)] SqlString store, SqlInt64 tensorAtomId, [SqlFacet(MaxSize = -1)] SqlBytes payload)
        {
            if (Blob.AnyNull(store, tensorAtomId, payload))
            {
                throw new TensorAtomException("storing a payload: store, id and payload must not be NULL; for no payload store no row");
            }
            OpenStore opened = Stores.Open(store.Value);
            Transact(opened, (txn, cancel) => Send(txn, opened.Key(tensorAtomId.Value), DType.U8, new[] { Open }, payload, cancel));
        }

        /// <summary>Stores a matrix under a name: rows of `rowElements` elements of a type, as many as the payload holds.</summary>
        [SqlProcedure(Name = "clr_StoreTensor")]
        public static void StoreTensor([SqlFacet(MaxSize = 128)] SqlString store, [SqlFacet(MaxSize = 4000)] SqlString atomName,
            [SqlFacet(MaxSize = 16)] SqlString dtype, SqlInt64 rowElements, [SqlFacet(MaxSize = -1)] SqlBytes payload)
        {
            if (Blob.AnyNull(store, atomName, dtype, rowElements, payload) || atomName.Value.Length == 0 || rowElements.Value <= 0)
            {
                throw new TensorAtomException("storing a tensor: no argument may be NULL, the name not empty, rowElements above 0");
            }
            OpenStore opened = Stores.Open(store.Value);
            var shape = new[] { Open, (ulong)rowElements.Value };
            Transact(opened, (txn, cancel) => opened.WithKey(atomName.Value, key => Send(txn, key, DType.Number(dtype.Value), shape, payload, cancel)));
        }

        /// <summary>Deletes a payload; one that is not there is no error.</summary>
        [SqlProcedure(Name = "clr_DeleteTensorAtomPayload")]
        public static void DeletePayload([SqlFacet(MaxSize = 128)] SqlString store, SqlInt64 tensorAtomId)
        {
            if (Blob.AnyNull(store, tensorAtomId))
            {
                throw new TensorAtomException("deleting a payload: store and id must not be NULL");
            }
            OpenStore opened = Stores.Open(store.Value);
            Transact(opened, (txn, cancel) =>
            {
                TaKey key = opened.Key(tensorAtomId.Value);
                uint existed;
                var error = new ErrorSpace();
                return error.Checked(Api.DeleteKey.Value(txn, ref key, out existed, error.Open()));
            });
        }

        /// <summary>Deletes the version of a payload that clr_ListAtoms showed; an error where it was replaced since, and nothing is deleted.</summary>
        [SqlProcedure(Name = "clr_DeleteTensorAtomPayloadVersion")]
        public static void DeletePayloadVersion([SqlFacet(MaxSize = 128)] SqlString store, SqlInt64 tensorAtomId, SqlInt64 lsn)
        {
            if (Blob.AnyNull(store, tensorAtomId, lsn))
            {
                throw new TensorAtomException("deleting a version of a payload: store, id and lsn must not be NULL");
            }
            OpenStore opened = Stores.Open(store.Value);
            Transact(opened, (txn, cancel) =>
            {
                TaKey key = opened.Key(tensorAtomId.Value);
                uint existed;
                var error = new ErrorSpace();
                return error.Checked(Api.DeleteKeyVersion.Value(txn, ref key, (ulong)lsn.Value, out existed, error.Open()));
            });
        }

        internal delegate int Change(NativeHandle txn, ulong cancel);

        /// <summary>Makes a change and commits it, both within the time that the store's alias allows.</summary>
        internal static void Transact(OpenStore store, Change change)
        {
            Deadline.Within(store, SqlInt32.Null, cancel =>
            {
                using (NativeHandle txn = NativeHandle.Own((out ulong handle, ref ErrorSpace space) => Api.BeginTxn.Value(store.Handle, out handle, space.Open())))
                {
                    change(txn, cancel);
                    var error = new ErrorSpace();
                    return error.Checked(Api.CommitTxn.Value(txn, cancel, IntPtr.Zero, error.Open()));
                }
            });
        }

        private static int Send(NativeHandle txn, TaKey key, uint dtype, ulong[] shape, SqlBytes payload, ulong cancel)
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
            int status = 0;
            try
            {
            }
            finally
            {
                // The server aborts threads; an abort inside the callback would pass through native frames. Here it has to wait.
                status = Api.Put.Value(txn, ref key, dtype, shape, (uint)shape.Length, IntPtr.Zero, source, IntPtr.Zero, cancel, space.Open());
            }
            GC.KeepAlive(source);
            if (failure != null)
            {
                throw new TensorAtomException("storing a payload: reading the value failed: " + failure.Message);
            }
            return space.Checked(status);
        }
    }
}
