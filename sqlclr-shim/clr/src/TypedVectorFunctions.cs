//! The vector functions for the other element types, which are named as first argument.
using System.Data.SqlTypes;
using Microsoft.SqlServer.Server;

namespace TensorAtom.SqlClr
{
    /// <summary>
    /// As <see cref="VectorFunctions"/> for f64, f32, f16 and bf16; what gives a number also takes the small integers i8 and u8.
    /// A result of elements has the type of its arguments, each element rounded half to even.
    /// </summary>
    public static class TypedVectorFunctions
    {
        /// <summary>Sum of products.</summary>
        [SqlFunction(Name = "clr_VectorDotProductOf", IsDeterministic = true)]
        public static SqlDouble DotProductOf([SqlFacet(MaxSize = 16)] SqlString dtype, [SqlFacet(MaxSize = -1)] SqlBytes a, [SqlFacet(MaxSize = -1)] SqlBytes b)
        {
            return Blob.AnyNull(dtype, a, b) ? SqlDouble.Null : Kernels.Dot(DType.Number(dtype.Value), Blob.Of(a), Blob.Of(b));
        }

        /// <summary>Cosine of the angle, -1 to 1.</summary>
        [SqlFunction(Name = "clr_VectorCosineSimilarityOf", IsDeterministic = true)]
        public static SqlDouble CosineSimilarityOf([SqlFacet(MaxSize = 16)] SqlString dtype, [SqlFacet(MaxSize = -1)] SqlBytes a, [SqlFacet(MaxSize = -1)] SqlBytes b)
        {
            return Blob.AnyNull(dtype, a, b) ? SqlDouble.Null : Kernels.CosineSimilarity(DType.Number(dtype.Value), Blob.Of(a), Blob.Of(b));
        }

        /// <summary>Length of the difference.</summary>
        [SqlFunction(Name = "clr_VectorEuclideanDistanceOf", IsDeterministic = true)]
        public static SqlDouble EuclideanDistanceOf([SqlFacet(MaxSize = 16)] SqlString dtype, [SqlFacet(MaxSize = -1)] SqlBytes a, [SqlFacet(MaxSize = -1)] SqlBytes b)
        {
            return Blob.AnyNull(dtype, a, b) ? SqlDouble.Null : Kernels.EuclideanDistance(DType.Number(dtype.Value), Blob.Of(a), Blob.Of(b));
        }

        /// <summary>Element by element, a + b.</summary>
        [SqlFunction(Name = "clr_VectorAddOf", IsDeterministic = true)]
        [return: SqlFacet(MaxSize = -1)]
        public static SqlBytes AddOf([SqlFacet(MaxSize = 16)] SqlString dtype, [SqlFacet(MaxSize = -1)] SqlBytes a, [SqlFacet(MaxSize = -1)] SqlBytes b)
        {
            return Blob.AnyNull(dtype, a, b) ? SqlBytes.Null : Kernels.Add(DType.Number(dtype.Value), Blob.Of(a), Blob.Of(b));
        }

        /// <summary>Element by element, a - b.</summary>
        [SqlFunction(Name = "clr_VectorSubtractOf", IsDeterministic = true)]
        [return: SqlFacet(MaxSize = -1)]
        public static SqlBytes SubtractOf([SqlFacet(MaxSize = 16)] SqlString dtype, [SqlFacet(MaxSize = -1)] SqlBytes a, [SqlFacet(MaxSize = -1)] SqlBytes b)
        {
            return Blob.AnyNull(dtype, a, b) ? SqlBytes.Null : Kernels.Subtract(DType.Number(dtype.Value), Blob.Of(a), Blob.Of(b));
        }

        /// <summary>Every element times the factor.</summary>
        [SqlFunction(Name = "clr_VectorScaleOf", IsDeterministic = true)]
        [return: SqlFacet(MaxSize = -1)]
        public static SqlBytes ScaleOf([SqlFacet(MaxSize = 16)] SqlString dtype, [SqlFacet(MaxSize = -1)] SqlBytes vector, SqlDouble factor)
        {
            return Blob.AnyNull(dtype, vector, factor) ? SqlBytes.Null : Kernels.Scale(DType.Number(dtype.Value), Blob.Of(vector), factor.Value);
        }

        /// <summary>(1 - t) a + t b.</summary>
        [SqlFunction(Name = "clr_VectorLerpOf", IsDeterministic = true)]
        [return: SqlFacet(MaxSize = -1)]
        public static SqlBytes LerpOf([SqlFacet(MaxSize = 16)] SqlString dtype, [SqlFacet(MaxSize = -1)] SqlBytes a, [SqlFacet(MaxSize = -1)] SqlBytes b, SqlDouble t)
        {
            return Blob.AnyNull(dtype, a, b, t) ? SqlBytes.Null : Kernels.Lerp(DType.Number(dtype.Value), Blob.Of(a), Blob.Of(b), t.Value);
        }

        /// <summary>Euclidean length.</summary>
        [SqlFunction(Name = "clr_VectorNormOf", IsDeterministic = true)]
        public static SqlDouble NormOf([SqlFacet(MaxSize = 16)] SqlString dtype, [SqlFacet(MaxSize = -1)] SqlBytes vector)
        {
            return Blob.AnyNull(dtype, vector) ? SqlDouble.Null : Kernels.Norm(DType.Number(dtype.Value), Blob.Of(vector));
        }

        /// <summary>The vector of length 1 in the same direction.</summary>
        [SqlFunction(Name = "clr_VectorNormalizeOf", IsDeterministic = true)]
        [return: SqlFacet(MaxSize = -1)]
        public static SqlBytes NormalizeOf([SqlFacet(MaxSize = 16)] SqlString dtype, [SqlFacet(MaxSize = -1)] SqlBytes vector)
        {
            return Blob.AnyNull(dtype, vector) ? SqlBytes.Null : Kernels.Normalize(DType.Number(dtype.Value), Blob.Of(vector));
        }

        /// <summary>Exponentials that sum to 1.</summary>
        [SqlFunction(Name = "clr_VectorSoftmaxOf", IsDeterministic = true)]
        [return: SqlFacet(MaxSize = -1)]
        public static SqlBytes SoftmaxOf([SqlFacet(MaxSize = 16)] SqlString dtype, [SqlFacet(MaxSize = -1)] SqlBytes vector)
        {
            return Blob.AnyNull(dtype, vector) ? SqlBytes.Null : Kernels.Softmax(DType.Number(dtype.Value), Blob.Of(vector));
        }

        /// <summary>Index of the largest element, from 0; of equal ones the first.</summary>
        [SqlFunction(Name = "clr_VectorArgMaxOf", IsDeterministic = true)]
        public static SqlInt32 ArgMaxOf([SqlFacet(MaxSize = 16)] SqlString dtype, [SqlFacet(MaxSize = -1)] SqlBytes vector)
        {
            return Blob.AnyNull(dtype, vector) ? SqlInt32.Null : Kernels.ArgMax(DType.Number(dtype.Value), Blob.Of(vector));
        }
    }
}
