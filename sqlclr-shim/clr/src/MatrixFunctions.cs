//! Matrices as f32 blobs, row after row: products, singular values.
using System;
using System.Collections;
using System.Data.SqlTypes;
using Microsoft.SqlServer.Server;

namespace TensorAtom.SqlClr
{
    /// <summary>The native side computes on all cores, and nobody can stop it: what takes longer than a product of 4,096 x 4,096 is refused.</summary>
    public static unsafe class MatrixFunctions
    {
        private const ulong WorkMax = 1UL << 36;

        /// <summary>The product of a matrix whose rows have `inner` elements and one that has `inner` rows.</summary>
        [SqlFunction(Name = "clr_MatrixMultiply", IsDeterministic = true)]
        [return: SqlFacet(MaxSize = -1)]
        public static SqlBytes Multiply([SqlFacet(MaxSize = -1)] SqlBytes a, [SqlFacet(MaxSize = -1)] SqlBytes b, SqlInt32 inner)
        {
            if (Blob.AnyNull(a, b, inner))
            {
                return SqlBytes.Null;
            }
            Blob left = Blob.Of(a);
            Blob right = Blob.Of(b);
            ulong rows = Rows(left, inner.Value);
            ulong cols = Rows(right, inner.Value); // as many elements as rows, read the other way
            Bounded(rows, (ulong)inner.Value, cols);
            byte[] product = Room(rows, cols);
            var error = new ErrorSpace();
            error.Check(Api.Multiply.Value(DType.F32, rows, (ulong)inner.Value, cols, left.Buffer, right.Buffer, product, error.Open()));
            return new SqlBytes(product);
        }

        /// <summary>
        /// One row: the `rank` largest singular values of a matrix of so many columns, and their vectors; u is rows x rank, vt
        /// is rank x columns. The closest matrix of that rank is clr_MatrixFromSvd of them.
        /// </summary>
        [SqlFunction(Name = "clr_MatrixSvd", FillRowMethodName = "FillSvd", IsDeterministic = true,
            TableDefinition = "u varbinary(max), singular_values varbinary(max), vt varbinary(max)")]
        public static IEnumerable Svd([SqlFacet(MaxSize = -1)] SqlBytes matrix, SqlInt32 columns, SqlInt32 rank)
        {
            if (Blob.AnyNull(matrix, columns, rank))
            {
                return new byte[0][][];
            }
            Blob blob = Blob.Of(matrix);
            ulong rows = Rows(blob, columns.Value);
            if (rank.Value < 1)
            {
                throw new TensorAtomException("decomposing a matrix: rank must be 1 or more");
            }
            Bounded(rows, (ulong)columns.Value, Math.Min(rows, (ulong)columns.Value));
            byte[] u = Room(rows, (ulong)rank.Value);
            byte[] values = Room(1, (ulong)rank.Value);
            byte[] vt = Room((ulong)rank.Value, (ulong)columns.Value);
            var error = new ErrorSpace();
            error.Check(Api.Decompose.Value(DType.F32, rows, (ulong)columns.Value, blob.Buffer, (ulong)rank.Value, u, values, vt, error.Open()));
            return new[] { new[] { u, values, vt } };
        }

        public static void FillSvd(object row, [SqlFacet(MaxSize = -1)] out SqlBytes u, [SqlFacet(MaxSize = -1)] out SqlBytes values,
            [SqlFacet(MaxSize = -1)] out SqlBytes vt)
        {
            var parts = (byte[][])row;
            u = new SqlBytes(parts[0]);
            values = new SqlBytes(parts[1]);
            vt = new SqlBytes(parts[2]);
        }

        /// <summary>The matrix u x diagonal(singularValues) x vt.</summary>
        [SqlFunction(Name = "clr_MatrixFromSvd", IsDeterministic = true)]
        [return: SqlFacet(MaxSize = -1)]
        public static SqlBytes FromSvd([SqlFacet(MaxSize = -1)] SqlBytes u, [SqlFacet(MaxSize = -1)] SqlBytes singularValues, [SqlFacet(MaxSize = -1)] SqlBytes vt)
        {
            if (Blob.AnyNull(u, singularValues, vt))
            {
                return SqlBytes.Null;
            }
            Blob values = Blob.Of(singularValues);
            int rank = (int)Kernels.Count(DType.F32, values);
            Blob matrix = Blob.Of(vt);
            int rowBytes = (int)Rows(matrix, rank) * sizeof(float); // as many elements as columns, read the other way
            var scaled = new byte[matrix.Length];
            var row = new byte[rowBytes];
            for (int i = 0; i < rank; i++)
            {
                Buffer.BlockCopy(matrix.Buffer, i * rowBytes, row, 0, rowBytes);
                SqlBytes longer = Kernels.Scale(DType.F32, new Blob(row, rowBytes), BitConverter.ToSingle(values.Buffer, i * sizeof(float)));
                Buffer.BlockCopy(longer.Buffer, 0, scaled, i * rowBytes, rowBytes);
            }
            return Multiply(u, new SqlBytes(scaled), rank);
        }

        private static ulong Rows(Blob matrix, int columns)
        {
            ulong count = Kernels.Count(DType.F32, matrix);
            if (columns < 1 || count % (ulong)columns != 0)
            {
                throw new TensorAtomException("reading a matrix: " + count + " elements are not a whole number of rows of " + columns);
            }
            return count / (ulong)columns;
        }

        // Sides are below 2^31, and two of them are those of a value: the product of two fits.
        private static void Bounded(ulong a, ulong b, ulong c)
        {
            if (a * b > 0 && c > WorkMax / (a * b))
            {
                throw new TensorAtomException("computing a matrix: " + a + " x " + b + " x " + c + " steps would hold a thread of the server for long; "
                    + "compute it outside, through the Python or Rust library");
            }
        }

        private static byte[] Room(ulong rows, ulong columns)
        {
            if (rows > 0 && columns > int.MaxValue / sizeof(float) / rows)
            {
                throw new TensorAtomException("computing a matrix: " + rows + " x " + columns + " floats do not fit a value, which has less than 2 GiB");
            }
            return new byte[rows * columns * sizeof(float)];
        }
    }
}
