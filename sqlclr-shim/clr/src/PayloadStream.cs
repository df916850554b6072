//! A payload as the stream behind a SqlBytes: read range by range, never whole.
using System;
using System.IO;

namespace TensorAtom.SqlClr
{
    /// <summary>Reads one version: it holds a snapshot, so that a commit in between changes nothing. Not for several threads.</summary>
    internal sealed unsafe class PayloadStream : Stream
    {
        private readonly NativeHandle snapshot;
        private readonly NativeText name; // what the key points to, if it has one
        private readonly long start;
        private readonly long length;
        private TaKey key;
        private long position;

        internal PayloadStream(NativeHandle snapshot, NativeText name, TaKey key, long start, long length)
        {
            this.snapshot = snapshot;
            this.name = name;
            this.key = key;
            this.start = start;
            this.length = length;
        }

        public override bool CanRead { get { return true; } }
        public override bool CanSeek { get { return true; } }
        public override bool CanWrite { get { return false; } }
        public override long Length { get { return length; } }

        public override long Position
        {
            get { return position; }
            set { Seek(value, SeekOrigin.Begin); }
        }

        public override int Read(byte[] buffer, int offset, int count)
        {
            if (buffer == null || offset < 0 || count < 0 || buffer.Length - offset < count)
            {
                throw new ArgumentException("offset and count are outside the buffer");
            }
            int taken = (int)Math.Min(count, Math.Max(0, length - position));
            if (taken > 0)
            {
                var error = new ErrorSpace();
                fixed (byte* target = &buffer[offset])
                {
                    error.Check(Api.ReadRange.Value(snapshot, ref key, (ulong)(start + position), (IntPtr)target, (ulong)taken, error.Open()));
                }
                GC.KeepAlive(name);
                position += taken;
            }
            return taken;
        }

        public override long Seek(long offset, SeekOrigin origin)
        {
            long target = offset + (origin == SeekOrigin.Begin ? 0 : origin == SeekOrigin.Current ? position : length);
            if (target < 0)
            {
                throw new IOException("the position is before the start");
            }
            return position = target;
        }

        public override void Flush()
        {
        }

        public override void SetLength(long value)
        {
            throw new NotSupportedException();
        }

        public override void Write(byte[] buffer, int offset, int count)
        {
            throw new NotSupportedException();
        }

        protected override void Dispose(bool disposing)
        {
            if (disposing)
            {
                snapshot.Dispose();
                if (name != null)
                {
                    name.Dispose();
                }
            }
            base.Dispose(disposing);
        }
    }
}
