//! What an aggregate gives back: rows of numbers, as a blob of floats or as JSON.
using System.Data.SqlTypes;
using System.Globalization;
using System.Text;

namespace TensorAtom.SqlClr
{
    /// <summary>Rows of `dim` numbers, and a number beside each. The buffers may be longer.</summary>
    internal sealed class AggregateValue
    {
        private readonly int rows;
        private readonly int dim;
        private readonly double[] values;
        private readonly double[] beside;

        internal AggregateValue(int rows, int dim, double[] values, double[] beside)
        {
            this.rows = rows;
            this.dim = dim;
            this.values = values;
            this.beside = beside;
        }

        /// <summary>All rows one after the other as f32, each number rounded once; what is beyond f32 becomes infinity.</summary>
        internal static SqlBytes Blob(AggregateValue value)
        {
            if (value == null)
            {
                return SqlBytes.Null;
            }
            var floats = new float[value.rows * value.dim];
            for (int i = 0; i < floats.Length; i++)
            {
                floats[i] = (float)value.values[i];
            }
            var bytes = new byte[floats.Length * sizeof(float)];
            System.Buffer.BlockCopy(floats, 0, bytes, 0, bytes.Length);
            return new SqlBytes(bytes);
        }

        /// <summary>`[..]`: the first row.</summary>
        internal static SqlString Vector(AggregateValue value)
        {
            return value == null ? SqlString.Null : value.Row(new StringBuilder(), 0).ToString();
        }

        /// <summary>`[[..],..]`.</summary>
        internal static SqlString Matrix(AggregateValue value)
        {
            return Each(value, 0, "[", "", null, "]");
        }

        /// <summary>`{"weight":n,"mean":[..],"variance":[..]}`.</summary>
        internal static SqlString Moments(AggregateValue value)
        {
            if (value == null)
            {
                return SqlString.Null;
            }
            StringBuilder text = Number(new StringBuilder("{\"weight\":"), value.beside[0]).Append(",\"mean\":");
            return value.Row(value.Row(text, 0).Append(",\"variance\":"), 1).Append('}').ToString();
        }

        /// <summary>`[{"centroid":[..],"weight":n},..]`, heaviest first.</summary>
        internal static SqlString Clusters(AggregateValue value)
        {
            return Each(value, 0, "[", "{\"centroid\":", ",\"weight\":", "]");
        }

        /// <summary>`{"mean":[..],"components":[{"direction":[..],"variance":n},..]}`, largest variance first.</summary>
        internal static SqlString Components(AggregateValue value)
        {
            string start = value == null ? "" : value.Row(new StringBuilder("{\"mean\":"), 0) + ",\"components\":[";
            return Each(value, 1, start, "{\"direction\":", ",\"variance\":", "]}");
        }

        /// <summary>`{"log_sum_exp":[..],"avg_probabilities":[..],"count":n}`: probabilities over n rows have the mean 1/n.</summary>
        internal static SqlString Softmax(AggregateValue value)
        {
            if (value == null)
            {
                return SqlString.Null;
            }
            StringBuilder text = value.Row(new StringBuilder("{\"log_sum_exp\":"), 0).Append(",\"avg_probabilities\":[");
            for (int i = 0; i < value.dim; i++)
            {
                bool isNothing = double.IsNegativeInfinity(value.values[i]); // no row has a probability there
                Number(text.Append(i > 0 ? "," : ""), isNothing ? 0 : 1 / value.beside[0]);
            }
            return Number(text.Append("],\"count\":"), value.beside[0]).Append('}').ToString();
        }

        /// <summary>`{"projected_vectors":[[..],..]}`.</summary>
        internal static SqlString Projected(AggregateValue value)
        {
            return Each(value, 0, "{\"projected_vectors\":[", "", null, "]}");
        }

        // `besideName` null: a row stands alone.
        private static SqlString Each(AggregateValue value, int first, string start, string rowName, string besideName, string end)
        {
            if (value == null)
            {
                return SqlString.Null;
            }
            var text = new StringBuilder(start);
            for (int row = first; row < value.rows; row++)
            {
                value.Row(text.Append(row > first ? "," : "").Append(rowName), row);
                if (besideName != null)
                {
                    Number(text.Append(besideName), value.beside[row]).Append('}');
                }
            }
            return text.Append(end).ToString();
        }

        private StringBuilder Row(StringBuilder text, int row)
        {
            text.Append('[');
            for (int i = 0; i < dim; i++)
            {
                Number(text.Append(i > 0 ? "," : ""), values[row * dim + i]);
            }
            return text.Append(']');
        }

        // JSON has neither NaN nor infinities. "R" of the 64-bit .NET Framework loses the last bit of some numbers: then 17 digits.
        private static StringBuilder Number(StringBuilder text, double value)
        {
            if (double.IsNaN(value) || double.IsInfinity(value))
            {
                return text.Append("null");
            }
            string shortest = value.ToString("R", CultureInfo.InvariantCulture);
            bool isExact = double.Parse(shortest, CultureInfo.InvariantCulture) == value;
            return text.Append(isExact ? shortest : value.ToString("G17", CultureInfo.InvariantCulture));
        }
    }
}
