//! Makes a signing key, or checks the signature of an assembly and that it references nothing the server does not have.
using System;
using System.IO;
using System.Reflection;
using System.Security.Cryptography;

internal static class StrongName
{
    private const int KeyBits = 2048;

    private static int Main(string[] arguments)
    {
        if (arguments.Length == 2 && arguments[0] == "key")
        {
            using (var rsa = new RSACryptoServiceProvider(KeyBits))
            {
                File.WriteAllBytes(arguments[1], rsa.ExportCspBlob(true));
            }
            return 0;
        }
        if (arguments.Length == 2 && arguments[0] == "check")
        {
            return Check(arguments[1]);
        }
        Console.Error.WriteLine("usage: StrongName key FILE | check ASSEMBLY");
        return 2;
    }

    private static int Check(string path)
    {
        // Under clr strict security an unsigned build fails on the server alone, which is too late to notice.
        if (!new Mono.Security.StrongName(AssemblyName.GetAssemblyName(path).GetPublicKey()).Verify(path))
        {
            Console.Error.WriteLine(path + ": the strong name does not verify");
            return 1;
        }
        Assembly assembly = Assembly.ReflectionOnlyLoadFrom(path);
        foreach (AssemblyName reference in assembly.GetReferencedAssemblies())
        {
            if (reference.Name != "mscorlib" && reference.Name != "System.Data")
            {
                Console.Error.WriteLine(path + ": references " + reference.Name + "; the server has mscorlib and System.Data alone");
                return 1;
            }
        }
        Console.WriteLine("public key token: " + BitConverter.ToString(assembly.GetName().GetPublicKeyToken()).Replace("-", "").ToLowerInvariant());
        return 0;
    }
}
