//! Asks Microsoft's T-SQL parser, the one of its own tools, about each script, and about the statements that scripts keep as texts.
using System;
using System.Collections;
using System.IO;
using System.Reflection;
using System.Text.RegularExpressions;

internal static class Parse
{
    private static MethodInfo parser;

    private static int Main(string[] arguments)
    {
        Type type = Assembly.LoadFrom(arguments[0]).GetType("Microsoft.SqlServer.Management.SqlParser.Parser.Parser");
        parser = type.GetMethod("Parse", new[] { typeof(string) });
        // A parser that takes everything would prove nothing.
        int mistakes = Mistakes(TextWriter.Null, "", "SELECT 1 FROM t WHERE;") == 0 ? 1 : 0;
        int statements = 0;
        for (int i = 1; i < arguments.Length; i++)
        {
            string name = Path.GetFileName(arguments[i]);
            string text = Regex.Replace(File.ReadAllText(arguments[i]), @"\$\((\w+)\)", "$1"); // variables of sqlcmd
            mistakes += Mistakes(Console.Out, name, text);
            foreach (Match match in Regex.Matches(text, @"EXEC \(N'((?:[^']|'')*)'\)"))
            {
                statements++;
                mistakes += Mistakes(Console.Out, name, match.Groups[1].Value.Replace("''", "'"));
            }
        }
        Console.WriteLine(arguments.Length - 1 + " scripts, " + statements + " statements in texts, " + mistakes + " mistakes");
        return mistakes == 0 && arguments.Length > 1 ? 0 : 1;
    }

    private static int Mistakes(TextWriter target, string name, string text)
    {
        object result = parser.Invoke(null, new object[] { text });
        int count = 0;
        foreach (object error in (IEnumerable)result.GetType().GetProperty("Errors").GetValue(result, null))
        {
            count++;
            Type type = error.GetType();
            target.WriteLine(name + " " + type.GetProperty("Start").GetValue(error, null) + ": " + type.GetProperty("Message").GetValue(error, null));
        }
        return count;
    }
}
