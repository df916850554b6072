#!/bin/bash
# Builds everything for Windows and runs its tests under wine, with Debian packages alone. Usage: windows/run.sh [STAGE...]
# Stages, all of them in this order when none is named: install prefix build engine c extension cli clr. One more, sweeps, takes
# hours and is run when it is named. Tests run for at most LIMIT seconds each program (900).
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
cd "$root"
target=${CARGO_TARGET_DIR:-$root/target}/windows
triple=x86_64-pc-windows-gnu
built=$target/built
limit=${LIMIT:-900}
mkdir -p "$target"

# Debian's compiler comes with the sources of its standard library, which is what makes a target without a toolchain of its
# own possible. The name has to be given: another cargo may come first.
windows_cargo() {
  env RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc RUSTC_BOOTSTRAP=1 CARGO_UNSTABLE_BUILD_STD=std,panic_unwind \
    CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER=x86_64-w64-mingw32-gcc CARGO_TARGET_DIR="$target" CARGO_PROFILE_DEV_DEBUG=0 \
    /usr/bin/cargo "$@" --target $triple --config 'profile.dev.package."*".opt-level=1'
}

export WINEPREFIX=$target/prefix WINEDEBUG=-all WINEDLLOVERRIDES="mscoree,mshtml,winemenubuilder.exe=" RUST_BACKTRACE=0
wine() { timeout "$limit" /usr/lib/wine/wine64 "$@"; }

packages="rustc-web cargo-web rust-web-src gcc-mingw-w64-x86-64 g++-mingw-w64-x86-64 wine64"

stage_install() {
  dpkg -s $packages >/dev/null 2>&1 && /usr/bin/rustc --version | awk '{ split($2, v, "."); exit !(v[1] > 1 || v[2] >= 95) }' && return
  if [ "$(id -u)" != 0 ]; then
    echo "missing: rustc 1.95 with sources, mingw or wine64 (Debian: apt install $packages)"
    exit 1
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends $packages >/dev/null
}

# A Windows of its own, with the one library that Rust's programs load and wine 8 lacks.
stage_prefix() {
  local system=$WINEPREFIX/drive_c/windows/system32
  [ -e "$system/kernel32.dll" ] || /usr/lib/wine/wine64 wineboot -i >/dev/null 2>&1
  [ -e "$system/bcryptprimitives.dll" ] && cmp -s "$system/.made-from" "$here/bcryptprimitives.c" && return
  x86_64-w64-mingw32-gcc -O2 -s -shared -o "$system/bcryptprimitives.dll" "$here/bcryptprimitives.c" -ladvapi32
  cp "$here/bcryptprimitives.c" "$system/.made-from"
}

stage_check() {
  windows_cargo check -p tensoratom -p tensoratom-c -p tensoratom-extension -p tensoratom-cli
  windows_cargo check -p tensoratom --all-features --tests
}

# The library, the language extension and the command line.
stage_build() {
  windows_cargo build --lib --bins -p tensoratom-c -p tensoratom-extension -p tensoratom-cli
  # Apart: what tests are built with later is written over what was built here.
  mkdir -p "$built"
  for file in tensoratom.dll libtensoratom.dll.a tensoratom_extension.dll tensoratom.exe; do
    cp "$target/$triple/debug/$file" "$built/"
  done
  checked_library
}

# The library brings no symbol that could be in the way of one of the program that loads it, and needs no library of its compiler.
checked_library() {
  x86_64-w64-mingw32-objdump -p "$built/tensoratom.dll" >"$target/headers"
  awk '/Ordinal\/Name Pointer/ { names = 1; next } NF == 0 { names = 0 } names { print $NF }' "$target/headers" >"$target/exports"
  grep -q '^ta_store_open$' "$target/exports"
  if grep -v '^ta_' "$target/exports"; then
    echo "the library exports these, which are not its own"
    exit 1
  fi
  if grep -iE 'DLL Name: (lib|vcruntime)' "$target/headers"; then
    echo "the library needs these, which are no part of Windows"
    exit 1
  fi
}

# Unit tests and the tests from outside, but those of fork, permissions, symbolic links and limits, which are not of Windows.
engine_tests="engine defects gc tiers decode_cache tier_policy bad_input processes"

# Modules of the test `engine` that go through all a simulated disk may do, thousands of stores each: they make no call to Windows.
sweeps="crash:: faults:: damage:: model::"

