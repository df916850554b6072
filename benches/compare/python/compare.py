#!/usr/bin/env python3
"""The Python package and its peers in one run: opening and reading a model, distances, exact search.

Every answer is compared before it is timed. Files lie in one directory and are in the page cache. Each figure is the
best of several repeats; all repeats go into the JSON. Run by `run.sh` beside it, which installs the peers.
"""

import argparse
import gc
import json
import os
import platform
import shutil
import statistics
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import faiss
import lmdb
import numkong
import numpy as np
import safetensors
import safetensors.numpy
import tensoratom as ta
import zarr
from usearch.index import MetricKind, search

LARGE = "embeddings.word_embeddings.weight"
SMALL = "encoder.layer.0.attention.self.query.weight"
PACKAGES = ["tensoratom", "numpy", "safetensors", "lmdb", "zarr", "numkong", "faiss-cpu", "usearch"]
results = []


def measure(group, name, work, repeats=7, number=1, before=lambda: ()):
    """Seconds per call of `work`, which gets what `before` returns, outside the time."""
    gc.disable()
    times = []
    for _ in range(repeats):
        given = before()
        start = time.perf_counter()
        for _ in range(number):
            work(*given)
        times.append((time.perf_counter() - start) / number)
        del given
    gc.enable()
    results.append({"group": group, "name": name, "best_s": min(times), "median_s": statistics.median(times), "all_s": times})
    best = min(times)
    unit, scale = ("ns", 1e9) if best < 1e-6 else ("us", 1e6) if best < 1e-3 else ("ms", 1e3)
    print(f"{group:34} {name:28} {best * scale:10.1f} {unit}", flush=True)


def prepare(model, work):
    """The same tensors in every format."""
    tensors = safetensors.numpy.load_file(model)
    with ta.open(work / "ta") as store:
        store.import_file(model)
    (work / "npy").mkdir()
    for name, array in tensors.items():
        np.save(work / "npy" / f"{name}.npy", array)
    with lmdb.open(str(work / "lmdb"), map_size=1 << 30) as env, env.begin(write=True) as txn:
        for name, array in tensors.items():
            txn.put(name.encode(), array.tobytes())
    group = zarr.open_group(work / "zarr", mode="w")
    for name, array in tensors.items():
        group.create_array(name, data=array)
    return tensors


def openers(model, work, tensors):
    """By name: what opens and returns (get, close)."""

    def with_ta():
        store = ta.open(work / "ta", "r")
        return store.__getitem__, store.close

    def with_safetensors():
        file = safetensors.safe_open(model, "np")
        return file.get_tensor, lambda: None

    def with_numpy():
        return lambda name: np.load(work / "npy" / f"{name}.npy", mmap_mode="r"), lambda: None

    def with_lmdb():
        env = lmdb.open(str(work / "lmdb"), readonly=True, lock=False)
        txn = env.begin(buffers=True)
        shapes = {name: (array.dtype, array.shape) for name, array in tensors.items()}

        def get(name):
            dtype, shape = shapes[name]
            return np.frombuffer(txn.get(name.encode()), dtype).reshape(shape)

        def close():
            txn.abort()
            env.close()

        return get, close

    def with_zarr():
        group = zarr.open_group(work / "zarr", mode="r")
        return lambda name: group[name][...], lambda: None

    return {
        "tensoratom": with_ta,
        "safetensors.safe_open": with_safetensors,
        "np.load(mmap_mode='r')": with_numpy,
        "lmdb": with_lmdb,
        "zarr": with_zarr,
    }


