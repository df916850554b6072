//! Conversions as T-SQL meets them: JSON both ways, element types, rows.
using System;
using System.Collections.Generic;
using System.Data.SqlTypes;

internal static class ConversionTests
{
    private static readonly Host Host = new Host(Program.AssemblyPath);

    private static SqlBytes Parse(string json)
    {
        return (SqlBytes)Host.Call("clr_JsonFloatArrayToBytes", json == null ? SqlString.Null : new SqlString(json));
    }

    // The server's own text form of vectors loses the last bit of some floats; ours must not.
    public static void Json_reads_back_to_the_same_bits()
    {
        float[] values = Values.Random(1, 2000);
        values[0] = float.Epsilon;
        values[1] = float.MaxValue;
        values[2] = -0f;
        byte[] bytes = Values.Floats(values);
        var json = (SqlString)Host.Call("clr_BytesToFloatArrayJson", new SqlBytes(bytes));
        Check.Bytes(bytes, Parse(json.Value).Value);
        // Longer than was guessed: each number and its comma are 15 characters.
        float[] many = new float[70000];
        for (int i = 0; i < many.Length; i++)
        {
            many[i] = -1.17549435e-38f;
        }
        string text = ((SqlString)Host.Call("clr_BytesToFloatArrayJson", Values.Vector(many))).Value;
        Check.Equal(many.Length * 15 + 1, text.Length);
        Check.Bytes(Values.Floats(many), Parse(text).Value);
        Check.Equal("[]", ((SqlString)Host.Call("clr_BytesToFloatArrayJson", new SqlBytes(new byte[0]))).Value);
    }

    public static void Json_of_a_vector_column_is_understood_and_nonsense_refused()
    {
        Check.Bytes(Values.Floats(1, -2.5f), Parse("[1.0000000e+000,-2.5000000e+000]").Value);
        Check.Bytes(new byte[0], Parse(" [ ] ").Value);
        Check.True(Parse(null).IsNull, "NULL in, NULL out");
        Check.True(((SqlString)Host.Call("clr_BytesToFloatArrayJson", SqlBytes.Null)).IsNull, "NULL in, NULL out");
        foreach (string nonsense in new[] { "", "[", "[1,]", "{}", "[\"1\"]", "[1] x", "[null]", "NaN", "[1;2]" })
        {
            Check.Fails("", () => Parse(nonsense));
        }
        Check.Fails("", () => Host.Call("clr_BytesToFloatArrayJson", new SqlBytes(new byte[6])));
    }

    public static void Half_precision_and_back_keeps_what_fits()
    {
        float[] values = { 0, 1, -1.5f, 0.25f, 1024 };
        foreach (string type in new[] { "f16", "bf16", "f64" })
        {
            var other = (SqlBytes)Host.Call("clr_VectorConvert", Values.Vector(values), new SqlString("f32"), new SqlString(type));
            Check.Equal(values.Length * (type == "f64" ? 8L : 2L), other.Length);
            var back = (SqlBytes)Host.Call("clr_VectorConvert", other, new SqlString(type), new SqlString("F32"));
            Check.Bytes(Values.Floats(values), back.Value);
            var distance = (SqlDouble)Host.Call("clr_VectorDistance", new SqlString("sqeuclidean"), new SqlString(type), other, other);
            Check.Equal(0.0, distance.Value);
        }
        Check.Fails("unknown dtype", () => Host.Call("clr_VectorConvert", Values.Vector(1), new SqlString("f33"), new SqlString("f16")));
        Check.True(((SqlBytes)Host.Call("clr_VectorConvert", Values.Vector(1), SqlString.Null, new SqlString("f16"))).IsNull, "NULL in, NULL out");
    }

    public static void Distances_of_bytes_are_those_of_a_plain_loop()
    {
        byte[] a = { 1, 255, 3, 128 };
        byte[] b = { 2, 2, 0, 127 };
        double expected = 0;
        for (int i = 0; i < a.Length; i++)
        {
            expected -= (sbyte)a[i] * (sbyte)b[i];
        }
        Check.Equal(expected, ((SqlDouble)Host.Call("clr_VectorDistance", new SqlString("dot"), new SqlString("i8"), new SqlBytes(a), new SqlBytes(b))).Value);
    }

    public static void Unpacked_rows_are_numbered_and_may_be_abandoned()
    {
        List<object[]> rows = Host.Rows("clr_UnpackFloats", 2, Values.Vector(5, float.NaN, 7));
        Check.Equal(2, rows.Count);
        Check.Equal(5.0, ((SqlDouble)rows[0][2]).Value);
        Check.True(((SqlDouble)rows[1][2]).IsNull, "NaN is NULL");
        Check.Equal(1, ((SqlInt32)rows[1][1]).Value);
        Check.Equal(0, Host.Rows("clr_UnpackFloats", 9, SqlBytes.Null).Count);
        Check.Fails("", () => Host.Rows("clr_UnpackFloats", 9, new SqlBytes(new byte[3])));
    }
}
