//! Calls of the vector math: lengths from bytes to elements, results into SQL values.
using System.Data.SqlTypes;

namespace TensorAtom.SqlClr
{
    internal static unsafe class Kernels
    {
        private const uint ArgMaxReduction = 8;
        private const uint Norm2Reduction = 10;

        internal static SqlDouble Dot(uint dtype, Blob a, Blob b)
        {
            return PairOf(Api.Dot.Value, dtype, a, b);
        }

        internal static SqlDouble CosineSimilarity(uint dtype, Blob a, Blob b)
        {
            return PairOf(Api.CosineSimilarity.Value, dtype, a, b);
        }

        internal static SqlDouble EuclideanDistance(uint dtype, Blob a, Blob b)
        {
            return Distance(Metric.Euclidean, dtype, a, b);
        }

        internal static SqlDouble Distance(uint metric, uint dtype, Blob a, Blob b)
        {
            double result;
            var error = new ErrorSpace();
            error.Check(Api.DistanceOf.Value(metric, a.Buffer, b.Buffer, dtype, Count(dtype, a, b), out result, error.Open()));
            return Number(result);
        }

        internal static SqlBytes Add(uint dtype, Blob a, Blob b)
        {
            return BinaryOf(Api.Add.Value, dtype, a, b);
        }

        internal static SqlBytes Subtract(uint dtype, Blob a, Blob b)
        {
            return BinaryOf(Api.Subtract.Value, dtype, a, b);
        }

        internal static SqlBytes Scale(uint dtype, Blob a, double factor)
        {
            var target = new byte[a.Length];
            var error = new ErrorSpace();
            error.Check(Api.Scale.Value(a.Buffer, factor, dtype, Count(dtype, a), target, error.Open()));
            return new SqlBytes(target);
        }

        internal static SqlBytes Lerp(uint dtype, Blob a, Blob b, double t)
        {
            ulong count = Count(dtype, a, b);
            var target = new byte[a.Length];
            var error = new ErrorSpace();
            error.Check(Api.Lerp.Value(a.Buffer, b.Buffer, t, dtype, count, target, error.Open()));
            return new SqlBytes(target);
        }

        internal static SqlDouble Norm(uint dtype, Blob a)
        {
            return Number(Reduce(Norm2Reduction, dtype, a));
        }

        internal static SqlInt32 ArgMax(uint dtype, Blob a)
        {
            return (int)Reduce(ArgMaxReduction, dtype, a);
        }

        internal static SqlBytes Normalize(uint dtype, Blob a)
        {
            return UnaryOf(Api.Normalize.Value, dtype, a);
        }

        internal static SqlBytes Softmax(uint dtype, Blob a)
        {
            return UnaryOf(Api.Softmax.Value, dtype, a);
        }

        /// <summary>Elements in a blob. The native side cannot see a rest of bytes, so it is refused here.</summary>
        internal static ulong Count(uint dtype, Blob a)
        {
            int width = DType.Bytes(dtype);
            if (width == 0 || a.Length % width != 0)
            {
                throw new TensorAtomException("reading a vector: " + a.Length + " bytes are not a whole number of elements of type "
                    + DType.Name(dtype) + "; check the column");
            }
            return (ulong)(a.Length / width);
        }

        private static ulong Count(uint dtype, Blob a, Blob b)
        {
            if (a.Length != b.Length)
            {
                throw new TensorAtomException("comparing vectors: one has " + a.Length + " bytes, the other " + b.Length
                    + "; both must have as many dimensions");
            }
            return Count(dtype, a);
        }

        private static SqlDouble PairOf(Api.Pair call, uint dtype, Blob a, Blob b)
        {
            double result;
            var error = new ErrorSpace();
            error.Check(call(a.Buffer, b.Buffer, dtype, Count(dtype, a, b), out result, error.Open()));
            return Number(result);
        }

        private static SqlBytes BinaryOf(Api.Binary call, uint dtype, Blob a, Blob b)
        {
            ulong count = Count(dtype, a, b);
            var target = new byte[a.Length];
            var error = new ErrorSpace();
            error.Check(call(a.Buffer, b.Buffer, dtype, count, target, error.Open()));
            return new SqlBytes(target);
        }

        private static SqlBytes UnaryOf(Api.Unary call, uint dtype, Blob a)
        {
            ulong count = Count(dtype, a);
            var target = new byte[a.Length];
            var error = new ErrorSpace();
            error.Check(call(a.Buffer, dtype, count, target, error.Open()));
            return new SqlBytes(target);
        }

        private static double Reduce(uint reduction, uint dtype, Blob a)
        {
            double result;
            var error = new ErrorSpace();
            error.Check(Api.ReduceOf.Value(reduction, a.Buffer, dtype, Count(dtype, a), out result, error.Open()));
            return result;
        }

        // `float` of T-SQL has neither NaN nor infinities; SqlDouble would refuse them with a text that names no cause.
        private static SqlDouble Number(double value)
        {
            if (double.IsNaN(value) || double.IsInfinity(value))
            {
                throw new TensorAtomException("the result is not a finite number, which T-SQL's float cannot hold; check the vectors for NaN and infinities");
            }
            return new SqlDouble(value);
        }
    }
}
