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

        /// <summary>The seed is taken as 32 bits without a sign, so that each number is another one.</summary>
        internal static string RandomProjection(SqlInt32 axes, SqlInt32 seed)
        {
            if (seed.IsNull)
            {
                throw new TensorAtomException("aggregating vectors: the seed must not be NULL");
            }
            return "random_projection axes=" + Number(axes) + " seed=" + ((uint)seed.Value).ToString(CultureInfo.InvariantCulture);
        }

        private static string Number(SqlInt32 value)
        {
            if (value.IsNull || value.Value < 1)
            {
                throw new TensorAtomException("aggregating vectors: the number of clusters, components or axes must be 1 or more, not NULL");
            }
            return value.Value.ToString(CultureInfo.InvariantCulture);
        }
    }
}
