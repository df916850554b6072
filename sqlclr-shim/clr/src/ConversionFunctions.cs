//! Vectors as JSON text, in other element types, as rows; distances of every metric and type.
using System;
using System.Collections;
using System.Data.SqlTypes;
using System.Text;
using Microsoft.SqlServer.Server;

namespace TensorAtom.SqlClr
{
    /// <summary>Types and metrics are passed by name: f64 f32 f16 bf16 i8 u8 ...; dot cosine sqeuclidean euclidean manhattan hamming jaccard.</summary>
    public static class ConversionFunctions
    {
        // "-1.17549435e-38," and two brackets.
        private const int JsonCharsMax = 24;
        private const int JsonCharsMostly = 13;
        private const ulong FewNumbers = 1 << 16;

        /// <summary>A JSON array of numbers as f32 blob. Takes what CAST(vector AS nvarchar(max)) gives.</summary>
        [SqlFunction(Name = "clr_JsonFloatArrayToBytes", IsDeterministic = true)]
        [return: SqlFacet(MaxSize = -1)]
        public static SqlBytes JsonToBytes([SqlFacet(MaxSize = -1)] SqlString json)
        {
            if (json.IsNull)
            {
                return SqlBytes.Null;
            }
            byte[] text = NativeText.Utf8(json.Value);
            // A number and its comma take at least two characters.
            var target = new byte[Size((text.Length / 2 + 1L) * sizeof(float))];
            ulong length;
            var error = new ErrorSpace();
            unsafe
            {
                error.Check(Api.JsonParse.Value(text, (ulong)text.Length, target, (ulong)target.Length / sizeof(float), out length, error.Open()));
            }
            Array.Resize(ref target, (int)length * sizeof(float));
            return new SqlBytes(target);
        }

        /// <summary>An f32 blob as JSON array, with the fewest digits that read back to the same bits.</summary>
        [SqlFunction(Name = "clr_BytesToFloatArrayJson", IsDeterministic = true)]
        [return: SqlFacet(MaxSize = -1)]
        public static SqlString BytesToJson([SqlFacet(MaxSize = -1)] SqlBytes vector)
        {
            if (Blob.AnyNull(vector))
            {
                return SqlString.Null;
            }
            Blob blob = Blob.Of(vector);
            ulong count = Kernels.Count(DType.F32, blob);
            // What always suffices for few numbers; for many what mostly does, and a second attempt where it does not.
            long guess = (long)count * (count <= FewNumbers ? JsonCharsMax : JsonCharsMostly) + 2;
            return Encoding.UTF8.GetString(ReadFunctions.Bytes(Size(guess), (byte[] target, out ulong length, ref ErrorSpace error) =>
                Written(blob, count, target, out length, ref error)));
        }

        /// <summary>A vector in another float type, rounded half to even; what is beyond it becomes infinity.</summary>
        [SqlFunction(Name = "clr_VectorConvert", IsDeterministic = true)]
        [return: SqlFacet(MaxSize = -1)]
        public static SqlBytes Convert([SqlFacet(MaxSize = -1)] SqlBytes vector, [SqlFacet(MaxSize = 16)] SqlString source, [SqlFacet(MaxSize = 16)] SqlString target)
        {
            if (Blob.AnyNull(vector, source, target))
            {
                return SqlBytes.Null;
            }
            Blob blob = Blob.Of(vector);
            uint from = DType.Number(source.Value);
            uint to = DType.Number(target.Value);
            ulong count = Kernels.Count(from, blob);
            var converted = new byte[Size((long)count * DType.Bytes(to))];
            var error = new ErrorSpace();
            unsafe
            {
                error.Check(Api.ConvertTo.Value(blob.Buffer, from, converted, to, count, 0, error.Open()));
            }
            return new SqlBytes(converted);
        }

        /// <summary>A distance (smaller is nearer; dot is minus the product) of two vectors of any element type.</summary>
        [SqlFunction(Name = "clr_VectorDistance", IsDeterministic = true)]
        public static SqlDouble Distance([SqlFacet(MaxSize = 16)] SqlString metric, [SqlFacet(MaxSize = 16)] SqlString dtype,
            [SqlFacet(MaxSize = -1)] SqlBytes a, [SqlFacet(MaxSize = -1)] SqlBytes b)
        {
            return Blob.AnyNull(metric, dtype, a, b)
                ? SqlDouble.Null
                : Kernels.Distance(Metric.Number(metric.Value), DType.Number(dtype.Value), Blob.Of(a), Blob.Of(b));
        }

        /// <summary>Elements of an f32 blob as rows, numbered from 0. NULL has no rows; NaN and infinities are NULL.</summary>
        [SqlFunction(Name = "clr_UnpackFloats", FillRowMethodName = "FillFloat", IsDeterministic = true, TableDefinition = "position int, value float")]
        public static IEnumerable UnpackFloats([SqlFacet(MaxSize = -1)] SqlBytes vector)
        {
            if (Blob.AnyNull(vector))
            {
                return new float[0];
            }
            Blob blob = Blob.Of(vector);
            return Elements(blob, (int)Kernels.Count(DType.F32, blob));
        }

        public static void FillFloat(object row, out SqlInt32 position, out SqlDouble value)
        {
            var element = (System.Collections.Generic.KeyValuePair<int, float>)row;
            position = element.Key;
            value = float.IsNaN(element.Value) || float.IsInfinity(element.Value) ? SqlDouble.Null : element.Value;
        }

        private static unsafe int Written(Blob blob, ulong count, byte[] target, out ulong length, ref ErrorSpace error)
        {
            return Api.JsonWrite.Value(blob.Buffer, count, target, (ulong)target.Length, out length, error.Open());
        }

        private static IEnumerable Elements(Blob blob, int count)
        {
            for (int i = 0; i < count; i++)
            {
                yield return new System.Collections.Generic.KeyValuePair<int, float>(i, BitConverter.ToSingle(blob.Buffer, i * sizeof(float)));
            }
        }

        private static int Size(long bytes)
        {
            if (bytes > int.MaxValue)
            {
                throw new TensorAtomException("converting a vector: the result could take " + bytes + " bytes; values have less than 2 GiB");
            }
            return (int)bytes;
        }
    }
}
