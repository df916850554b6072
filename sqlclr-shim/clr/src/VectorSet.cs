//! An open vector set, and what it was made with.
using System;
using System.Text;

namespace TensorAtom.SqlClr
{
    internal sealed unsafe class VectorSet : IDisposable
    {
        internal readonly NativeHandle Handle;
        internal readonly ulong Dim;
        internal readonly uint DType;
        internal readonly uint Metric;

        private VectorSet(NativeHandle handle)
        {
            Handle = handle;
            var error = new ErrorSpace();
            error.Check(Api.FactsOfVectors.Value(handle, out Dim, out DType, out Metric, error.Open()));
        }

        /// <summary>Opens a set that is there.</summary>
        internal static VectorSet Open(string alias, string setName)
        {
            NativeHandle store = Stores.Open(alias);
            return WithName(setName, key => new VectorSet(NativeHandle.Own((out ulong handle, ref ErrorSpace error) =>
                Api.FindVectors.Value(store, ref key, out handle, error.Open()))));
        }

        internal delegate T Named<T>(TaKey key);

        /// <summary>Runs a call with a key whose text stays where it is meanwhile.</summary>
        internal static T WithName<T>(string setName, Named<T> call)
        {
            if (setName.Length == 0)
            {
                throw new TensorAtomException("opening a vector set: the name is empty"); // a name of NULL would mean the number 0
            }
            byte[] name = Encoding.UTF8.GetBytes(setName);
            fixed (byte* text = name)
            {
                return call(new TaKey { Name = (IntPtr)text, NameLength = (ulong)name.Length });
            }
        }

        /// <summary>Number of vectors in a blob. The native side reads as many bytes as the numbers say; only here is it known how many there are.</summary>
        internal ulong Rows(Blob vectors)
        {
            ulong row = DType == 16 ? (Dim + 7) / 8 : Dim * (ulong)SqlClr.DType.Bytes(DType);
            if (row == 0 || (ulong)vectors.Length % row != 0)
            {
                throw new TensorAtomException("reading vectors: " + vectors.Length + " bytes are not a whole number of vectors of " + Dim
                    + " elements of type " + SqlClr.DType.Name(DType) + ", which have " + row + " bytes each");
            }
            return (ulong)vectors.Length / row;
        }

        internal ulong Count()
        {
            ulong count;
            var error = new ErrorSpace();
            error.Check(Api.CountVectors.Value(Handle, out count, error.Open()));
            return count;
        }

        public void Dispose()
        {
            Handle.Dispose();
        }
    }
}
