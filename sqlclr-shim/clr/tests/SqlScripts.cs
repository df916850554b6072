//! Writes the CREATE and GRANT statements from the assembly itself, so that they cannot drift from its signatures.
using System;
using System.Collections;
using System.Collections.Generic;
using System.Data.SqlTypes;
using System.IO;
using System.Reflection;
using System.Text;
using Microsoft.SqlServer.Server;

internal static class SqlScripts
{
    private const string AssemblyName = "TensorAtom.SqlClr";

    // Who may call what is a property of the class a routine lives in.
    private static readonly Dictionary<string, string> Roles = new Dictionary<string, string>
    {
        { "VectorFunctions", "tensoratom_math" },
        { "ConversionFunctions", "tensoratom_math" },
        { "ReadFunctions", "tensoratom_reader" },
        { "TypedVectorFunctions", "tensoratom_math" },
        { "QuantizationFunctions", "tensoratom_math" },
        { "ProjectionFunctions", "tensoratom_math" },
        { "MatrixFunctions", "tensoratom_math" },
        { "VectorSetFunctions", "tensoratom_reader" },
        { "ChangeFunctions", "tensoratom_reader" },
        { "VectorSetProcedures", "tensoratom_writer" },
        { "WriteProcedures", "tensoratom_writer" },
        { "OperatorProcedures", "tensoratom_operator" },
    };

    internal static void Write(Host host, string folder)
    {
        var create = new StringBuilder("-- Creates every function, procedure and aggregate of the assembly and grants each to its role. Written by\n"
            + "-- `make clr-sql` from the assembly: do not edit. Run install.sql and roles.sql first; may be run again.\n"
            + "SET ANSI_NULLS ON;\nSET QUOTED_IDENTIFIER ON;\nGO\n");
        foreach (KeyValuePair<string, Type> aggregate in host.Aggregates)
        {
            MethodInfo accumulate = aggregate.Value.GetMethod("Accumulate");
            string statement = "CREATE AGGREGATE dbo." + aggregate.Key + " (" + Parameters(accumulate) + ") RETURNS "
                + SqlType(aggregate.Value.GetMethod("Terminate").ReturnParameter) + " EXTERNAL NAME [" + AssemblyName + "].[" + aggregate.Value.FullName + "]";
            create.Append("IF OBJECT_ID(N'dbo." + aggregate.Key + "', N'AF') IS NULL\n    EXEC (N'" + statement.Replace("'", "''") + "');\n"
                + "GRANT EXECUTE ON dbo." + aggregate.Key + " TO tensoratom_math;\nGO\n");
        }
        foreach (KeyValuePair<string, MethodInfo> routine in host.Routines)
        {
            MethodInfo method = routine.Value;
            var function = (SqlFunctionAttribute)Attribute.GetCustomAttribute(method, typeof(SqlFunctionAttribute));
            bool isTable = function != null && function.FillRowMethodName != null;
            string kind = function == null ? "PROCEDURE" : "FUNCTION";
            string arguments = Parameters(method);
            create.Append("CREATE OR ALTER " + kind + " dbo." + routine.Key + (function == null ? "\n    " + arguments + "\n" : " (" + arguments + ")\n"));
            if (isTable)
            {
                CheckRows(method, function);
                create.Append("RETURNS TABLE (" + function.TableDefinition + ")\n");
            }
            else if (function != null)
            {
                create.Append("RETURNS " + SqlType(method.ReturnParameter) + "\n");
            }
            create.Append("AS EXTERNAL NAME [" + AssemblyName + "].[" + method.DeclaringType.FullName + "].[" + method.Name + "];\nGO\n");
            create.Append("GRANT " + (isTable ? "SELECT" : "EXECUTE") + " ON dbo." + routine.Key + " TO " + Roles[method.DeclaringType.Name] + ";\nGO\n");
        }
        File.WriteAllText(Path.Combine(folder, "functions.sql"), create.ToString());
    }

    private static string Parameters(MethodInfo method)
    {
        var all = new List<string>();
        foreach (ParameterInfo parameter in method.GetParameters())
        {
            all.Add("@" + parameter.Name + " " + SqlType(parameter) + (parameter.ParameterType.IsByRef ? " OUTPUT" : ""));
        }
        return string.Join(", ", all);
    }

    private static string SqlType(ParameterInfo parameter)
    {
        Type type = parameter.ParameterType.IsByRef ? parameter.ParameterType.GetElementType() : parameter.ParameterType;
        var facet = (SqlFacetAttribute)Attribute.GetCustomAttribute(parameter, typeof(SqlFacetAttribute));
        string size = facet == null ? null : facet.MaxSize == -1 ? "(max)" : "(" + facet.MaxSize + ")";
        var plain = new Dictionary<Type, string>
        {
            { typeof(SqlDouble), "float" }, { typeof(SqlInt32), "int" }, { typeof(SqlInt64), "bigint" }, { typeof(SqlBoolean), "bit" },
        };
        string name;
        if (plain.TryGetValue(type, out name))
        {
            return name;
        }
        // Without a facet the server's default would cut at 8,000 bytes or 4,000 characters, in silence.
        if (size == null)
        {
            throw new Exception(parameter.Member.DeclaringType.Name + "." + parameter.Member.Name + ": '" + parameter.Name + "' needs SqlFacet(MaxSize)");
        }
        return (type == typeof(SqlBytes) ? "varbinary" : "nvarchar") + size;
    }

    // The server finds a FillRow that does not fit its table when the first row comes.
    private static void CheckRows(MethodInfo method, SqlFunctionAttribute function)
    {
        ParameterInfo[] fill = method.DeclaringType.GetMethod(function.FillRowMethodName).GetParameters();
        string[] columns = function.TableDefinition.Split(new[] { ", " }, StringSplitOptions.None);
        bool fits = columns.Length == fill.Length - 1;
        for (int i = 0; fits && i < columns.Length; i++)
        {
            fits = fill[i + 1].IsOut && columns[i].EndsWith(" " + SqlType(fill[i + 1]), StringComparison.Ordinal);
        }
        if (!fits)
        {
            throw new Exception(method.Name + ": TableDefinition and FillRow differ");
        }
    }
}
