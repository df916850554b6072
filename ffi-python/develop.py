#!/usr/bin/env python3
"""Builds the native module in the workspace's own target directory and makes the package importable in this Python.

One compilation of the engine serves the command line, the tests and this: `maturin` would build its own. Run by
`make test` with the Python of `.venv`; `pip install ./ffi-python` is what users do.
"""

import argparse
import json
import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parent


def built_module(cargo, profile):
    """Path of the shared library cargo made."""
    command = [cargo, "libraries", "--message-format", "json-render-diagnostics"]
    done = subprocess.run([*command, "--profile", profile], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message.get("target", {}).get("name") == "_native" and message.get("filenames"):
            return Path(message["filenames"][0])
    raise SystemExit("cargo built no module")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profile", default="dev", help="cargo profile (default: dev)")
    profile = parser.parse_args().profile
    module = built_module(os.environ.get("CARGO", "cargo"), profile)
    site = Path(sysconfig.get_path("purelib"))
    package = site / "tensoratom"
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(ROOT / "python" / "tensoratom", package, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    shutil.copyfile(module, package / "_native.abi3.so")
    print(f"installed {package}")


if __name__ == "__main__":
    main()
