//! Owners of native objects: whatever happens to the call or the AppDomain, the object is closed once.
using System;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace TensorAtom.SqlClr
{
    /// <summary>A handle of the native table. Closed by Dispose, or by the finalizer when a query is abandoned or the AppDomain unloaded.</summary>
    internal sealed class NativeHandle : SafeHandleZeroOrMinusOneIsInvalid
    {
        // Held here: the finalizer must not depend on statics, which may be gone.
        private readonly Api.Close close;

        private NativeHandle() : base(true)
        {
            close = Api.CloseHandle.Value;
        }

        internal delegate int Opener(out ulong handle, ref ErrorSpace error);

        /// <summary>Takes over what a call opens. A thread abort cannot come between the call and the owner.</summary>
        internal static NativeHandle Own(Opener open)
        {
            var owner = new NativeHandle();
            var error = new ErrorSpace();
            int status = 0;
            try
            {
            }
            finally
            {
                ulong handle;
                status = open(out handle, ref error);
                if (status == 0)
                {
                    owner.SetHandle((IntPtr)(long)handle);
                }
            }
            error.Check(status);
            return owner;
        }

        /// <summary>The number, for the parameter of a call that may be 0. The owner must outlive the call.</summary>
        internal ulong Value
        {
            get { return (ulong)(long)handle; }
        }

        protected override unsafe bool ReleaseHandle()
        {
            return close((ulong)(long)handle, null) == 0;
        }
    }
}
