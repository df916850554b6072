//! Open stores by alias, one handle for each directory in an AppDomain; the native side shares the store itself.
using System;
using System.Collections.Generic;
using System.Data.SqlTypes;
using System.Text;

namespace TensorAtom.SqlClr
{
    /// <summary>What an alias means: a store, in it a namespace, and how long a call may take that says nothing else.</summary>
    internal sealed class OpenStore
    {
        internal readonly NativeHandle Handle;
        internal readonly NativeText Namespace;
        internal readonly SqlInt32 DeadlineMs;

        internal OpenStore(NativeHandle handle, NativeText space, SqlInt32 deadlineMs)
        {
            Handle = handle;
            Namespace = space;
            DeadlineMs = deadlineMs;
        }

        /// <summary>The key of a number.</summary>
        internal TaKey Key(long number)
        {
            return new TaKey { Namespace = Namespace.Pointer, NamespaceLength = Namespace.Length, Number = number };
        }

        /// <summary>The key of a name. The text must outlive the calls that take it.</summary>
        internal TaKey Key(NativeText name)
        {
            if (name.Length == 0)
            {
                throw new TensorAtomException("opening an atom or a vector set: the name is empty"); // a name of NULL would mean the number 0
            }
            TaKey key = Key(0);
            key.Name = name.Pointer;
            key.NameLength = name.Length;
            return key;
        }

        internal delegate T Named<T>(TaKey key);

        /// <summary>Runs a call with the key of a name, whose text stays where it is meanwhile.</summary>
        internal T WithKey<T>(string name, Named<T> call)
        {
            using (var text = new NativeText(name))
            {
                return call(Key(text));
            }
        }

        /// <summary>The store as it is now, unmoved by later commits.</summary>
        internal unsafe NativeHandle Snapshot()
        {
            return NativeHandle.Own((out ulong handle, ref ErrorSpace error) => Api.TakeSnapshot.Value(Handle, 0, 0, out handle, error.Open()));
        }
    }

    internal static unsafe class Stores
    {
        /// <summary>The alias behind the functions that have no parameter for it.</summary>
        internal const string Default = "default";
        private const ulong CacheMb = 16;

        // Kept until the AppDomain ends, for keys point to them; there are no more than the configuration has ever named.
        private static readonly Dictionary<string, NativeText> Namespaces = new Dictionary<string, NativeText>(StringComparer.Ordinal);

        private static readonly Dictionary<string, Entry> Opened = new Dictionary<string, Entry>(StringComparer.Ordinal);

        /// <summary>
        /// The store of a registered alias. The configuration is read at each call: an alias that was taken away stops working,
        /// one that was pointed elsewhere is opened anew.
        /// </summary>
        internal static OpenStore Open(string alias)
        {
            Configuration.Registered registered = Configuration.Store(alias);
            Entry known = Known(alias, registered.Directory, null);
            // Outside the lock: a disk that hangs must not stop the calls on other stores.
            known = known ?? Known(alias, registered.Directory, new Entry { Path = registered.Directory, Handle = OpenPath(registered, 0) });
            return new OpenStore(known.Handle, Namespace(registered.Namespace), registered.DeadlineMs);
        }

        // The entry of an alias, else the one that is offered; null where there is neither.
        private static Entry Known(string alias, string path, Entry offered)
        {
            lock (Opened)
            {
                Entry entry;
                if (Opened.TryGetValue(alias, out entry) && entry.Path == path)
                {
                    return entry;
                }
                if (offered != null)
                {
                    // An old handle is left to its finalizer: calls may be using it.
                    Opened[alias] = offered;
                }
                return offered;
            }
        }

        private static NativeText Namespace(string name)
        {
            lock (Namespaces)
            {
                NativeText space;
                if (!Namespaces.TryGetValue(name, out space))
                {
                    space = new NativeText(name);
                    Namespaces.Add(name, space);
                }
                return space;
            }
        }

        /// <summary>Makes the directory of a registered alias a store, and its namespace, where they are not there yet.</summary>
        internal static void Create(string alias)
        {
            Configuration.Registered registered = Configuration.Store(alias);
            using (NativeHandle store = OpenPath(registered, TaOptions.Create))
            {
                byte[] name = NativeText.Utf8(registered.Namespace);
                if (name.Length > 0)
                {
                    var error = new ErrorSpace();
                    error.Check(Api.CreateNamespace.Value(store, name, (ulong)name.Length, error.Open()));
                }
            }
        }

        // The processor and the memory are the server's: one thread, the caller's, and a small cache, unless the administrator says more.
        private static NativeHandle OpenPath(Configuration.Registered registered, uint flags)
        {
            byte[] text = NativeText.Utf8(registered.Directory);
            ulong threads = registered.Threads.IsNull ? 1 : (ulong)registered.Threads.Value;
            ulong cacheBytes = Math.Max(1, (registered.CacheMb.IsNull ? CacheMb : (ulong)registered.CacheMb.Value) << 20); // 0 would be the default
            var space = new ErrorSpace();
            space.Check(Api.BoundDecodeCache.Value(cacheBytes, space.Open())); // of all stores, for what is cold
            return NativeHandle.Own((out ulong handle, ref ErrorSpace error) =>
            {
                var options = new TaOptions { Flags = flags | TaOptions.Positioned, Threads = threads, CacheBytes = cacheBytes };
                return Api.OpenStore.Value(text, (ulong)text.Length, ref options, out handle, error.Open());
            });
        }

        private sealed class Entry
        {
            internal string Path;
            internal NativeHandle Handle;
        }
    }
}
