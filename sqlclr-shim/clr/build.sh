#!/bin/sh
# Builds the assembly twice and compares the bytes, prints what a DBA trusts, and builds the test host.
# Usage: sqlclr-shim/clr/build.sh LIBRARY FOLDER, where LIBRARY is the native library of the same source.
set -eu

library=$1
build=$2
here=$(dirname "$0")
abi=$(sed -n 's/^#define TA_ABI_VERSION \([0-9]*\)$/\1/p' "$here/../../ffi-c/include/tensoratom.h")

if ! command -v mcs >/dev/null || ! command -v mono >/dev/null; then
  if [ "$(id -u)" = 0 ]; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends mono-mcs mono-runtime libmono-system-core4.0-cil libmono-system-data4.0-cil >/dev/null
  else
    echo "missing: mcs and mono (Debian: apt install mono-mcs mono-runtime libmono-system-core4.0-cil libmono-system-data4.0-cil)"
    exit 1
  fi
fi
mkdir -p "$build"
case $library in
  *.dll) pinned=$build/tensoratom-$abi.dll ;;
  *) pinned=$build/libtensoratom-$abi.so ;;
esac
# Without what only debuggers read: it is hashed whenever an AppDomain loads it.
strip --strip-debug -o "$pinned" "$library" 2>/dev/null || cp "$library" "$pinned"
sha256=$(sha256sum "$pinned" | cut -d ' ' -f 1)
cat >"$build/Pin.cs" <<END
//! Written by the build: the one native library that this assembly trusts.
namespace TensorAtom.SqlClr
{
    internal static class Pin
    {
        internal const int Abi = $abi;
        internal const string Sha256 = "$sha256";
    }
}
END

# C# has neither macros nor generic classes that the server would take: the aggregates are one template, filled in.
{
  echo "//! Written by the build from aggregates.txt."
  printf 'using System;\nusing System.Data.SqlTypes;\nusing System.IO;\nusing Microsoft.SqlServer.Server;\n\nnamespace TensorAtom.SqlClr\n{\n'
  awk -F ' *[|] *' -v template="$here/aggregates.template" '
    BEGIN { while ((getline line < template) > 0) text = text line "\n" }
    /^#/ { next }
    {
      class = $1
      sub(/^clr_/, "Binary", class)
      split("NAME ROW MORE KIND WEIGHT RESULT SUMMARY", fields, " ")
      out = text
      gsub("@CLASS@", class, out)
      for (i = 1; i <= 7; i++) gsub("@" fields[i] "@", $i, out)
      printf "%s", out
    }' "$here/aggregates.txt"
  echo "}"
} >"$build/Aggregates.cs"

mcs -nologo -warnaserror -r:Mono.Security -out:"$build/StrongName.exe" "$here/tools/StrongName.cs"
# A key of the site's own can be put here; otherwise one is made, and stays in the build folder.
[ -e "$build/key.snk" ] || mono "$build/StrongName.exe" key "$build/key.snk"

compile() {
  mkdir -p "$1"
  mcs -nologo -warnaserror -deterministic -unsafe -optimize -target:library -langversion:6 -r:System.Data \
    -keyfile:"$build/key.snk" -out:"$1/TensorAtom.SqlClr.dll" "$here"/src/*.cs "$build/Aggregates.cs" "$build/Pin.cs"
}
compile "$build"
compile "$build/again"
cmp "$build/TensorAtom.SqlClr.dll" "$build/again/TensorAtom.SqlClr.dll"
mono "$build/StrongName.exe" check "$build/TensorAtom.SqlClr.dll"
echo "SHA2_512 for sp_add_trusted_assembly: 0x$(sha512sum "$build/TensorAtom.SqlClr.dll" | cut -d ' ' -f 1)"

# The loader's own files are compiled in, because tests reach what the assembly keeps to itself.
mcs -nologo -warnaserror -unsafe -optimize -langversion:6 -r:System.Data -r:System.Core -out:"$build/Tests.exe" "$here"/tests/*.cs \
  "$here/src/NativeLibrary.cs" "$here/src/Configuration.cs" "$here/src/TensorAtomException.cs"
