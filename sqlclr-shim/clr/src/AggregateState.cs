//! What every aggregate shares: a native state that begins with the first row, merges, and becomes bytes at any moment.
using System.Data.SqlTypes;
using System.IO;
using System.Text;

namespace TensorAtom.SqlClr
{
    /// <summary>
    /// Rows of f32 into one native aggregate. The state is bounded: it grows with the dimension (its square for covariance and
    /// PCA) and with the points kept, never with the number of rows, and the native side refuses more than 128 MiB.
    /// </summary>
    internal sealed unsafe class AggregateState
    {
        private const byte Version = 1; // of what stands around the state, which has a version of its own
        private const int StateBytesMax = (128 << 20) + 76;
        private const int ValuesGuess = 4096;
        private const int BesideGuess = 256;
        // As floats they still fit a value of T-SQL.
        private const ulong ValuesMax = int.MaxValue / sizeof(double);

        // Rows on their way: a call for each of them costs more than its sum. Small, for there may be many groups.
        private const int PendingBytesMax = 16 << 10;

        private NativeHandle native;
        private string kind;
        // Of the rows so far; -1 while the native side alone knows it.
        private int rowBytes = -1;
        private byte[] pending;
        private double[] pendingWeights;
        private int pendingRows;

        /// <summary>Forgets everything: the server uses one object for group after group.</summary>
        internal void Init()
        {
            if (native != null)
            {
                native.Dispose();
                native = null;
            }
            kind = null;
            rowBytes = -1;
            pendingRows = 0;
        }

        /// <summary>Takes a row; NULL is no row, as in the aggregates of T-SQL.</summary>
        internal void Take(string rowKind, SqlBytes vector)
        {
            if (!Blob.AnyNull(vector))
            {
                Push(rowKind, Blob.Of(vector), null);
            }
        }

        /// <summary>As above, times a weight; a row whose weight is NULL is none either.</summary>
        internal void Take(string rowKind, SqlBytes vector, SqlDouble weight)
        {
            if (!Blob.AnyNull(vector, weight))
            {
                Push(rowKind, Blob.Of(vector), weight.Value);
            }
        }

        /// <summary>As above, of a row in JSON.</summary>
        internal void Take(string rowKind, SqlString json)
        {
            if (!Blob.AnyNull(json))
            {
                Push(rowKind, Blob.Of(ConversionFunctions.JsonToBytes(json)), null);
            }
        }

        internal void Merge(AggregateState other)
        {
            if (other.native == null)
            {
                return;
            }
            Send();
            other.Send();
            if (native == null)
            {
                // The other object stays as it is: the server may go on with it, or drop it without a word.
                Import(other.Export());
                kind = other.kind;
                return;
            }
            var error = new ErrorSpace();
            error.Check(Api.MergeAggregates.Value(native, other.native, error.Open()));
        }

        /// <summary>The value; null where no row, or too few, were taken. The state stays as it is.</summary>
        internal AggregateValue Finish()
        {
            if (native == null)
            {
                return null;
            }
            Send();
            // Long enough for all but matrices: asking for the size first would compute everything twice.
            var values = new double[ValuesGuess];
            var beside = new double[BesideGuess];
            while (true)
            {
                ulong rows, dim;
                var error = new ErrorSpace();
                int status = Api.FinishAggregate.Value(native, values, (ulong)values.Length, beside, (ulong)beside.Length, out rows, out dim, error.Open());
                if (status == 0)
                {
                    return rows == 0 ? null : new AggregateValue((int)rows, (int)dim, values, beside);
                }
                if (status != ReadFunctions.BufferTooSmall || rows > int.MaxValue || dim > int.MaxValue || rows * dim > ValuesMax)
                {
                    error.Check(status);
                }
                values = new double[rows * dim];
                beside = new double[rows];
            }
        }

