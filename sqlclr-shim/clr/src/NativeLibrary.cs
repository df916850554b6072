//! Loads the native library: one absolute path, checked against a pinned SHA-256, its functions resolved from that module.
using System;
using System.IO;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace TensorAtom.SqlClr
{
    /// <summary>
    /// `DllImport` by name would bind to whichever module of that name the process loaded first, which may belong to another
    /// database. Nothing is looked up by name here. The module stays loaded until the process ends: another AppDomain, or a
    /// finalizer that runs late, may still need it.
    /// </summary>
    internal sealed class NativeLibrary
    {
        private readonly IntPtr module;

        private NativeLibrary(IntPtr module)
        {
            this.module = module;
        }

        internal static bool IsWindows
        {
            get { return Path.DirectorySeparatorChar == '\\'; }
        }

        /// <summary>The one of several files that this assembly trusts; the error of the last where it trusts none.</summary>
        internal static NativeLibrary LoadAny(System.Collections.Generic.IList<string> paths, int abi, string sha256)
        {
            for (int i = 0; ; i++)
            {
                try
                {
                    return Load(paths[i], abi, sha256);
                }
                catch (TensorAtomException) when (i < paths.Count - 1)
                {
                }
            }
        }

        /// <param name="path">Absolute; the file's name ends in `-ABI.dll` or `-ABI.so`.</param>
        /// <param name="sha256">What the file must hash to, in lower-case hexadecimal.</param>
        internal static NativeLibrary Load(string path, int abi, string sha256)
        {
            string suffix = "-" + abi.ToString(System.Globalization.CultureInfo.InvariantCulture) + (IsWindows ? ".dll" : ".so");
            try
            {
                if (!Path.IsPathRooted(path) || !path.EndsWith(suffix, StringComparison.Ordinal))
                {
                    throw new TensorAtomException("loading the native library: this assembly needs an absolute path that ends in '" + suffix
                        + "'; correct the configuration");
                }
                // Open until the load is over: on Windows nobody can write to what was hashed.
                using (var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read))
                {
                    string found = Hash(file);
                    if (!string.Equals(found, sha256, StringComparison.Ordinal))
                    {
                        throw new TensorAtomException("loading the native library: its SHA-256 is " + found + ", this assembly trusts " + sha256
                            + " alone; install the pair that was built together");
                    }
                    IntPtr module = IsWindows ? Windows.LoadLibraryEx(path, IntPtr.Zero, Windows.SearchFlags) : Unix.dlopen(path, Unix.Now);
                    if (module == IntPtr.Zero)
                    {
                        throw new TensorAtomException("loading the native library: the system refused it"
                            + (IsWindows ? " (error " + Marshal.GetLastWin32Error() + ")" : "") + "; is it built for this machine?");
                    }
                    return new NativeLibrary(module);
                }
            }
            catch (Exception error) when (error is IOException || error is UnauthorizedAccessException || error is ArgumentException
                || error is NotSupportedException)
            {
                throw new TensorAtomException("loading the native library: " + error.Message + "; correct the configuration");
            }
        }

        /// <summary>The function of that name as a delegate of type <typeparamref name="T"/>.</summary>
        internal T Function<T>(string name) where T : class
        {
            IntPtr address = IsWindows ? Windows.GetProcAddress(module, name) : Unix.dlsym(module, name);
            if (address == IntPtr.Zero)
            {
                throw new TensorAtomException("binding the native library: it has no function '" + name
                    + "'; install the pair that was built together");
            }
            return (T)(object)Marshal.GetDelegateForFunctionPointer(address, typeof(T));
        }

        private static string Hash(Stream file)
        {
            using (var hash = SHA256.Create())
            {
                return BitConverter.ToString(hash.ComputeHash(file)).Replace("-", "").ToLowerInvariant();
            }
        }

        private static class Windows
        {
            // LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | LOAD_LIBRARY_SEARCH_SYSTEM32: neither the working directory nor PATH.
            internal const uint SearchFlags = 0x100 | 0x800;

            [DllImport("kernel32", CharSet = CharSet.Unicode, ExactSpelling = true, EntryPoint = "LoadLibraryExW", SetLastError = true)]
            internal static extern IntPtr LoadLibraryEx(string path, IntPtr reserved, uint flags);

            [DllImport("kernel32", CharSet = CharSet.Ansi, ExactSpelling = true)]
            internal static extern IntPtr GetProcAddress(IntPtr module, string name);
        }

        private static class Unix
        {
            internal const int Now = 2;

            [DllImport("libdl.so.2")]
            internal static extern IntPtr dlopen(string path, int flags);

            [DllImport("libdl.so.2")]
            internal static extern IntPtr dlsym(IntPtr module, string name);
        }
    }
}
