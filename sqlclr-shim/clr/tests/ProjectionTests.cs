//! Projections and matrices: the same coordinates by every road, lengths that are kept, products worked out by hand.
using System;
using System.Collections.Generic;
using System.Data.SqlTypes;

internal static class ProjectionTests
{
    private static readonly Host Host = new Host(Program.AssemblyPath);

    // Coordinates are stored: another road, or another seed taken for the same, would compare what cannot be compared.
    public static void The_function_the_aggregate_and_its_json_form_agree()
    {
        float[] row = Values.Random(4, 50);
        var seed = new SqlInt32(-9);
        byte[] alone = Project(row, 6, seed);
        Check.Equal(6 * sizeof(float), alone.Length);
        Check.Bytes(alone, Project(row, 6, seed));
        Check.True(BitConverter.ToString(alone) != BitConverter.ToString(Project(row, 6, new SqlInt32(9))), "another seed, other axes");
        object group = Host.NewAggregate("clr_VectorRandomProjection");
        Host.Do(group, "Init");
        Host.Do(group, "Accumulate", Values.Vector(row), new SqlInt32(6), seed);
        Check.Bytes(alone, ((SqlBytes)Host.Do(group, "Terminate")).Value);
        object json = Host.NewAggregate("RandomProjection");
        Host.Do(json, "Init");
        Host.Do(json, "Accumulate", Host.Call("clr_BytesToFloatArrayJson", Values.Vector(row)), new SqlInt32(6), seed);
        string text = ((SqlString)Host.Do(json, "Terminate")).Value;
        Check.True(text.StartsWith("{\"projected_vectors\":[[", StringComparison.Ordinal) && text.EndsWith("]]}", StringComparison.Ordinal), text);
        Check.Fails("1 or more", () => Host.Call("clr_VectorProject", Values.Vector(row), new SqlInt32(0), seed));
        Check.True(((SqlBytes)Host.Call("clr_VectorProject", SqlBytes.Null, new SqlInt32(1), seed)).IsNull, "NULL gives NULL");
    }

    public static void Points_in_space_keep_lengths_and_never_change()
    {
        // In three dimensions the axes are a rotation.
        double[] point = Point(Values.Vector(3, 0, 4));
        Check.Close(5, Math.Sqrt(point[0] * point[0] + point[1] * point[1] + point[2] * point[2]), 1e-9);
        double[] twice = Point(Values.Vector(6, 0, 8));
        Check.Close(2 * point[1], twice[1], 1e-9);
        Check.Equal(0, Host.Rows("clr_ProjectTo3D", 9, SqlBytes.Null).Count);
        // More kinds of axes than are kept.
        for (int dim = 1; dim < 40; dim++)
        {
            Check.Equal(4 * dim, Project(Values.Random(dim, dim), dim, new SqlInt32(1)).Length);
        }
    }

    // Alignment and sizes are the native side's; which number is rows and which columns can be wrong here alone.
    public static void Matrices_are_multiplied_decomposed_and_put_together_again()
    {
        var product = (SqlBytes)Host.Call("clr_MatrixMultiply", Values.Vector(1, 2, 3, 4, 5, 6), Values.Vector(1, 0, 0, 1, 1, 1), new SqlInt32(3));
        Check.Bytes(Values.Floats(4, 5, 10, 11), product.Value);
        float[] matrix = Values.Random(8, 12);
        object[] parts = Host.Rows("clr_MatrixSvd", 9, Values.Vector(matrix), new SqlInt32(4), new SqlInt32(3))[0];
        Check.Equal(9, Values.Floats(((SqlBytes)parts[1]).Value).Length);
        float[] values = Values.Floats(((SqlBytes)parts[2]).Value);
        Check.True(values[0] >= values[1] && values[1] >= values[2] && values[2] >= 0, "largest first");
        float[] again = Values.Floats(((SqlBytes)Host.Call("clr_MatrixFromSvd", parts[1], parts[2], parts[3])).Value);
        for (int i = 0; i < matrix.Length; i++)
        {
            Check.Close(matrix[i], again[i], 1e-5);
        }
        Check.Equal(0, Host.Rows("clr_MatrixSvd", 9, SqlBytes.Null, new SqlInt32(4), new SqlInt32(3)).Count);
        Check.Fails("whole number of rows", () => Host.Call("clr_MatrixMultiply", Values.Vector(1, 2, 3), Values.Vector(1, 2), new SqlInt32(2)));
        Check.Fails("", () => Host.Call("clr_MatrixSvd", Values.Vector(matrix), new SqlInt32(4), new SqlInt32(4)));
        Check.Fails("1 or more", () => Host.Call("clr_MatrixSvd", Values.Vector(matrix), new SqlInt32(4), new SqlInt32(0)));
    }

    // Nobody can stop a thread in native code, and memory of the server goes to whoever asks for it: sizes are looked at before.
    public static void What_would_take_the_server_for_itself_is_refused_before_memory_is_taken()
    {
        var wide = new SqlBytes(new byte[32 << 20]); // 16,384 x 512
        long before = GC.GetTotalMemory(true);
        Check.Fails("outside", () => Host.Call("clr_MatrixMultiply", wide, wide, new SqlInt32(512)));
        var tall = new SqlBytes(new byte[128 << 10]);
        Check.Fails("less than 2 GiB", () => Host.Call("clr_MatrixMultiply", tall, tall, new SqlInt32(1)));
        Check.Fails("", () => Host.Call("clr_VectorProject", Values.Vector(1, 2), new SqlInt32(int.MaxValue), new SqlInt32(1)));
        Check.Fails("too few", () => Host.Call("clr_DequantizeBlocks", new SqlString("Q4_0"), new SqlBytes(new byte[18]), new SqlInt32(536870911)));
        Check.True(GC.GetTotalMemory(false) - before < 32 << 20, "memory was taken for what is refused");
        // Large, and not kept.
        Check.Equal(3 * sizeof(float), Project(Values.Random(1, 400000), 3, new SqlInt32(5)).Length);
    }

    private static byte[] Project(float[] row, int axes, SqlInt32 seed)
    {
        return ((SqlBytes)Host.Call("clr_VectorProject", Values.Vector(row), new SqlInt32(axes), seed)).Value;
    }

    private static double[] Point(SqlBytes vector)
    {
        object[] row = Host.Rows("clr_ProjectTo3D", 9, vector)[0];
        return new[] { ((SqlDouble)row[1]).Value, ((SqlDouble)row[2]).Value, ((SqlDouble)row[3]).Value };
    }
}
