//! Search in vector sets, and what a set is.
using System;
using System.Collections;
using System.Collections.Generic;
using System.Data.SqlTypes;
using Microsoft.SqlServer.Server;

namespace TensorAtom.SqlClr
{
    /// <summary>Exact searches, nearest first, equal distances by id; a query has the element type of the set.</summary>
    public static unsafe class VectorSetFunctions
    {
        /// <summary>The k nearest vectors of a set by its own metric.</summary>
        [SqlFunction(Name = "clr_SearchVectors", FillRowMethodName = "FillNeighbor", TableDefinition = "rank int, vector_id bigint, distance float")]
        public static IEnumerable SearchVectors([SqlFacet(MaxSize = 128)] SqlString store, [SqlFacet(MaxSize = 4000)] SqlString setName,
            [SqlFacet(MaxSize = -1)] SqlBytes query, SqlInt32 k)
        {
            return SearchVectorsWhere(store, setName, query, k, SqlString.Null, SqlString.Null, SqlString.Null, SqlInt64.Null, SqlInt64.Null,
                SqlDouble.Null, SqlInt32.Null);
        }

        /// <summary>
        /// As clr_SearchVectors with filters, NULL for each that is not wanted: another metric, only these ids, not these ids, a
        /// range of ids, no distance above, and milliseconds until the search ends with an error.
        /// </summary>
        [SqlFunction(Name = "clr_SearchVectorsWhere", FillRowMethodName = "FillNeighbor", TableDefinition = "rank int, vector_id bigint, distance float")]
        public static IEnumerable SearchVectorsWhere([SqlFacet(MaxSize = 128)] SqlString store, [SqlFacet(MaxSize = 4000)] SqlString setName,
            [SqlFacet(MaxSize = -1)] SqlBytes query, SqlInt32 k, [SqlFacet(MaxSize = 16)] SqlString metric, [SqlFacet(MaxSize = -1)] SqlString onlyIds,
            [SqlFacet(MaxSize = -1)] SqlString notIds, SqlInt64 idMin, SqlInt64 idMax, SqlDouble distanceMax, SqlInt32 deadlineMs)
        {
            if (Blob.AnyNull(store, setName, query, k))
            {
                return new Neighbor[0];
            }
            if (k.Value < 0 || k.Value > ReadFunctions.NeighborsMax)
            {
                throw new TensorAtomException("searching: k must be 0 to 1,048,576");
            }
            var options = new TaSearchOptions
            {
                Flags = (onlyIds.IsNull ? 0 : TaSearchOptions.HeedAllow) | (distanceMax.IsNull ? 0 : TaSearchOptions.HeedDistance)
                    | (idMin.IsNull && idMax.IsNull ? 0 : TaSearchOptions.HeedRange),
                Metric = metric.IsNull ? 0 : Metric.Number(metric.Value),
                IdMin = idMin.IsNull ? long.MinValue : idMin.Value,
                IdMax = idMax.IsNull ? long.MaxValue : idMax.Value,
                DistanceMax = distanceMax.IsNull ? 0 : distanceMax.Value,
            };
            long[] allow = onlyIds.IsNull ? new long[0] : Ids.Parse(onlyIds);
            long[] deny = notIds.IsNull ? new long[0] : Ids.Parse(notIds);
            OpenStore opened = Stores.Open(store.Value);
            using (VectorSet set = VectorSet.Open(opened, setName.Value))
            {
                Blob blob = Blob.Of(query);
                if (set.Rows(blob) != 1)
                {
                    throw new TensorAtomException("searching: the query has " + blob.Length + " bytes, which is not one vector of the set");
                }
                // No more than there are: what k asks for is not what memory is taken for.
                int room = (int)Math.Min((ulong)k.Value, set.Count());
                var ids = new long[room];
                var distances = new double[room];
                var counts = new ulong[1];
                Deadline.Within(opened, deadlineMs, cancel =>
                {
                    fixed (long* only = allow, not = deny)
                    {
                        TaSearchOptions filled = options;
                        filled.Allow = only;
                        filled.AllowCount = (ulong)allow.Length;
                        filled.Deny = not;
                        filled.DenyCount = (ulong)deny.Length;
                        var error = new ErrorSpace();
                        error.Check(Api.SearchVectors.Value(set.Handle, ref filled, blob.Buffer, 1, (ulong)room, cancel, ids, distances, counts, error.Open()));
                        return counts[0];
                    }
                });
                return Neighbor.Rows(ids, distances, (int)counts[0]);
            }
        }

        public static void FillNeighbor(object row, out SqlInt32 rank, out SqlInt64 id, out SqlDouble distance)
        {
            ((Neighbor)row).Fill(out rank, out id, out distance);
        }

        /// <summary>One row: what a set was made with, and how many vectors it has.</summary>
        [SqlFunction(Name = "clr_VectorSetInfo", FillRowMethodName = "FillInfo", TableDefinition = "dim bigint, dtype nvarchar(16), metric nvarchar(16), vectors bigint")]
        public static IEnumerable VectorSetInfo([SqlFacet(MaxSize = 128)] SqlString store, [SqlFacet(MaxSize = 4000)] SqlString setName)
        {
            if (Blob.AnyNull(store, setName))
            {
                return new Facts[0];
            }
            using (VectorSet set = VectorSet.Open(Stores.Open(store.Value), setName.Value))
            {
                return new[] { new Facts { Dim = (long)set.Dim, DType = DType.Name(set.DType), Metric = Metric.Name(set.Metric), Vectors = (long)set.Count() } };
            }
        }

        public static void FillInfo(object row, out SqlInt64 dim, [SqlFacet(MaxSize = 16)] out SqlString dtype, [SqlFacet(MaxSize = 16)] out SqlString metric, out SqlInt64 vectors)
        {
            var facts = (Facts)row;
            dim = facts.Dim;
            dtype = facts.DType;
            metric = facts.Metric;
            vectors = facts.Vectors;
        }

        private sealed class Facts
        {
            internal long Dim;
            internal string DType;
            internal string Metric;
            internal long Vectors;
        }
    }

    /// <summary>A row of a search.</summary>
    internal sealed class Neighbor
    {
        private int rank;
        private long id;
        private double distance;

        internal static IEnumerable<Neighbor> Rows(long[] ids, double[] distances, int count)
        {
            for (int i = 0; i < count; i++)
            {
                yield return new Neighbor { rank = i + 1, id = ids[i], distance = distances[i] };
            }
        }

        internal void Fill(out SqlInt32 rankColumn, out SqlInt64 idColumn, out SqlDouble distanceColumn)
        {
            rankColumn = rank;
            idColumn = id;
            distanceColumn = double.IsNaN(distance) || double.IsInfinity(distance) ? SqlDouble.Null : distance;
        }
    }
}
