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
        public static void CreateStore([SqlFacet(MaxSize = 128)] SqlString store)
        {
            if (store.IsNull)
            {
                throw new TensorAtomException("making a store: the alias must not be NULL");
            }
            Stores.Create(store.Value);
        }

        /// <summary>Reads every payload below a prefix and reports damage as JSON. Takes as long as the disk takes, or ends with an error at the deadline.</summary>
        [SqlProcedure(Name = "clr_VerifyStore")]
        public static void VerifyStore([SqlFacet(MaxSize = 128)] SqlString store, [SqlFacet(MaxSize = 4000)] SqlString prefix,
            SqlInt32 deadlineMs, [SqlFacet(MaxSize = -1)] out SqlString report)
        {
            if (Blob.AnyNull(store, prefix))
            {
                throw new TensorAtomException("verifying a store: alias and prefix must not be NULL; '' verifies everything");
            }
            OpenStore opened = Stores.Open(store.Value);
            byte[] text = NativeText.Utf8(prefix.Value);
            byte[] space = opened.Namespace.Bytes;
            report = Deadline.Within(opened, deadlineMs, cancel => ReadFunctions.Report((byte[] target, out ulong length, ref ErrorSpace error) => space.Length == 0
                ? Api.VerifyStore.Value(opened.Handle, text, (ulong)text.Length, cancel, target, ReadFunctions.Capacity(target), out length, error.Open())
                : Api.VerifyNamespace.Value(opened.Handle, space, (ulong)space.Length, text, (ulong)text.Length, cancel, target,
                    ReadFunctions.Capacity(target), out length, error.Open())));
        }

        /// <summary>A SELECT on the store's public views (atoms, versions, payloads, segments, changes), of all its namespaces, as JSON for OPENJSON.</summary>
        [SqlProcedure(Name = "clr_QueryStore")]
        public static void QueryStore([SqlFacet(MaxSize = 128)] SqlString store, [SqlFacet(MaxSize = -1)] SqlString query, SqlInt32 rowsMax, [SqlFacet(MaxSize = -1)] out SqlString result)
        {
            if (Blob.AnyNull(store, query, rowsMax) || rowsMax.Value < 0)
            {
                throw new TensorAtomException("querying a store: alias, query and rowsMax must not be NULL, rowsMax not negative");
            }
            OpenStore opened = Stores.Open(store.Value);
            byte[] text = NativeText.Utf8(query.Value);
            ulong limit = (ulong)rowsMax.Value;
            result = Deadline.Within(opened, SqlInt32.Null, cancel => ReadFunctions.Report((byte[] target, out ulong length, ref ErrorSpace error) =>
                Api.QueryStore.Value(opened.Handle, text, (ulong)text.Length, limit, cancel, target, ReadFunctions.Capacity(target), out length, error.Open())));
        }
    }
}
