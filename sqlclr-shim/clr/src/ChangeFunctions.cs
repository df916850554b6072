//! What happened in a store since a commit, streamed: for consumers that keep a copy of their own.
using System.Collections;
using System.Collections.Generic;
using System.Data.SqlTypes;
using System.Text;
using Microsoft.SqlServer.Server;

namespace TensorAtom.SqlClr
{
    public static unsafe class ChangeFunctions
    {
        /// <summary>
        /// Puts and deletes by commits after `sinceLsn`, in their order; a consumer keeps the largest lsn it took and asks again
        /// from there. Shows what history still holds. operation is 'put' or 'delete'; atom_id is NULL for atoms with names.
        /// </summary>
        [SqlFunction(Name = "clr_Changes", FillRowMethodName = "FillChange",
            TableDefinition = "lsn bigint, operation nvarchar(8), atom_id bigint, atom_key nvarchar(max)")]
        public static IEnumerable Changes([SqlFacet(MaxSize = 128)] SqlString store, SqlInt64 sinceLsn)
        {
            if (Blob.AnyNull(store, sinceLsn))
            {
                return new Change[0];
            }
            if (sinceLsn.Value < 0)
            {
                throw new TensorAtomException("listing changes: sinceLsn must not be negative; 0 lists all");
            }
            return Listed(store.Value, (ulong)sinceLsn.Value);
        }

        public static void FillChange(object row, out SqlInt64 lsn, [SqlFacet(MaxSize = 8)] out SqlString operation, out SqlInt64 id,
            [SqlFacet(MaxSize = -1)] out SqlString key)
        {
            var change = (Change)row;
            lsn = (long)change.Lsn;
            operation = change.IsPut ? "put" : "delete";
            id = ReadFunctions.Id(change.Key);
            key = change.Key;
        }

        // The enumerator owns the native list: Dispose of an abandoned scan closes it, or its finalizer does.
        private static IEnumerable<Change> Listed(string alias, ulong since)
        {
            using (NativeHandle list = Open(alias, since))
            {
                var key = new byte[ReadFunctions.KeyBytesMax];
                for (Change change = Next(list, key); change != null; change = Next(list, key))
                {
                    yield return change;
                }
            }
        }

        private static NativeHandle Open(string alias, ulong since)
        {
            OpenStore store = Stores.Open(alias);
            byte[] space = store.Namespace.Bytes;
            return NativeHandle.Own((out ulong handle, ref ErrorSpace error) =>
                Api.ListChanges.Value(store.Handle, space, (ulong)space.Length, since, out handle, error.Open()));
        }

        private static Change Next(NativeHandle list, byte[] key)
        {
            ulong lsn, length;
            uint isPut;
            var error = new ErrorSpace();
            int status = Api.NextChange.Value(list, out lsn, out isPut, key, (ulong)key.Length, out length, error.Open());
            if (status == ReadFunctions.NotFound)
            {
                return null;
            }
            error.Check(status);
            return new Change { Lsn = lsn, IsPut = isPut != 0, Key = Encoding.UTF8.GetString(key, 0, (int)length) };
        }

        private sealed class Change
        {
            internal ulong Lsn;
            internal bool IsPut;
            // As JSON: a number, or a string in quotes.
            internal string Key;
        }
    }
}
