//! Vector functions of the other element types, and int8 codes.
using System;
using System.Collections.Generic;
using System.Data.SqlTypes;

internal static class TypedVectorTests
{
    private const int Dim = 67;
    private static readonly Host Host = new Host(Program.AssemblyPath);
    private static readonly string[] Floats = { "f64", "f32", "f16", "bf16" };

    // A type that fell back to f32 read half the elements, and gave a plausible number.
    public static void Every_float_type_agrees_with_f32_up_to_its_rounding()
    {
        foreach (string type in Floats)
        {
            // Numbers that all types hold exactly, so that only results are rounded.
            var a = new float[Dim];
            var b = new float[Dim];
            for (int i = 0; i < Dim; i++)
            {
                a[i] = (i % 16 - 8) / 8f;
                b[i] = (i * 7 % 16 - 7) / 4f;
            }
            double bound = type == "bf16" ? 1.0 / 64 : type == "f16" ? 1.0 / 512 : 1e-6;
            var dtype = new SqlString(type);
            foreach (string name in new[] { "DotProduct", "CosineSimilarity", "EuclideanDistance" })
            {
                Close(Number("clr_Vector" + name, F32(a), F32(b)), Number("clr_Vector" + name + "Of", dtype, As(a, type), As(b, type)), 1e-6);
            }
            foreach (string name in new[] { "Add", "Subtract" })
            {
                Same(Call("clr_Vector" + name, F32(a), F32(b)), Call("clr_Vector" + name + "Of", dtype, As(a, type), As(b, type)), type, bound);
            }
            foreach (string name in new[] { "Normalize", "Softmax" })
            {
                Same(Call("clr_Vector" + name, F32(a)), Call("clr_Vector" + name + "Of", dtype, As(a, type)), type, bound);
            }
            Same(Call("clr_VectorScale", F32(a), new SqlDouble(0.75)), Call("clr_VectorScaleOf", dtype, As(a, type), new SqlDouble(0.75)), type, bound);
            Same(Call("clr_VectorLerp", F32(a), F32(b), new SqlDouble(0.25)), Call("clr_VectorLerpOf", dtype, As(a, type), As(b, type), new SqlDouble(0.25)), type, bound);
            Close(Number("clr_VectorNorm", F32(a)), Number("clr_VectorNormOf", dtype, As(a, type)), 1e-6);
            Check.Equal(15, ((SqlInt32)Host.Call("clr_VectorArgMaxOf", dtype, As(a, type))).Value);
        }
    }

    public static void Small_integers_give_exact_numbers()
    {
        var a = new SqlBytes(new byte[] { 1, 255, 3, 128 });
        var b = new SqlBytes(new byte[] { 2, 2, 0, 127 });
        Check.Equal(2.0 - 2 - 128 * 127, Number("clr_VectorDotProductOf", new SqlString("i8"), a, b));
        Check.Equal(2.0 + 510 + 128 * 127, Number("clr_VectorDotProductOf", new SqlString("u8"), a, b));
        Check.Equal(Math.Sqrt(1 + 9 + 9 + 255 * 255), Number("clr_VectorEuclideanDistanceOf", new SqlString("i8"), a, b));
        Check.Fails("", () => Host.Call("clr_VectorAddOf", new SqlString("i8"), a, b));
        Check.Fails("unknown dtype", () => Host.Call("clr_VectorNormOf", new SqlString("f17"), a));
        Check.True(((SqlDouble)Host.Call("clr_VectorNormOf", SqlString.Null, a)).IsNull, "NULL in, NULL out");
        Check.Fails("whole number", () => Host.Call("clr_VectorNormOf", new SqlString("f64"), a));
    }

    public static void Codes_read_back_within_half_a_step_for_every_block_and_form()
    {
        float[] values = Values.Random(8, 100);
        foreach (int block in new[] { 0, 1, 7, 32, 100, 1000 })
        {
            foreach (bool isSymmetric in new[] { false, true })
            {
                var back = new List<float>();
                List<object[]> rows = Host.Rows("clr_VectorQuantize", int.MaxValue, F32(values), new SqlInt32(block), new SqlBoolean(isSymmetric));
                Check.Equal(block == 0 ? 1 : (100 + block - 1) / block, rows.Count);
                foreach (object[] row in rows)
                {
                    var scale = (SqlDouble)row[2];
                    Check.True(!isSymmetric || ((SqlInt32)row[3]).Value == 0, "symmetric codes have the zero point 0");
                    float[] part = Values.Floats(Call("clr_VectorDequantize", row[4], scale, row[3]).Value);
                    foreach (float value in part)
                    {
                        Check.Close(values[back.Count], value, scale.Value * 0.501 + 1e-6);
                        back.Add(value);
                    }
                }
                Check.Equal(values.Length, back.Count);
            }
        }
        Check.Equal(0, Host.Rows("clr_VectorQuantize", 9, new SqlBytes(new byte[0]), new SqlInt32(4), SqlBoolean.False).Count);
        Check.Equal(0, Host.Rows("clr_VectorQuantize", 9, SqlBytes.Null, new SqlInt32(4), SqlBoolean.False).Count);
        Check.Fails("1 element or more", () => Host.Call("clr_VectorQuantize", F32(values), new SqlInt32(-1), SqlBoolean.False));
    }

    private static SqlBytes F32(float[] values)
    {
        return Values.Streamed(Values.Floats(values));
    }

    private static SqlBytes As(float[] values, string type)
    {
        return type == "f32" ? F32(values) : Call("clr_VectorConvert", F32(values), new SqlString("f32"), new SqlString(type));
    }

    private static SqlBytes Call(string name, params object[] arguments)
    {
        return (SqlBytes)Host.Call(name, arguments);
    }

    private static double Number(string name, params object[] arguments)
    {
        return ((SqlDouble)Host.Call(name, arguments)).Value;
    }

    private static void Close(double expected, double found, double bound)
    {
        Check.Close(expected, found, Math.Abs(expected) * bound + 1e-9);
    }

    private static void Same(SqlBytes expected, SqlBytes found, string type, double bound)
    {
        float[] wanted = Values.Floats(expected.Value);
        SqlBytes wide = type == "f32" ? found : Call("clr_VectorConvert", found, new SqlString(type), new SqlString("f32"));
        float[] got = Values.Floats(wide.Value);
        Check.Equal(wanted.Length, got.Length);
        for (int i = 0; i < wanted.Length; i++)
        {
            Close(wanted[i], got[i], bound);
        }
    }
}
