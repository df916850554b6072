//! Runs tests and says what failed: a test is a public static method of a class whose name ends in `Tests`.
using System;
using System.Diagnostics;
using System.Reflection;

internal static class Check
{
    internal static void Equal<T>(T expected, T found)
    {
        if (!Equals(expected, found))
        {
            throw new Exception("expected <" + expected + ">, found <" + found + ">");
        }
    }

    internal static void True(bool holds, string what)
    {
        if (!holds)
        {
            throw new Exception(what);
        }
    }

    internal static void Close(double expected, double found, double bound)
    {
        True(Math.Abs(expected - found) <= bound, "expected " + expected + " within " + bound + ", found " + found);
    }

    internal static void Bytes(byte[] expected, byte[] found)
    {
        Equal(BitConverter.ToString(expected), BitConverter.ToString(found));
    }

    /// <summary>The call must fail, and its text must hold the words a caller needs.</summary>
    internal static void Fails(string words, Action call)
    {
        try
        {
            call();
        }
        catch (Exception error)
        {
            Exception inner = error is TargetInvocationException ? error.InnerException : error;
            True(inner.Message.StartsWith("TensorAtom: ", StringComparison.Ordinal) && inner.Message.Contains(words),
                "expected an error with '" + words + "', found " + inner.GetType().Name + ": " + inner.Message);
            return;
        }
        throw new Exception("expected an error with '" + words + "', but the call succeeded");
    }

    internal static int RunAll()
    {
        int passed = 0;
        int failed = 0;
        foreach (Type type in Assembly.GetExecutingAssembly().GetTypes())
        {
            if (!type.Name.EndsWith("Tests", StringComparison.Ordinal))
            {
                continue;
            }
            foreach (MethodInfo test in type.GetMethods(BindingFlags.Public | BindingFlags.Static | BindingFlags.DeclaredOnly))
            {
                Stopwatch watch = Stopwatch.StartNew();
                try
                {
                    test.Invoke(null, null);
                    passed++;
                    Console.WriteLine("ok     " + type.Name + "." + test.Name + " (" + watch.ElapsedMilliseconds + " ms)");
                }
                catch (TargetInvocationException error)
                {
                    failed++;
                    Console.WriteLine("FAILED " + type.Name + "." + test.Name + "\n       " + error.InnerException);
                }
            }
        }
        Console.WriteLine(passed + " passed, " + failed + " failed");
        return failed == 0 && passed > 0 ? 0 : 1;
    }
}
