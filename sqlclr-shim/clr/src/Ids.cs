//! Lists of ids as text: T-SQL makes them with STRING_AGG(id, ','), and has no arrays.
using System.Data.SqlTypes;
using System.Globalization;

namespace TensorAtom.SqlClr
{
    internal static class Ids
    {
        /// <summary>Numbers between commas; spaces do no harm, and '' is no id.</summary>
        internal static long[] Parse(SqlString list)
        {
            string text = list.Value.Trim();
            if (text.Length == 0)
            {
                return new long[0];
            }
            string[] words = text.Split(',');
            var ids = new long[words.Length];
            for (int i = 0; i < words.Length; i++)
            {
                if (!long.TryParse(words[i], NumberStyles.AllowLeadingSign | NumberStyles.AllowLeadingWhite | NumberStyles.AllowTrailingWhite,
                    CultureInfo.InvariantCulture, out ids[i]))
                {
                    string shown = words[i].Length > 40 ? words[i].Substring(0, 40) : words[i];
                    throw new TensorAtomException("reading a list of ids: number " + (i + 1) + " is '" + shown + "'; pass STRING_AGG(id, ',')");
                }
            }
            return ids;
        }
    }
}
