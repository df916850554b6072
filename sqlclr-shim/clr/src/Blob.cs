//! Bytes of a SQL value as the native side wants them: a buffer and how much of it counts.
using System;
using System.Data.SqlTypes;

namespace TensorAtom.SqlClr
{
    /// <summary>`SqlBytes.Buffer` may be longer than the value, and `SqlBytes.Value` copies: so a buffer and a length.</summary>
    internal struct Blob
    {
        // `fixed` makes a null pointer of an empty array, and a null buffer has no length.
        private static readonly byte[] Nothing = new byte[0];

        internal readonly byte[] Buffer;
        internal readonly int Length;

        internal Blob(byte[] buffer, int length)
        {
            Buffer = buffer;
            Length = length;
        }

        /// <summary>
        /// The whole value in memory: for vectors. A value that streams is copied by `SqlBytes` once; payloads go through
        /// <see cref="SqlBytes.Read"/> instead.
        /// </summary>
        internal static Blob Of(SqlBytes bytes)
        {
            long length = bytes.Length;
            if (length > int.MaxValue)
            {
                throw new TensorAtomException("reading a vector: it has " + length + " bytes; a vector argument has less than 2 GiB");
            }
            return length == 0 ? new Blob(Nothing, 0) : new Blob(bytes.Buffer, (int)length);
        }

        internal static bool AnyNull(params INullable[] values)
        {
            foreach (INullable value in values)
            {
                // The server passes Null objects, other hosts null references.
                if (value == null || value.IsNull)
                {
                    return true;
                }
            }
            return false;
        }
    }
}
