#!/bin/sh
# Runs the scripts through Microsoft's T-SQL parser, which a package of PyPI brings along with a runtime (38 MB, Linux x86-64).
# Usage: sqlclr-shim/sql/parser/parse.sh PIP FOLDER; needs mcs, which `make clr` installs.
set -eu
pip=$1 build=$2
here=$(dirname "$0")
mkdir -p "$build"
"$pip" download --quiet --disable-pip-version-check --no-deps --require-hashes --requirement "$here/requirements.txt" --dest "$build"
rm -rf "$build/tools"
"${PYTHON:-python3}" -m zipfile --extract "$build"/mssql_scripter-*.whl "$build/tools"
tools=$build/tools/mssqlscripter/mssqltoolsservice/bin
# The program that starts the runtime runs the assembly of its own name.
mcs -nologo -warnaserror -out:"$tools/MicrosoftSqlToolsServiceLayer.dll" "$here/Parse.cs"
chmod +x "$tools/MicrosoftSqlToolsServiceLayer"
DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1 "$tools/MicrosoftSqlToolsServiceLayer" "$(cd "$tools" && pwd)/Microsoft.SqlServer.SqlParser.dll" "$here"/../*.sql
