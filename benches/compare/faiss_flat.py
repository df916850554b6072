"""Exact search with faiss IndexFlatL2: faiss_flat.py DATA QUERIES DIM K THREADS, raw f32 files; prints JSON.

Times are the better of three rounds, as the Rust side takes them: the mean of one query at a time (the first 16), and all
at once.
"""

import json
import sys
import time

import faiss
import numpy as np

ROUNDS = 3
SINGLES = 16


def best(work):
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times) * 1e3


def main():
    data_path, query_path = sys.argv[1:3]
    dim, k, threads = map(int, sys.argv[3:6])
    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatL2(dim)
    data = np.memmap(data_path, dtype="<f4", mode="r").reshape(-1, dim)
    index.add(np.ascontiguousarray(data))
    queries = np.fromfile(query_path, dtype="<f4").reshape(-1, dim)
    ids = index.search(queries, k)[1]

    def one_by_one():
        for query in queries[:SINGLES]:
            index.search(query[np.newaxis], k)

    answer = {
        "faiss": faiss.__version__,
        "one_ms": best(one_by_one) / len(queries[:SINGLES]),
        "all_ms": best(lambda: index.search(queries, k)),
        "ids": ids.tolist(),
    }
    json.dump(answer, sys.stdout)


main()
