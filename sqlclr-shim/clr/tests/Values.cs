//! SQL values for tests: vectors as blobs, blobs that stream, lengths that do not fit.
using System;
using System.Data.SqlTypes;
using System.IO;

internal static class Values
{
    internal static byte[] Floats(params float[] values)
    {
        var bytes = new byte[values.Length * sizeof(float)];
        Buffer.BlockCopy(values, 0, bytes, 0, bytes.Length);
        return bytes;
    }

    internal static float[] Floats(byte[] bytes)
    {
        var values = new float[bytes.Length / sizeof(float)];
        Buffer.BlockCopy(bytes, 0, values, 0, bytes.Length);
        return values;
    }

    internal static SqlBytes Vector(params float[] values)
    {
        return new SqlBytes(Floats(values));
    }

    /// <summary>As the server hands out large values: the bytes are behind a stream.</summary>
    internal static SqlBytes Streamed(byte[] bytes)
    {
        return new SqlBytes(new MemoryStream(bytes));
    }

    /// <summary>A buffer that is longer than the value in it.</summary>
    internal static SqlBytes Loose(byte[] bytes)
    {
        var longer = new byte[bytes.Length + 12];
        for (int i = 0; i < longer.Length; i++)
        {
            longer[i] = 0x7F;
        }
        Buffer.BlockCopy(bytes, 0, longer, 0, bytes.Length);
        var value = new SqlBytes(longer);
        value.SetLength(bytes.Length);
        return value;
    }

    internal static float[] Random(int seed, int count)
    {
        var random = new Random(seed);
        var values = new float[count];
        for (int i = 0; i < count; i++)
        {
            values[i] = (float)(random.NextDouble() * 2 - 1);
        }
        return values;
    }

    internal static byte[] RandomBytes(int seed, int count)
    {
        var bytes = new byte[count];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }
}
