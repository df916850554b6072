//! The delegates against the C header: a parameter more or less would corrupt the stack of the server.
using System;
using System.Collections.Generic;
using System.IO;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

internal static class HeaderTests
{
    private static readonly string Root = Environment.GetEnvironmentVariable("TENSORATOM_SQL_SOURCE");

    public static void Every_delegate_has_the_parameters_of_its_function_in_the_header()
    {
        string header = File.ReadAllText(Path.Combine(Root, "ffi-c/include/tensoratom.h"));
        string source = File.ReadAllText(Path.Combine(Root, "sqlclr-shim/clr/src/Api.cs"));
        Assembly assembly = Assembly.LoadFrom(Program.AssemblyPath);
        MatchCollection bound = Regex.Matches(source, "Bind<(\\w+)>\\(\"(ta_\\w+)\"\\)");
        Check.True(bound.Count > 20, "too few functions were found in Api.cs");
        foreach (Match match in bound)
        {
            string name = match.Groups[2].Value;
            Match prototype = Regex.Match(header, "^int32_t " + name + "\\(([^)]*)\\);", RegexOptions.Multiline);
            Check.True(prototype.Success, name + " is not in the header");
            var declared = new List<string>();
            foreach (string parameter in prototype.Groups[1].Value.Split(','))
            {
                declared.Add(OfHeader(parameter.Trim()));
            }
            var ours = new List<string>();
            foreach (ParameterInfo parameter in assembly.GetType("TensorAtom.SqlClr.Api+" + match.Groups[1].Value).GetMethod("Invoke").GetParameters())
            {
                ours.Add(OfDelegate(parameter.ParameterType));
            }
            Check.Equal(name + ": " + string.Join(", ", declared), name + ": " + string.Join(", ", ours));
        }
    }

    // A number that means something else there gives the norm where the largest element was asked for, and no error.
    public static void Numbers_are_those_of_the_header()
    {
        string header = File.ReadAllText(Path.Combine(Root, "ffi-c/include/tensoratom.h"));
        Assembly assembly = Assembly.LoadFrom(Program.AssemblyPath);
        Func<string, long> defined = name => long.Parse(Regex.Match(header, "^#define TA_" + name + " (\\d+)$", RegexOptions.Multiline).Groups[1].Value);
        Func<string, string, object> constant = (type, field) =>
            assembly.GetType("TensorAtom.SqlClr." + type).GetField(field, BindingFlags.Static | BindingFlags.NonPublic).GetValue(null);
        foreach (string line in new[]
        {
            "DType F32 F32", "DType U8 U8", "QuantizationFunctions I8 I8", "TaOptions Create CREATE", "TaOptions Positioned POSITIONED",
            "TaSearchOptions HeedAllow SEARCH_ALLOW", "TaSearchOptions HeedRange SEARCH_ID_RANGE", "TaSearchOptions HeedDistance SEARCH_DISTANCE_MAX",
            "ReadFunctions NotFound NOT_FOUND", "ReadFunctions BufferTooSmall BUFFER_TOO_SMALL", "Metric Euclidean EUCLIDEAN",
            "Kernels ArgMaxReduction ARGMAX", "Kernels Norm2Reduction NORM_2", "Pin Abi ABI_VERSION",
        })
        {
            string[] words = line.Split(' ');
            Check.Equal(line + " " + defined(words[2]), line + " " + constant(words[0], words[1]));
        }
        foreach (string type in new[] { "DType", "Metric" })
        {
            var names = (string[])constant(type, "Names");
            for (int i = 0; i < names.Length; i++)
            {
                Check.Equal(names[i] + " " + defined(names[i].ToUpperInvariant()), names[i] + " " + (i + 1));
            }
        }
    }

    // Sizes were computed by hand from the header: 4 + 4 + 64 * 8 + 3 * 8 + 32, and so on.
    public static void Structs_have_the_sizes_of_the_header()
    {
        Assembly assembly = Assembly.LoadFrom(Program.AssemblyPath);
        foreach (var expected in new Dictionary<string, int> { { "TaInfo", 576 }, { "TaKey", 40 }, { "TaOptions", 56 }, { "TaError", 24 }, { "TaSearchOptions", 72 } })
        {
            Check.Equal(expected.Value, Marshal.SizeOf(assembly.GetType("TensorAtom.SqlClr." + expected.Key)));
        }
    }

    private static string OfHeader(string parameter)
    {
        return parameter.Contains("*") || parameter.StartsWith("ta_source", StringComparison.Ordinal) ? "pointer" : parameter.Split(' ')[0];
    }

    private static string OfDelegate(Type type)
    {
        var plain = new Dictionary<Type, string>
        {
            { typeof(uint), "uint32_t" }, { typeof(ulong), "uint64_t" }, { typeof(double), "double" }, { typeof(SafeHandle), "uint64_t" },
        };
        string name;
        return plain.TryGetValue(type, out name) ? name : "pointer";
    }
}