        internal void Write(BinaryWriter writer)
        {
            Send();
            byte[] state = native == null ? new byte[0] : Export();
            writer.Write(Version);
            writer.Write(kind ?? "");
            writer.Write(state.Length);
            writer.Write(state);
        }

        internal void Read(BinaryReader reader)
        {
            Init();
            byte version = reader.ReadByte();
            if (version != Version)
            {
                throw new TensorAtomException("reading the state of an aggregate: it has version " + version + ", this assembly reads " + Version);
            }
            string written = reader.ReadString();
            int length = reader.ReadInt32();
            if (length < 0 || length > StateBytesMax)
            {
                throw new TensorAtomException("reading the state of an aggregate: " + length + " bytes cannot be one");
            }
            byte[] state = reader.ReadBytes(length);
            if (state.Length != length)
            {
                throw new TensorAtomException("reading the state of an aggregate: it ends after " + state.Length + " of " + length + " bytes");
            }
            if (length > 0)
            {
                Import(state);
                kind = written;
            }
        }

        private void Push(string rowKind, Blob row, double? weight)
        {
            Kernels.Count(DType.F32, row);
            if (native == null)
            {
                byte[] text = Encoding.UTF8.GetBytes(rowKind);
                native = NativeHandle.Own((out ulong handle, ref ErrorSpace space) =>
                    Api.NewAggregate.Value(text, (ulong)text.Length, out handle, space.Open()));
                kind = rowKind;
            }
            else if (kind != rowKind)
            {
                throw new TensorAtomException("aggregating vectors: a group began with '" + kind + "' and went on with '" + rowKind
                    + "'; pass the same number for each row of a group");
            }
            // The first row goes alone: whether it fits what was merged or read, the native side knows.
            if (rowBytes < 0 || row.Length > PendingBytesMax / 2 || row.Length == 0)
            {
                Send();
                Send(row.Buffer, row.Length, 1, weight == null ? null : new[] { weight.Value });
                rowBytes = row.Length;
                return;
            }
            if (row.Length != rowBytes)
            {
                throw new TensorAtomException("aggregating vectors: a row has " + row.Length + " bytes, those before it " + rowBytes
                    + "; all rows of a group must have as many dimensions");
            }
            Collect(row, weight);
        }

        private void Collect(Blob row, double? weight)
        {
            if (pending == null)
            {
                pending = new byte[PendingBytesMax];
            }
            int place = pendingRows * rowBytes;
            if (place > pending.Length - rowBytes)
            {
                Send();
                place = 0;
            }
            System.Buffer.BlockCopy(row.Buffer, 0, pending, place, rowBytes);
            if (weight != null)
            {
                if (pendingWeights == null || pendingWeights.Length < PendingBytesMax / rowBytes)
                {
                    pendingWeights = new double[PendingBytesMax / rowBytes];
                }
                pendingWeights[pendingRows] = weight.Value;
            }
            pendingRows++;
        }

        private void Send()
        {
            int rows = pendingRows;
            pendingRows = 0;
            if (rows > 0)
            {
                Send(pending, rowBytes, rows, pendingWeights);
            }
        }

        // Weights NULL: the aggregate has none, for no row.
        private void Send(byte[] rows, int bytes, int count, double[] weights)
        {
            var error = new ErrorSpace();
            error.Check(Api.PushRows.Value(native, DType.F32, (ulong)bytes / sizeof(float), rows, (ulong)count, 0, weights, error.Open()));
        }

        private byte[] Export()
        {
            return ReadFunctions.Bytes((byte[] target, out ulong length, ref ErrorSpace error) =>
                Api.ExportAggregate.Value(native, target, (ulong)target.Length, out length, error.Open()));
        }

        private void Import(byte[] state)
        {
            native = NativeHandle.Own((out ulong handle, ref ErrorSpace error) =>
                Api.ImportAggregate.Value(state, (ulong)state.Length, out handle, error.Open()));
        }
    }
}