stage_engine() {
  test_arguments="$(printf ' --skip %s' $sweeps)" windows_tests -p tensoratom --lib $(printf ' --test %s' $engine_tests)
}

stage_sweeps() {
  limit=${LIMIT:-28800} test_arguments="--nocapture $sweeps" windows_tests -p tensoratom --test engine
}

# Builds programs of tests and runs each from the folder of the engine, where some look for files.
windows_tests() {
  windows_cargo test --no-run --message-format json "$@" |
    sed -n '/"test":true},"features"/s/.*"executable":"\([^"]*\.exe\)".*/\1/p' | sort -u >"$target/programs"
  local program failed=0
  for program in $(cat "$target/programs"); do
    basename "$program"
    (cd engine && wine "$program" --quiet ${test_arguments:-} ${TEST_THREADS:+--test-threads=$TEST_THREADS} 2>&1 | tr -d '\r') || failed=1
  done
  [ $failed = 0 ] && [ -s "$target/programs" ]
}

# The tests in C of `ffi-c/tests`, compiled by mingw against the library for Windows.
stage_c() {
  TENSORATOM_C_WINDOWS=$built timeout "$limit" cargo test --quiet --package tensoratom-c --test c
}

# The host that stands in for SQL Server's: loads the extension's library and streams columns of every type through it.
stage_extension() {
  local library=$built/tensoratom_extension.dll
  # Beside the engine's tests: with the features of those, its library is there already.
  TENSORATOM_EXTENSION_LIBRARY="Z:${library//\//\\}" windows_tests -p tensoratom -p tensoratom-extension --test host --test cleanup
  "$root/sqlclr-shim/extension/package.sh" "$library" "$target/extension"
}

# Import and export give the same bytes, and several processes on one store lose nothing.
stage_cli() {
  local work=$target/cli tensoratom=$built/tensoratom.exe writer
  rm -rf "$work"
  mkdir -p "$work"
  cd "$work"
  python3 "$here/model.py" model.safetensors
  wine "$tensoratom" init models
  wine "$tensoratom" import models model.safetensors --prefix m/
  wine "$tensoratom" export models --prefix m/ -o same.safetensors
  cmp model.safetensors same.safetensors
  local writers=()
  for writer in 1 2 3; do
    for round in 1 2 3 4; do wine "$tensoratom" import models model.safetensors --prefix "$writer-$round/" >/dev/null; done &
    writers+=($!)
  done
  for writer in "${writers[@]}"; do wait "$writer"; done
  wine "$tensoratom" verify models
  wine "$tensoratom" export models --prefix 2-3/ -o again.safetensors
  cmp model.safetensors again.safetensors
  cd "$root"
}

# The SQL CLR assembly with the library for Windows, under the CoreCLR that a Python package carries.
stage_clr() {
  local clr=$target/clr runtime=$target/dotnet
  sqlclr-shim/clr/build.sh "$built/tensoratom.dll" "$clr"
  if [ ! -e "$runtime/dotnetcore2/bin/dotnet.exe" ]; then
    rm -rf "$runtime"
    python3 -m pip download --quiet --disable-pip-version-check --dest "$runtime" --no-deps --only-binary=:all: \
      --platform win_amd64 dotnetcore2==3.1.23
    python3 -m zipfile -e "$runtime"/dotnetcore2-*.whl "$runtime"
    rm "$runtime"/*.whl
  fi
  mcs -nologo -warnaserror -langversion:6 -r:System.Data -r:"$clr/TensorAtom.SqlClr.dll" -out:"$clr/Host.dll" "$here/Host.cs"
  cat >"$clr/Host.runtimeconfig.json" <<END
{ "runtimeOptions": {
  "framework": { "name": "Microsoft.NETCore.App", "version": "3.1.0" },
  "configProperties": { "System.Globalization.Invariant": true } } }
END
  rm -rf "$clr/stores"
  mkdir "$clr/stores"
  (cd "$clr" && wine "$runtime/dotnetcore2/bin/dotnet.exe" exec Host.dll "Z:${clr//\//\\}\\stores" "Z:${clr//\//\\}\\tensoratom-1.dll")
}

stages=("$@")
[ $# -gt 0 ] || stages=(install prefix build engine c extension cli clr)
for stage in "${stages[@]}"; do
  started=$SECONDS
  "stage_$stage"
  echo "windows: $stage took $((SECONDS - started)) s"
done
