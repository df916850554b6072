//! Vectors on a few axes that never change: coordinates that may be stored, indexed and drawn.
using System;
using System.Collections;
using System.Collections.Generic;
using System.Data.SqlTypes;
using Microsoft.SqlServer.Server;

namespace TensorAtom.SqlClr
{
    public static unsafe class ProjectionFunctions
    {
        private const int Landmarks = 3;
        private const int Kept = 16;
        private const ulong KeptNumbersMax = 1 << 20;

        // Making one takes longer than using it; the few that a database uses are kept, where they are small.
        private static readonly Dictionary<Axes, NativeHandle> Made = new Dictionary<Axes, NativeHandle>();

        /// <summary>An f32 vector on `axes` directions of random signs, the same for the same seed on every machine: squared distances are kept on average.</summary>
        [SqlFunction(Name = "clr_VectorProject", IsDeterministic = true)]
        [return: SqlFacet(MaxSize = -1)]
        public static SqlBytes Project([SqlFacet(MaxSize = -1)] SqlBytes vector, SqlInt32 axes, SqlInt32 seed)
        {
            if (Blob.AnyNull(vector, axes, seed))
            {
                return SqlBytes.Null;
            }
            if (axes.Value < 1)
            {
                throw new TensorAtomException("projecting a vector: axes must be 1 or more");
            }
            double[] coordinates = Coordinates(vector, axes.Value, (uint)seed.Value);
            var floats = new float[coordinates.Length];
            for (int i = 0; i < floats.Length; i++)
            {
                floats[i] = (float)coordinates[i];
            }
            var bytes = new byte[floats.Length * sizeof(float)];
            Buffer.BlockCopy(floats, 0, bytes, 0, bytes.Length);
            return new SqlBytes(bytes);
        }

        /// <summary>One row: an f32 vector on three orthonormal axes, of any dimension; geometry::Point makes a point of it. NULL has no row.</summary>
        [SqlFunction(Name = "clr_ProjectTo3D", FillRowMethodName = "FillPoint", IsDeterministic = true, TableDefinition = "x float, y float, z float")]
        public static IEnumerable ProjectTo3D([SqlFacet(MaxSize = -1)] SqlBytes vector)
        {
            return Blob.AnyNull(vector) ? new double[0][] : new[] { Coordinates(vector, Landmarks, null) };
        }

        public static void FillPoint(object row, out SqlDouble x, out SqlDouble y, out SqlDouble z)
        {
            var point = (double[])row;
            x = Number(point[0]);
            y = Number(point[1]);
            z = Number(point[2]);
        }

        private static SqlDouble Number(double value)
        {
            return double.IsNaN(value) || double.IsInfinity(value) ? SqlDouble.Null : value;
        }

        // A seed of null: the landmarks.
        private static double[] Coordinates(SqlBytes vector, int axes, uint? seed)
        {
            Blob blob = Blob.Of(vector);
            ulong dim = Kernels.Count(DType.F32, blob);
            var wanted = new Axes { Dim = dim, Count = axes, Seed = seed };
            if (dim <= KeptNumbersMax / (ulong)axes)
            {
                return Coordinates(KeptProjection(wanted), blob, axes);
            }
            using (NativeHandle large = Make(wanted)) // refuses what is too large
            {
                return Coordinates(large, blob, axes);
            }
        }

        private static double[] Coordinates(NativeHandle projection, Blob vector, int axes)
        {
            var coordinates = new double[axes];
            var error = new ErrorSpace();
            error.Check(Api.ProjectVectors.Value(projection, vector.Buffer, (ulong)vector.Length / sizeof(float), coordinates, (ulong)axes, error.Open()));
            return coordinates;
        }

        private static NativeHandle KeptProjection(Axes axes)
        {
            lock (Made)
            {
                NativeHandle made;
                if (!Made.TryGetValue(axes, out made))
                {
                    made = Make(axes);
                    if (Made.Count == Kept)
                    {
                        Made.Clear(); // those in use end with their calls, by their finalizers
                    }
                    Made.Add(axes, made);
                }
                return made;
            }
        }

        private static NativeHandle Make(Axes axes)
        {
            return NativeHandle.Own((out ulong handle, ref ErrorSpace error) => axes.Seed == null
                ? Api.NewLandmarks.Value(axes.Dim, out handle, error.Open())
                : Api.NewRandomProjection.Value(axes.Dim, (ulong)axes.Count, axes.Seed.Value, out handle, error.Open()));
        }

        private struct Axes : IEquatable<Axes>
        {
            internal ulong Dim;
            internal int Count;
            internal uint? Seed;

            public bool Equals(Axes other)
            {
                return Dim == other.Dim && Count == other.Count && Seed == other.Seed;
            }

            public override bool Equals(object other)
            {
                return other is Axes && Equals((Axes)other);
            }

            public override int GetHashCode()
            {
                return unchecked((int)Dim * 31 + Count) * 31 + (int)(Seed ?? 7);
            }
        }
    }
}
