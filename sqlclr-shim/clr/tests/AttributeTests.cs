//! What the assembly tells the server of itself: what it needs, what may be stored, what reads data.
using System;
using System.Collections;
using System.Collections.Generic;
using System.Linq;
using System.Reflection;
using Microsoft.SqlServer.Server;

internal static class AttributeTests
{
    private static readonly Host Host = new Host(Program.AssemblyPath);

    // One more reference and CREATE ASSEMBLY asks for a library that the server does not have, or must not load.
    public static void The_assembly_needs_what_the_server_has_and_is_signed()
    {
        IEnumerable<string> needed = Host.Assembly.GetReferencedAssemblies().Select(name => name.Name).OrderBy(name => name);
        Check.Equal("System.Data, mscorlib", string.Join(", ", needed.OrderBy(name => name, StringComparer.Ordinal)));
        Check.Equal(8, Host.Assembly.GetName().GetPublicKeyToken().Length);
        Check.Equal("1.0.0.0", Host.Assembly.GetName().Version.ToString());
    }

    // The server keeps results of deterministic functions in indexes: those of a store would stay when the store changes.
    public static void What_depends_on_the_arguments_alone_is_deterministic_and_nothing_else()
    {
        foreach (KeyValuePair<string, MethodInfo> routine in Host.Routines)
        {
            var function = (SqlFunctionAttribute)Attribute.GetCustomAttribute(routine.Value, typeof(SqlFunctionAttribute));
            if (function == null)
            {
                Check.Equal(typeof(void), routine.Value.ReturnType);
                continue;
            }
            bool asksStore = routine.Value.GetParameters().Any(parameter => parameter.Name == "store") || routine.Key == "clr_GetTensorAtomPayload"
                || routine.Key == "clr_StoreAliases";
            Check.Equal(routine.Key + " " + !asksStore, routine.Key + " " + function.IsDeterministic);
            // Sums of floats may differ in their last bits from machine to machine.
            Check.True(!function.IsPrecise, routine.Key + " is not precise");
            Check.True(function.DataAccess == DataAccessKind.None && function.SystemDataAccess == SystemDataAccessKind.None, routine.Key + " reads no table");
            Check.Equal(routine.Key + " " + (function.FillRowMethodName != null), routine.Key + " " + (routine.Value.ReturnType == typeof(IEnumerable)));
        }
    }

    // An aggregate that claims what is not so lets the optimiser skip rows.
    public static void Aggregates_claim_what_holds_for_them_alone()
    {
        foreach (KeyValuePair<string, Type> aggregate in Host.Aggregates)
        {
            var facts = (SqlUserDefinedAggregateAttribute)Attribute.GetCustomAttribute(aggregate.Value, typeof(SqlUserDefinedAggregateAttribute));
            Check.True(facts.IsInvariantToNulls && facts.IsNullIfEmpty && !facts.IsInvariantToDuplicates, aggregate.Key);
            Check.True(typeof(IBinarySerialize).IsAssignableFrom(aggregate.Value), aggregate.Key + " cannot be spilled");
        }
    }
}
