//! How long a call may take: the server cannot stop a thread in native code, so each long call ends by itself.
using System.Data.SqlTypes;

namespace TensorAtom.SqlClr
{
    internal static unsafe class Deadline
    {
        internal delegate T Call<T>(ulong cancel);

        /// <summary>Runs a call that ends with an error after so many milliseconds; NULL is for ever, and 0 ends at once.</summary>
        internal static T Within<T>(SqlInt32 milliseconds, Call<T> call)
        {
            if (milliseconds.IsNull)
            {
                return call(0);
            }
            if (milliseconds.Value < 0)
            {
                throw new TensorAtomException("a deadline is a number of milliseconds from now, not negative; NULL for none");
            }
            using (NativeHandle cancel = NativeHandle.Own((out ulong handle, ref ErrorSpace error) =>
                Api.NewCancel.Value((ulong)milliseconds.Value, out handle, error.Open())))
            {
                T result = call(cancel.Value);
                System.GC.KeepAlive(cancel);
                return result;
            }
        }
    }
}
