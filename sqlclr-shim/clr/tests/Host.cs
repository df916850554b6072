//! Stands in for SQL Server: finds objects by their attributes, calls them as the server does, and says which sentence failed.
using System;
using System.Collections;
using System.Collections.Generic;
using System.Data.SqlTypes;
using System.IO;
using System.Reflection;
using Microsoft.SqlServer.Server;

/// <summary>One loaded copy of the assembly under test, called by the names that T-SQL uses.</summary>
internal sealed class Host
{
    internal readonly Assembly Assembly;
    private readonly Dictionary<string, MethodInfo> routines = new Dictionary<string, MethodInfo>(StringComparer.Ordinal);
    private readonly Dictionary<string, Type> aggregates = new Dictionary<string, Type>(StringComparer.Ordinal);

    internal Host(string path)
    {
        Assembly = Assembly.LoadFrom(path);
        foreach (Type type in Assembly.GetExportedTypes())
        {
            var aggregate = (SqlUserDefinedAggregateAttribute)Attribute.GetCustomAttribute(type, typeof(SqlUserDefinedAggregateAttribute));
            if (aggregate != null)
            {
                aggregates.Add(aggregate.Name, type);
            }
            foreach (MethodInfo method in type.GetMethods(BindingFlags.Public | BindingFlags.Static))
            {
                string name = NameOf(method);
                if (name != null)
                {
                    routines.Add(name, method);
                }
            }
        }
    }

    internal IEnumerable<KeyValuePair<string, MethodInfo>> Routines
    {
        get { return Sorted(routines); }
    }

    internal IEnumerable<KeyValuePair<string, Type>> Aggregates
    {
        get { return Sorted(aggregates); }
    }

    /// <summary>A scalar function or a procedure. Errors come out as the routine threw them.</summary>
    internal object Call(string name, params object[] arguments)
    {
        try
        {
            return routines[name].Invoke(null, arguments);
        }
        catch (TargetInvocationException error)
        {
            throw error.InnerException;
        }
    }

    /// <summary>Rows of a table function, one FillRow for each; at most <paramref name="rowsMax"/>, as a TOP would have it.</summary>
    internal List<object[]> Rows(string name, int rowsMax, params object[] arguments)
    {
        MethodInfo method = routines[name];
        var function = (SqlFunctionAttribute)Attribute.GetCustomAttribute(method, typeof(SqlFunctionAttribute));
        MethodInfo fill = method.DeclaringType.GetMethod(function.FillRowMethodName, BindingFlags.Public | BindingFlags.Static);
        var found = new List<object[]>();
        IEnumerator rows = ((IEnumerable)Call(name, arguments)).GetEnumerator();
        try
        {
            while (found.Count < rowsMax && rows.MoveNext())
            {
                var row = new object[fill.GetParameters().Length];
                row[0] = rows.Current;
                fill.Invoke(null, row);
                found.Add(row);
            }
        }
        finally
        {
            var disposable = rows as IDisposable;
            if (disposable != null)
            {
                disposable.Dispose();
            }
        }
        return found;
    }

    internal object NewAggregate(string name)
    {
        return Activator.CreateInstance(aggregates[name]);
    }

    internal static object Do(object aggregate, string method, params object[] arguments)
    {
        try
        {
            return aggregate.GetType().GetMethod(method).Invoke(aggregate, arguments);
        }
        catch (TargetInvocationException error)
        {
            throw error.InnerException;
        }
    }

    /// <summary>What a sort that spills, or a parallel plan, does to an aggregate: out to bytes, into a new object.</summary>
    internal static object Spill(object aggregate)
    {
        var bytes = new MemoryStream();
        ((IBinarySerialize)aggregate).Write(new BinaryWriter(bytes));
        object copy = Activator.CreateInstance(aggregate.GetType());
        ((IBinarySerialize)copy).Read(new BinaryReader(new MemoryStream(bytes.ToArray())));
        return copy;
    }

    private static string NameOf(MethodInfo method)
    {
        var function = (SqlFunctionAttribute)Attribute.GetCustomAttribute(method, typeof(SqlFunctionAttribute));
        if (function != null)
        {
            return function.Name;
        }
        var procedure = (SqlProcedureAttribute)Attribute.GetCustomAttribute(method, typeof(SqlProcedureAttribute));
        return procedure == null ? null : procedure.Name;
    }

    private static IEnumerable<KeyValuePair<string, T>> Sorted<T>(Dictionary<string, T> unsorted)
    {
        return new SortedDictionary<string, T>(unsorted, StringComparer.Ordinal);
    }
}
