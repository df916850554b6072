//! Open stores by alias, one handle for each alias in an AppDomain; the native side shares the store itself.
using System;
using System.Collections.Generic;
using System.Text;

namespace TensorAtom.SqlClr
{
    internal static unsafe class Stores
    {
        /// <summary>The alias behind the functions that have no parameter for it.</summary>
        internal const string Default = "default";

        private static readonly Dictionary<string, Entry> Opened = new Dictionary<string, Entry>(StringComparer.Ordinal);

        /// <summary>
        /// The store of a registered alias. The configuration is read at each call: an alias that was taken away stops working,
        /// one that was pointed elsewhere is opened anew.
        /// </summary>
        internal static NativeHandle Open(string alias)
        {
            string path = Configuration.Store(alias);
            lock (Opened)
            {
                Entry entry;
                if (!Opened.TryGetValue(alias, out entry) || entry.Path != path)
                {
                    // An old handle is left to its finalizer: calls may be using it.
                    entry = new Entry { Path = path, Handle = OpenPath(path, 0) };
                    Opened[alias] = entry;
                }
                return entry.Handle;
            }
        }

        /// <summary>Makes the directory of a registered alias a store, if it is none yet.</summary>
        internal static void Create(string alias)
        {
            OpenPath(Configuration.Store(alias), TaOptions.Create).Dispose();
        }

        /// <summary>The store as it is now, unmoved by later commits.</summary>
        internal static NativeHandle Snapshot(string alias)
        {
            NativeHandle store = Open(alias);
            return NativeHandle.Own((out ulong handle, ref ErrorSpace error) => Api.TakeSnapshot.Value(store, 0, 0, out handle, error.Open()));
        }

        private static NativeHandle OpenPath(string path, uint flags)
        {
            byte[] text = Encoding.UTF8.GetBytes(path);
            return NativeHandle.Own((out ulong handle, ref ErrorSpace error) =>
            {
                var options = new TaOptions { Flags = flags | TaOptions.Positioned };
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
