//! A text in memory that does not move, for keys that outlive the call in which they are made.
using System;
using System.Runtime.InteropServices;
using System.Text;

namespace TensorAtom.SqlClr
{
    internal sealed class NativeText : SafeHandle
    {
        internal readonly byte[] Bytes;

        internal NativeText(string text) : base(IntPtr.Zero, true)
        {
            Bytes = Encoding.UTF8.GetBytes(text);
            if (Bytes.Length > 0)
            {
                SetHandle(Marshal.AllocHGlobal(Bytes.Length));
                Marshal.Copy(Bytes, 0, handle, Bytes.Length);
            }
        }

        internal IntPtr Pointer
        {
            get { return handle; }
        }

        internal ulong Length
        {
            get { return (ulong)Bytes.Length; }
        }

        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }

        protected override bool ReleaseHandle()
        {
            Marshal.FreeHGlobal(handle);
            return true;
        }
    }
}
