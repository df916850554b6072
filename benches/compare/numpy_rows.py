"""NumPy beside the kernels: numpy_rows.py MIB; prints JSON. Run it with OPENBLAS_NUM_THREADS=1.

Pairs of 1536 in cache (nanoseconds of a call, Python's part included), a matrix of MIB MiB times a vector (GB/s of the matrix),
conversions of 32,768 numbers (GB/s read and written). The best of several rounds.
"""

import json
import sys
import time

import numpy as np

DIM = 1536
ROUNDS = 15


def best(work, calls=1):
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for _ in range(calls):
            work()
        times.append((time.perf_counter() - started) / calls)
    return min(times)


def main():
    bytes_of_matrix = int(sys.argv[1]) << 20
    random = np.random.default_rng(1)
    rows = []

    def row(what, value, unit):
        rows.append({"what": what, "value": value, "unit": unit})

    a, b = (random.uniform(-1, 1, DIM).astype(np.float32) for _ in range(2))
    for dtype in (np.float32, np.float16, np.float64):
        x, y = a.astype(dtype), b.astype(dtype)
        row(f"dot of a pair, {x.dtype}", best(lambda: np.dot(x, y), 2000) * 1e9, "ns")
    row("cosine of a pair, float32", best(lambda: 1 - a @ b / np.sqrt((a @ a) * (b @ b)), 2000) * 1e9, "ns")

    def squared():
        difference = a - b
        return difference @ difference

    row("squared distance of a pair, float32", best(squared, 2000) * 1e9, "ns")
    for dtype in (np.float32, np.float16):
        count = bytes_of_matrix // DIM // np.dtype(dtype).itemsize
        # float16 has no product of its own in BLAS and takes seconds.
        count = count if dtype == np.float32 else count // 16
        matrix = np.resize(random.uniform(-1, 1, 1 << 20).astype(dtype), (count, DIM))
        query = a.astype(dtype)
        row(f"dot of rows beyond the cache, {matrix.dtype}", matrix.nbytes / best(lambda: matrix @ query) / 1e9, "GB/s")
    numbers = random.uniform(-1, 1, 32768)
    for source, target in (("f4", "f2"), ("f2", "f4"), ("f8", "f2"), ("f8", "f4"), ("f4", "f8")):
        x = numbers.astype(source)
        out = np.empty(x.shape, target)
        speed = (x.nbytes + out.nbytes) / best(lambda: np.copyto(out, x, casting="unsafe"), 20) / 1e9
        row(f"{x.dtype} to {out.dtype}", speed, "GB/s")
    json.dump({"numpy": np.__version__, "rows": rows}, sys.stdout)


main()
