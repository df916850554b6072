//! The one exception that leaves this assembly: a sentence, and the engine's stable error number.
using System;

namespace TensorAtom.SqlClr
{
    /// <summary>SQL Server shows it as message 6522 with the text inside.</summary>
    [Serializable]
    public sealed class TensorAtomException : Exception
    {
        public TensorAtomException(string message) : base("TensorAtom: " + message)
        {
        }

        internal TensorAtomException(int kind, string message) : base("TensorAtom: " + message)
        {
            Kind = kind;
        }

        private TensorAtomException(System.Runtime.Serialization.SerializationInfo info, System.Runtime.Serialization.StreamingContext context)
            : base(info, context)
        {
        }

        /// <summary>Number of the engine's error kind; 0 if the error arose before the engine was asked.</summary>
        public int Kind { get; private set; }
    }
}
