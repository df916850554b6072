//! The vector functions under the names they have had: little-endian f32 blobs, NULL in gives NULL out, unequal lengths fail.
using System.Data.SqlTypes;
using Microsoft.SqlServer.Server;

namespace TensorAtom.SqlClr
{
    /// <summary>
    /// A blob is a row of 4-byte floats; any other length is an error. An empty blob is a vector of no dimensions, not NULL.
    /// None of these reads a table or a store.
    /// </summary>
    public static class VectorFunctions
    {
        /// <summary>Sum of products.</summary>
        [SqlFunction(Name = "clr_VectorDotProduct", IsDeterministic = true)]
        public static SqlDouble DotProduct([SqlFacet(MaxSize = -1)] SqlBytes a, [SqlFacet(MaxSize = -1)] SqlBytes b)
        {
            return Blob.AnyNull(a, b) ? SqlDouble.Null : Kernels.Dot(DType.F32, Blob.Of(a), Blob.Of(b));
        }

        /// <summary>Cosine of the angle, -1 to 1.</summary>
        [SqlFunction(Name = "clr_VectorCosineSimilarity", IsDeterministic = true)]
        public static SqlDouble CosineSimilarity([SqlFacet(MaxSize = -1)] SqlBytes a, [SqlFacet(MaxSize = -1)] SqlBytes b)
        {
            return Blob.AnyNull(a, b) ? SqlDouble.Null : Kernels.CosineSimilarity(DType.F32, Blob.Of(a), Blob.Of(b));
        }

        /// <summary>Length of the difference.</summary>
        [SqlFunction(Name = "clr_VectorEuclideanDistance", IsDeterministic = true)]
        public static SqlDouble EuclideanDistance([SqlFacet(MaxSize = -1)] SqlBytes a, [SqlFacet(MaxSize = -1)] SqlBytes b)
        {
            return Blob.AnyNull(a, b) ? SqlDouble.Null : Kernels.EuclideanDistance(DType.F32, Blob.Of(a), Blob.Of(b));
        }

        /// <summary>Element by element, a + b.</summary>
        [SqlFunction(Name = "clr_VectorAdd", IsDeterministic = true)]
        [return: SqlFacet(MaxSize = -1)]
        public static SqlBytes Add([SqlFacet(MaxSize = -1)] SqlBytes a, [SqlFacet(MaxSize = -1)] SqlBytes b)
        {
            return Blob.AnyNull(a, b) ? SqlBytes.Null : Kernels.Add(DType.F32, Blob.Of(a), Blob.Of(b));
        }

        /// <summary>Element by element, a - b.</summary>
        [SqlFunction(Name = "clr_VectorSubtract", IsDeterministic = true)]
        [return: SqlFacet(MaxSize = -1)]
        public static SqlBytes Subtract([SqlFacet(MaxSize = -1)] SqlBytes a, [SqlFacet(MaxSize = -1)] SqlBytes b)
        {
            return Blob.AnyNull(a, b) ? SqlBytes.Null : Kernels.Subtract(DType.F32, Blob.Of(a), Blob.Of(b));
        }

        /// <summary>Every element times the factor.</summary>
        [SqlFunction(Name = "clr_VectorScale", IsDeterministic = true)]
        [return: SqlFacet(MaxSize = -1)]
        public static SqlBytes Scale([SqlFacet(MaxSize = -1)] SqlBytes vector, SqlDouble factor)
        {
            return Blob.AnyNull(vector, factor) ? SqlBytes.Null : Kernels.Scale(DType.F32, Blob.Of(vector), factor.Value);
        }

        /// <summary>(1 - t) a + t b.</summary>
        [SqlFunction(Name = "clr_VectorLerp", IsDeterministic = true)]
        [return: SqlFacet(MaxSize = -1)]
        public static SqlBytes Lerp([SqlFacet(MaxSize = -1)] SqlBytes a, [SqlFacet(MaxSize = -1)] SqlBytes b, SqlDouble t)
        {
            return Blob.AnyNull(a, b, t) ? SqlBytes.Null : Kernels.Lerp(DType.F32, Blob.Of(a), Blob.Of(b), t.Value);
        }

        /// <summary>Euclidean length.</summary>
        [SqlFunction(Name = "clr_VectorNorm", IsDeterministic = true)]
        public static SqlDouble Norm([SqlFacet(MaxSize = -1)] SqlBytes vector)
        {
            return Blob.AnyNull(vector) ? SqlDouble.Null : Kernels.Norm(DType.F32, Blob.Of(vector));
        }

        /// <summary>The vector of length 1 in the same direction.</summary>
        [SqlFunction(Name = "clr_VectorNormalize", IsDeterministic = true)]
        [return: SqlFacet(MaxSize = -1)]
        public static SqlBytes Normalize([SqlFacet(MaxSize = -1)] SqlBytes vector)
        {
            return Blob.AnyNull(vector) ? SqlBytes.Null : Kernels.Normalize(DType.F32, Blob.Of(vector));
        }

        /// <summary>Exponentials that sum to 1.</summary>
        [SqlFunction(Name = "clr_VectorSoftmax", IsDeterministic = true)]
        [return: SqlFacet(MaxSize = -1)]
        public static SqlBytes Softmax([SqlFacet(MaxSize = -1)] SqlBytes vector)
        {
            return Blob.AnyNull(vector) ? SqlBytes.Null : Kernels.Softmax(DType.F32, Blob.Of(vector));
        }

        /// <summary>Index of the largest element, from 0; of equal ones the first.</summary>
        [SqlFunction(Name = "clr_VectorArgMax", IsDeterministic = true)]
        public static SqlInt32 ArgMax([SqlFacet(MaxSize = -1)] SqlBytes vector)
        {
            return Blob.AnyNull(vector) ? SqlInt32.Null : Kernels.ArgMax(DType.F32, Blob.Of(vector));
        }
    }
}
