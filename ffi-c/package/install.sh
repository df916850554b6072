#!/bin/sh
# Installs the C package from a finished build, beside the C++ package or alone.
# usage: install.sh DIRECTORY VERSION     DIRECTORY holds libtensoratom.so, and libtensoratom.a where that is wanted;
#                                         with PREFIX (default /usr/local) and DESTDIR in the environment
set -eu
built=$1 version=$2
here=$(cd "$(dirname "$0")" && pwd)
prefix=${PREFIX:-/usr/local}
root=${DESTDIR:-}$prefix

install -d "$root/include" "$root/lib/pkgconfig" "$root/lib/cmake/TensorAtom"
install -m 644 "$here/../include/tensoratom.h" "$root/include/tensoratom.h"
install -m 755 "$built/libtensoratom.so" "$root/lib/libtensoratom.so"
[ ! -f "$built/libtensoratom.a" ] || install -m 644 "$built/libtensoratom.a" "$root/lib/libtensoratom.a"
sed -e "s|@PREFIX@|$prefix|" -e "s|@VERSION@|$version|" "$here/tensoratom.pc.in" > "$root/lib/pkgconfig/tensoratom.pc"
cmake=$here/../cxx/package
install -m 644 "$cmake/TensorAtomConfig.cmake" "$root/lib/cmake/TensorAtom/TensorAtomConfig.cmake"
sed "s|@VERSION@|$version|" "$cmake/TensorAtomConfigVersion.cmake.in" > "$root/lib/cmake/TensorAtom/TensorAtomConfigVersion.cmake"
