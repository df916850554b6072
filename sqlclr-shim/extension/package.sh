#!/bin/sh
# Packs a built extension for CREATE EXTERNAL LANGUAGE, the same bytes for the same library: package.sh LIBRARY FOLDER.
# A .so becomes a .tar.gz for Linux, a .dll a .zip for Windows; the script that registers both is put beside them.
set -eu
library=$1 folder=$2
here=$(dirname "$0")
name=$(basename "$library")
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
install -m 755 "$library" "$work/$name"
touch -d '2000-01-01 00:00:00 UTC' "$work/$name"
case $name in
*.so)
  package=$folder/tensoratom_extension.tar.gz
  tar --create --directory "$work" --sort=name --format=ustar --owner=0 --group=0 --numeric-owner \
    --mtime='2000-01-01 00:00:00 UTC' "$name" | gzip --no-name --best >"$package.new"
  ;;
*.dll)
  package=$folder/tensoratom_extension.zip
  "${PYTHON:-python3}" - "$work/$name" "$package.new" <<'PACK'
import sys, zipfile
source, target = sys.argv[1:]
entry = zipfile.ZipInfo(source.rsplit("/", 1)[1], (2000, 1, 1, 0, 0, 0))
entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o755 << 16
with zipfile.ZipFile(target, "w") as archive, open(source, "rb") as library:
    archive.writestr(entry, library.read())
PACK
  ;;
*)
  echo "package.sh: '$name' is no .so and no .dll" >&2
  exit 1
  ;;
esac
mv "$package.new" "$package"
cp "$here/../sql/external_language.sql" "$folder/"
sha256sum "$package"
