//! A text in memory that does not move, for keys that outlive the call in which they are made.
using System;
using System.Runtime.InteropServices;
using System.Text;

namespace TensorAtom.SqlClr
{
    internal sealed class NativeText : SafeHandle
    {
        private static readonly UTF8Encoding Strict = new UTF8Encoding(false, true);

        internal readonly byte[] Bytes;

        internal NativeText(string text) : base(IntPtr.Zero, true)
        {
            Bytes = Utf8(text);
            if (Bytes.Length > 0)
            {
                SetHandle(Marshal.AllocHGlobal(Bytes.Length));
                Marshal.Copy(Bytes, 0, handle, Bytes.Length);
            }
        }

        /// <summary>A text as UTF-8. Half of a surrogate pair is an error: replaced, two names would become one.</summary>
        internal static byte[] Utf8(string text)
        {
            try
            {
                return Strict.GetBytes(text);
            }
            catch (EncoderFallbackException error)
            {
                throw new TensorAtomException("reading a text: character " + (error.Index + 1) + " is half of a surrogate pair; correct the text");
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
