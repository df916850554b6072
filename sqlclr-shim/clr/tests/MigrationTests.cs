//! The table that says what became of each object of the assembly before: it must name what is there, and all of it.
using System;
using System.Collections.Generic;
using System.IO;
using System.Text.RegularExpressions;

internal static class MigrationTests
{
    private static readonly Host Host = new Host(Program.AssemblyPath);

    // A name in the table that does not exist sends somebody to rewrite procedures for nothing.
    public static void The_table_names_what_the_assembly_has_and_everything_of_it_is_documented()
    {
        string shim = Path.Combine(Environment.GetEnvironmentVariable("TENSORATOM_SQL_SOURCE"), "sqlclr-shim");
        var names = new HashSet<string>();
        foreach (var routine in Host.Routines)
        {
            names.Add(routine.Key);
        }
        foreach (var aggregate in Host.Aggregates)
        {
            names.Add(aggregate.Key);
        }
        string table = File.ReadAllText(Path.Combine(shim, "MIGRATION.md"));
        int rows = 0;
        foreach (Match row in Regex.Matches(table, "^\\| `([^|]*) \\| ([^|]*) \\| ([^|]*) \\|\r?$", RegexOptions.Multiline))
        {
            rows++;
            bool isKept = row.Groups[2].Value.StartsWith("the same", StringComparison.Ordinal);
            MatchCollection before = Regex.Matches("`" + row.Groups[1].Value, "`([A-Za-z_0-9]+)`");
            foreach (Match name in before)
            {
                Check.True(!isKept || names.Contains(name.Groups[1].Value), name.Groups[1].Value + " is said to be kept, and is not there");
                Check.True(isKept || !names.Contains(name.Groups[1].Value), name.Groups[1].Value + " is there, and the table does not say so");
            }
            foreach (Match name in Regex.Matches(row.Groups[2].Value, "`([A-Za-z_0-9]+)`"))
            {
                Check.True(names.Contains(name.Groups[1].Value), "the table sends " + row.Groups[1].Value + " to " + name.Groups[1].Value + ", which is not there");
            }
        }
        Check.True(rows > 50, "only " + rows + " rows were found in MIGRATION.md");
        // By its whole name, or by what follows three dots.
        string readme = File.ReadAllText(Path.Combine(shim, "README.md")) + table;
        foreach (string name in names)
        {
            string core = name.EndsWith("Of", StringComparison.Ordinal) ? name.Substring(0, name.Length - 2) : name;
            bool isNamed = readme.Contains("`" + name + "`") || readme.Contains("`" + core + "`") || Shortened(readme, name);
            Check.True(isNamed, "neither README.md nor MIGRATION.md mentions " + name);
        }
    }

    private static bool Shortened(string readme, string name)
    {
        foreach (Match match in Regex.Matches(readme, "`\\.\\.\\.([A-Za-z0-9]+)`"))
        {
            if (name.EndsWith(match.Groups[1].Value, StringComparison.Ordinal))
            {
                return true;
            }
        }
        return false;
    }
}
