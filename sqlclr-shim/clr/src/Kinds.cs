//! Texts of native aggregates that have a parameter.
using System.Data.SqlTypes;
using System.Globalization;

namespace TensorAtom.SqlClr
{
    internal static class Kinds
    {
        internal static string KMeans(SqlInt32 k)
        {
            return "k_means k=" + Number(k);
        }

        internal static string Pca(SqlInt32 components)
        {
            return "pca components=" + Number(components);
        }

        private static string Number(SqlInt32 value)
        {
            if (value.IsNull || value.Value < 1)
            {
                throw new TensorAtomException("aggregating vectors: the number of clusters or components must be 1 or more, not NULL");
            }
            return value.Value.ToString(CultureInfo.InvariantCulture);
        }
    }
}
