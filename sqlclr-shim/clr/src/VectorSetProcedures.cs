//! Vector sets: made, filled, emptied; each call is a commit of its own, durable when the procedure returns.
using System;
using System.Data.SqlTypes;
using Microsoft.SqlServer.Server;

namespace TensorAtom.SqlClr
{
    public static unsafe class VectorSetProcedures
    {
        /// <summary>Makes a set of vectors of `dim` elements; one that is there is an error.</summary>
        [SqlProcedure(Name = "clr_CreateVectorSet")]
        public static void Create([SqlFacet(MaxSize = 128)] SqlString store, [SqlFacet(MaxSize = 4000)] SqlString setName, SqlInt64 dim,
            [SqlFacet(MaxSize = 16)] SqlString dtype, [SqlFacet(MaxSize = 16)] SqlString metric)
        {
            Refuse(store, setName, dim, dtype, metric);
            if (dim.Value < 1)
            {
                throw new TensorAtomException("making a vector set: dim must be 1 or more");
            }
            OpenStore opened = Stores.Open(store.Value);
            WriteProcedures.Transact(opened, (txn, cancel) => opened.WithKey(setName.Value, key =>
            {
                var error = new ErrorSpace();
                return error.Checked(Api.CreateVectors.Value(txn, ref key, (ulong)dim.Value, DType.Number(dtype.Value), Metric.Number(metric.Value), error.Open()));
            }));
        }

        /// <summary>Puts vectors, one after the other in `vectors`, under the ids of a list; ids that are there are replaced.</summary>
        [SqlProcedure(Name = "clr_PutVectors")]
        public static void Put([SqlFacet(MaxSize = 128)] SqlString store, [SqlFacet(MaxSize = 4000)] SqlString setName,
            [SqlFacet(MaxSize = -1)] SqlString ids, [SqlFacet(MaxSize = -1)] SqlBytes vectors)
        {
            Refuse(store, setName, ids, vectors);
            long[] numbers = Ids.Parse(ids);
            OpenStore opened = Stores.Open(store.Value);
            using (VectorSet set = VectorSet.Open(opened, setName.Value))
            {
                Blob blob = Blob.Of(vectors);
                ulong rows = set.Rows(blob);
                if (rows != (ulong)numbers.Length)
                {
                    throw new TensorAtomException("putting vectors: " + numbers.Length + " ids and " + rows + " vectors; pass as many of both");
                }
                Deadline.Within(opened, SqlInt32.Null, cancel =>
                {
                    var error = new ErrorSpace();
                    return error.Checked(Api.UpsertVectors.Value(set.Handle, numbers, rows, blob.Buffer, 0, cancel, error.Open()));
                });
            }
        }

        /// <summary>Deletes the ids of a list; `deleted` is how many of them were there.</summary>
        [SqlProcedure(Name = "clr_DeleteVectors")]
        public static void Delete([SqlFacet(MaxSize = 128)] SqlString store, [SqlFacet(MaxSize = 4000)] SqlString setName,
            [SqlFacet(MaxSize = -1)] SqlString ids, out SqlInt64 deleted)
        {
            Refuse(store, setName, ids);
            long[] numbers = Ids.Parse(ids);
            OpenStore opened = Stores.Open(store.Value);
            using (VectorSet set = VectorSet.Open(opened, setName.Value))
            {
                deleted = Deadline.Within(opened, SqlInt32.Null, cancel =>
                {
                    ulong count;
                    var error = new ErrorSpace();
                    error.Check(Api.DeleteVectors.Value(set.Handle, numbers, (ulong)numbers.Length, cancel, out count, error.Open()));
                    return (long)count;
                });
            }
        }

        private static void Refuse(params INullable[] arguments)
        {
            if (Blob.AnyNull(arguments))
            {
                throw new TensorAtomException("changing a vector set: no argument may be NULL");
            }
        }
    }
}
