//! What the assembly says of itself: name, fixed version, what it may be bound to.
using System.Reflection;
using System.Runtime.CompilerServices;

[assembly: AssemblyTitle("TensorAtom for SQL Server")]
// Fixed, not counted up: a hash that a DBA has trusted must come out of the same source again.
[assembly: AssemblyVersion("1.0.0.0")]
[assembly: RuntimeCompatibility(WrapNonExceptionThrows = true)]