def reading(model, work):
    tensors = prepare(model, work)
    for name, opener in openers(model, work, tensors).items():
        get, close = opener()
        for key in tensors:
            np.testing.assert_array_equal(get(key), tensors[key])
        del get
        close()

        def first(key):
            get, close = opener()
            array = get(key)
            assert array.shape == tensors[key].shape
            del array
            close()

        def everything():
            get, close = opener()
            held = [get(key) for key in tensors]
            del held, get
            close()

        measure("open + first tensor (0.6 MB)", name, lambda: first(SMALL))
        measure("open + first tensor (47 MB)", name, lambda: first(LARGE))
        measure(f"open + all {len(tensors)} tensors", name, everything)

        def fresh():
            while closers:
                closers.pop()()
            get, close = opener()
            closers.append(close)
            return (get,)

        closers = []
        for label, key in (("0.6 MB", SMALL), ("47 MB", LARGE)):
            measure(f"first tensor after open ({label})", name, lambda get: get(key) is None, before=fresh)
            closers.pop()()
    for name, opener in openers(model, work, tensors).items():
        get, close = opener()
        get(SMALL), get(LARGE)
        measure("open before, tensor (0.6 MB)", name, lambda: get(SMALL), number=20)
        measure("open before, tensor (47 MB)", name, lambda: get(LARGE), number=3)
        if name == "tensoratom":
            store = ta.open(work / "ta", "r")
            measure("16 rows of 47 MB", name, lambda: store.get(LARGE).rows(2000, 2016), number=20)
            store.close()
        elif name == "safetensors.safe_open":
            file = safetensors.safe_open(model, "np")
            measure("16 rows of 47 MB", name, lambda: file.get_slice(LARGE)[2000:2016], number=20)
        elif name == "zarr":
            group = zarr.open_group(work / "zarr", mode="r")
            measure("16 rows of 47 MB", name, lambda: group[LARGE][2000:2016], number=3)
        else:
            measure("16 rows of 47 MB", name, lambda: get(LARGE)[2000:2016], number=20)
        del get
        close()


def distances():
    random = np.random.default_rng(1)
    for dim in (384, 1536):
        a, b = random.standard_normal((2, dim)).astype("f4")
        assert abs(ta.dot(a, b) - numkong.dot(a, b)) < 1e-2
        for name, dot in (("tensoratom", ta.dot), ("numkong", numkong.dot), ("numpy", np.dot)):
            measure(f"dot, {dim} x f32", name, lambda: dot(a, b), number=100_000)
    Q, X = random.standard_normal((64, 384)).astype("f4"), random.standard_normal((10_000, 384)).astype("f4")
    squares = lambda Q, X: (Q * Q).sum(1)[:, None] + (X * X).sum(1) - 2 * (Q @ X.T)  # noqa: E731
    peers = {
        "tensoratom": lambda: ta.cdist(Q, X, "sqeuclidean"),
        "numkong": lambda: np.asarray(numkong.cdist(Q, X, metric="sqeuclidean")),
        "numpy (Q @ X.T)": lambda: squares(Q, X),
    }
    expected = squares(Q.astype("f8"), X.astype("f8"))
    for name, work in peers.items():
        np.testing.assert_allclose(work(), expected, rtol=1e-3)
        measure("cdist, 64 x 10,000 x 384 f32", name, work)


def searching(work):
    random = np.random.default_rng(2)
    count, dim, k = 200_000, 384, 10
    centers = random.standard_normal((1000, dim)).astype("f4")
    X = (centers[random.integers(0, 1000, count)] + 0.5 * random.standard_normal((count, dim))).astype("f4")
    Q = X[:32] + np.float32(0.1)
    with ta.open(work / "search", durability="process") as store:
        vectors = store.vectors("v", dim, "f32", "sqeuclidean")
        vectors.add(np.arange(count), X)
        index = faiss.IndexFlatL2(dim)
        index.add(X)

        def with_numpy(queries):
            distances = (X * X).sum(1) - 2 * (queries @ X.T)
            near = np.argpartition(distances, k, axis=1)[:, :k]
            return np.take_along_axis(near, np.argsort(np.take_along_axis(distances, near, 1), axis=1), 1)

        peers = {
            "tensoratom": lambda queries: vectors.search(queries, k).ids,
            "faiss IndexFlatL2": lambda queries: index.search(queries, k)[1],
            "usearch exact": lambda queries: search(X, queries, k, MetricKind.L2sq, exact=True).keys,
            "numpy": with_numpy,
        }
        expected = vectors.search(Q, k).ids
        for name, find in peers.items():
            same = np.mean([len(set(a) & set(b)) / k for a, b in zip(expected, np.asarray(find(Q)).reshape(len(Q), k))])
            assert same > 0.99, (name, same)
            measure("top 10 of 200,000 x 384, 1 query", name, lambda: find(Q[:1]), repeats=5)
            measure("top 10 of 200,000 x 384, 32 queries", name, lambda: find(Q), repeats=3)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="safetensors file of all-MiniLM-L6-v2")
    parser.add_argument("--out", type=Path, required=True, help="where the JSON goes")
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="compare-"))
    try:
        reading(args.model, work)
        distances()
        searching(work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    cpu = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    machine = {"cpu": cpu, "cores": os.cpu_count(), "python": platform.python_version(), "packages": {p: version(p) for p in PACKAGES}}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps({"machine": machine, "results": results}, indent=1) + "\n")


if __name__ == "__main__":
    main()
