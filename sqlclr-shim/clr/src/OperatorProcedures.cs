//! What an operator does with a store: make it, verify it, ask its public views.
using System.Data.SqlTypes;
using System.Text;
using Microsoft.SqlServer.Server;

namespace TensorAtom.SqlClr
{
    public static unsafe class OperatorProcedures
    {
        /// <summary>Makes the directory of a registered alias a store; one that is there is left as it is.</summary>
        [SqlProcedure(Name = "clr_CreateStore")]
        public static void CreateStore([SqlFacet(MaxSize = 64)] SqlString store)
        {
            if (store.IsNull)
            {
                throw new TensorAtomException("making a store: the alias must not be NULL");
            }
            Stores.Create(store.Value);
        }

        /// <summary>Reads every payload below a prefix and reports damage as JSON. Takes as long as the disk takes, or ends with an error at the deadline.</summary>
        [SqlProcedure(Name = "clr_VerifyStore")]
        public static void VerifyStore([SqlFacet(MaxSize = 64)] SqlString store, [SqlFacet(MaxSize = 1024)] SqlString prefix,
            SqlInt32 deadlineMs, [SqlFacet(MaxSize = -1)] out SqlString report)
        {
            if (Blob.AnyNull(store, prefix))
            {
                throw new TensorAtomException("verifying a store: alias and prefix must not be NULL; '' verifies everything");
            }
            NativeHandle handle = Stores.Open(store.Value);
            byte[] text = Encoding.UTF8.GetBytes(prefix.Value);
            report = Deadline.Within(deadlineMs, cancel => ReadFunctions.Report((byte[] target, out ulong length, ref ErrorSpace error) =>
                Api.VerifyStore.Value(handle, text, (ulong)text.Length, cancel, target, ReadFunctions.Capacity(target), out length, error.Open())));
        }

        /// <summary>A SELECT on the store's public views (atoms, versions, payloads, segments, changes), as JSON for OPENJSON.</summary>
        [SqlProcedure(Name = "clr_QueryStore")]
        public static void QueryStore([SqlFacet(MaxSize = 64)] SqlString store, [SqlFacet(MaxSize = -1)] SqlString query, SqlInt32 rowsMax, [SqlFacet(MaxSize = -1)] out SqlString result)
        {
            if (Blob.AnyNull(store, query, rowsMax) || rowsMax.Value < 0)
            {
                throw new TensorAtomException("querying a store: alias, query and rowsMax must not be NULL, rowsMax not negative");
            }
            NativeHandle handle = Stores.Open(store.Value);
            byte[] text = Encoding.UTF8.GetBytes(query.Value);
            result = ReadFunctions.Report((byte[] target, out ulong length, ref ErrorSpace error) =>
                Api.QueryStore.Value(handle, text, (ulong)text.Length, (ulong)rowsMax.Value, target, ReadFunctions.Capacity(target), out length, error.Open()));
        }
    }
}
