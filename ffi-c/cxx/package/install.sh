#!/bin/sh
# Installs the C++ package from a finished build.
# usage: install.sh LIBRARY.a BRIDGE.h VERSION [COMMAND]     with PREFIX (default /usr/local) and DESTDIR in the environment
set -eu
library=$1 bridge=$2 version=$3 command=${4:-}
here=$(cd "$(dirname "$0")" && pwd)
prefix=${PREFIX:-/usr/local}
root=${DESTDIR:-}$prefix

install -d "$root/include/tensoratom" "$root/lib/pkgconfig" "$root/lib/cmake/TensorAtom"
install -m 644 "$here/../include/tensoratom.hpp" "$root/include/tensoratom.hpp"
install -m 644 "$here"/../include/tensoratom/*.hpp "$root/include/tensoratom/"
install -m 644 "$bridge" "$root/include/tensoratom/bridge.h"
install -m 644 "$library" "$root/lib/libtensoratom_cxx.a"
if [ -n "$command" ]; then
  install -d "$root/bin"
  install -m 755 "$command" "$root/bin/tensoratom"
fi
sed -e "s|@PREFIX@|$prefix|" -e "s|@VERSION@|$version|" "$here/tensoratom-cxx.pc.in" > "$root/lib/pkgconfig/tensoratom-cxx.pc"
install -m 644 "$here/TensorAtomConfig.cmake" "$root/lib/cmake/TensorAtom/TensorAtomConfig.cmake"
sed "s|@VERSION@|$version|" "$here/TensorAtomConfigVersion.cmake.in" > "$root/lib/cmake/TensorAtom/TensorAtomConfigVersion.cmake"
