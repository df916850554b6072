//! Room on the caller's stack for the text of an error: the server moves a task between threads, so nothing is kept per thread.
using System;
using System.Runtime.InteropServices;
using System.Text;

namespace TensorAtom.SqlClr
{
    /// <summary>`ta_error` of the header.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct TaError
    {
        internal byte* Text;
        internal ulong Capacity;
        internal ulong Length;
    }

    /// <summary>Use: `var error = new ErrorSpace(); error.Check(call(..., error.Open()));`, as a local variable only.</summary>
    internal unsafe struct ErrorSpace
    {
        private const int TextBytes = 512;

        private TaError header;
        private fixed byte text[TextBytes];

        /// <summary>The pointer that a call takes. Valid while the variable lives; it must not be boxed or a field of a class.</summary>
        internal TaError* Open()
        {
            fixed (ErrorSpace* self = &this)
            {
                self->header.Text = self->text;
                self->header.Capacity = TextBytes;
                return &self->header;
            }
        }

        /// <summary>Turns a status into an exception; 0 passes.</summary>
        internal void Check(int status)
        {
            if (status != 0)
            {
                throw new TensorAtomException(status, Text());
            }
        }

        /// <summary>As <see cref="Check"/>, for expressions; gives 0.</summary>
        internal int Checked(int status)
        {
            Check(status);
            return status;
        }

        private string Text()
        {
            fixed (ErrorSpace* self = &this)
            {
                int length = 0;
                while (length < TextBytes && self->text[length] != 0)
                {
                    length++;
                }
                var bytes = new byte[length];
                Marshal.Copy((IntPtr)self->text, bytes, 0, length);
                return Encoding.UTF8.GetString(bytes);
            }
        }
    }
}
