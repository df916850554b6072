//! Vectors as int8 codes and back: value = scale * (code - zero point).
using System;
using System.Collections;
using System.Collections.Generic;
using System.Data.SqlTypes;
using System.Text;
using Microsoft.SqlServer.Server;

namespace TensorAtom.SqlClr
{
    public static unsafe class QuantizationFunctions
    {
        private const uint I8 = 10;

        /// <summary>
        /// An f32 blob as rows, one for each `blockElements` elements (0: one row for all), with the scale and the zero point of
        /// the block. Symmetric codes have the zero point 0, and their products are products of the vectors but for the scales.
        /// </summary>
        [SqlFunction(Name = "clr_VectorQuantize", FillRowMethodName = "FillBlock", IsDeterministic = true,
            TableDefinition = "block int, scale float, zero_point int, codes varbinary(max)")]
        public static IEnumerable Quantize([SqlFacet(MaxSize = -1)] SqlBytes vector, SqlInt32 blockElements, SqlBoolean isSymmetric)
        {
            if (Blob.AnyNull(vector, blockElements, isSymmetric))
            {
                return new Block[0];
            }
            if (blockElements.Value < 0)
            {
                throw new TensorAtomException("quantising a vector: a block has 1 element or more, or 0 for all");
            }
            Blob blob = Blob.Of(vector);
            int count = (int)Kernels.Count(DType.F32, blob);
            if (count == 0)
            {
                return new Block[0];
            }
            int each = blockElements.Value == 0 ? count : Math.Min(blockElements.Value, count);
            int blocks = (int)(((long)count + each - 1) / each);
            var codes = new byte[count];
            var scales = new float[blocks];
            int[] zeroPoints = isSymmetric.IsTrue ? null : new int[blocks];
            var error = new ErrorSpace();
            error.Check(Api.Quantize.Value(blob.Buffer, (ulong)count, (ulong)each, codes, scales, zeroPoints, error.Open()));
            return Blocks(codes, scales, zeroPoints, each);
        }

        public static void FillBlock(object row, out SqlInt32 block, out SqlDouble scale, out SqlInt32 zeroPoint, [SqlFacet(MaxSize = -1)] out SqlBytes codes)
        {
            var found = (Block)row;
            block = found.Number;
            scale = found.Scale;
            zeroPoint = found.ZeroPoint;
            codes = new SqlBytes(found.Codes);
        }

        /// <summary>The f32 blob of one block: the inverse of clr_VectorQuantize, but for what rounding took.</summary>
        [SqlFunction(Name = "clr_VectorDequantize", IsDeterministic = true)]
        [return: SqlFacet(MaxSize = -1)]
        public static SqlBytes Dequantize([SqlFacet(MaxSize = -1)] SqlBytes codes, SqlDouble scale, SqlInt32 zeroPoint)
        {
            if (Blob.AnyNull(codes, scale, zeroPoint))
            {
                return SqlBytes.Null;
            }
            Blob blob = Blob.Of(codes);
            ulong count = Kernels.Count(I8, blob);
            if (count > int.MaxValue / sizeof(float))
            {
                throw new TensorAtomException("dequantising a vector: " + count + " floats do not fit a value, which has less than 2 GiB");
            }
            var target = new byte[count * sizeof(float)];
            var error = new ErrorSpace();
            error.Check(Api.Dequantize.Value(blob.Buffer, count, 0, new[] { (float)scale.Value }, new[] { zeroPoint.Value }, target, error.Open()));
            return new SqlBytes(target);
        }

        /// <summary>Blocks of a GGUF layout (Q4_0 .. Q6_K) as an f32 blob of so many elements.</summary>
        [SqlFunction(Name = "clr_DequantizeBlocks", IsDeterministic = true)]
        [return: SqlFacet(MaxSize = -1)]
        public static SqlBytes DequantizeBlocks([SqlFacet(MaxSize = 16)] SqlString layout, [SqlFacet(MaxSize = -1)] SqlBytes blocks, SqlInt32 elements)
        {
            if (Blob.AnyNull(layout, blocks, elements))
            {
                return SqlBytes.Null;
            }
            if (elements.Value < 0 || elements.Value > int.MaxValue / sizeof(float))
            {
                throw new TensorAtomException("dequantising blocks: elements must be 0 to 536,870,911, which fit a value");
            }
            Blob blob = Blob.Of(blocks);
            // Room is taken for what the blocks can hold, no layout having less than a bit for an element.
            if (elements.Value / 8 > blob.Length)
            {
                throw new TensorAtomException("dequantising blocks: " + blob.Length + " bytes are too few for " + elements.Value + " elements");
            }
            byte[] name = NativeText.Utf8(layout.Value);
            var target = new byte[elements.Value * sizeof(float)];
            var error = new ErrorSpace();
            error.Check(Api.DequantizeGguf.Value(name, (ulong)name.Length, blob.Buffer, (ulong)blob.Length, target, (ulong)elements.Value, error.Open()));
            return new SqlBytes(target);
        }

        private static IEnumerable<Block> Blocks(byte[] codes, float[] scales, int[] zeroPoints, int each)
        {
            for (int number = 0; number < scales.Length; number++)
            {
                var part = new byte[Math.Min(each, codes.Length - (long)number * each)];
                Array.Copy(codes, (long)number * each, part, 0, part.Length);
                yield return new Block { Number = number, Scale = scales[number], ZeroPoint = zeroPoints == null ? 0 : zeroPoints[number], Codes = part };
            }
        }

        private sealed class Block
        {
            internal int Number;
            internal float Scale;
            internal int ZeroPoint;
            internal byte[] Codes;
        }
    }
}
