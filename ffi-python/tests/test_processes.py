"""Several processes and threads on one store: spawn, fork, pickling, Ctrl-C."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import tensoratom as ta
from tensoratom.safetensors import save_file


def total(store, key):
    return float(store[key].sum())


def reopened(path, key):
    with ta.open(path) as store:
        store[f"from/{os.getpid()}"] = np.ones(3)
        return float(store[key].sum())


# Data loaders hand their data set to workers by pickling it.
@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_a_pickled_store_opens_in_a_worker(path, method):
    store = ta.open(path)
    store["x"] = np.arange(1000.0)
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.starmap(total, [(store, "x")] * 4) == [499_500.0] * 4
        assert pool.starmap(reopened, [(str(path), "x")] * 4) == [499_500.0] * 4
    assert len(store.keys("from/")) >= 1  # what workers commit is seen here at once
    store.close()


def test_a_pickled_store_is_read_only(store):
    import pickle

    store["x"] = np.ones(3)
    copy = pickle.loads(pickle.dumps(store))
    assert copy.mode == "r" and copy["x"].sum() == 3
    with pytest.raises(PermissionError):
        copy["y"] = np.ones(3)


def test_after_fork_the_parents_store_says_so(store):
    store["x"] = np.ones(3)
    view = store["x"]
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            store["x"]
        except ta.ForkedError as error:
            with ta.open(store.path, "r") as again:
                os.write(write, f"{error.kind} {view.sum()} {again['x'].sum()}".encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 100) == b"Forked 3.0 3.0"


def test_a_commit_of_another_process_is_seen_and_a_snapshot_is_not_moved(path):
    with ta.open(path) as store:
        store["x"] = np.zeros(3)
        snapshot = store.snapshot()
        code = f"import tensoratom as ta, numpy as np; ta.open({str(path)!r})['x'] = np.ones(3)"
        subprocess.run([sys.executable, "-c", code], check=True)
        assert (store["x"].sum(), snapshot["x"].sum()) == (3, 0)


# A lock held across a call into Python is a deadlock that shows in somebody else's program.
def test_threads_share_store_transaction_and_writer(store):
    store["x"] = np.arange(1000.0)
    failures = []
    with store.transaction() as tx, store.writer("w", "f8", (-1, 10)) as writer:

        def work(number):
            try:
                for turn in range(20):
                    tx[f"t/{number}/{turn}"] = np.full(10, number)
                    writer.write(np.full(10, float(number)))
                    assert store["x"].sum() == 499_500
                    store[f"s/{number}"] = np.ones(3)
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
    assert not failures
    assert (len(store.keys("t/")), store.get("w").shape) == (120, (120, 10))


INTERRUPTED = """
import signal, sys, threading, os, time
import numpy as np, tensoratom as ta
store = ta.open(sys.argv[1], durability="process")
vectors = store.vectors("v", dim=256, dtype="f64", metric="manhattan")
X = np.random.default_rng(1).random((60_000, 256))
vectors.add(np.arange(len(X)), X)
threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    for _ in range(1000):
        vectors.search(X, k=10)
    print("finished")
except KeyboardInterrupt:
    print("stopped", vectors.search(X[0], k=1).ids[0])
"""


# A search over a large set that cannot be stopped costs a notebook its kernel.
def test_ctrl_c_stops_a_long_call_and_the_store_goes_on(path):
    done = subprocess.run([sys.executable, "-c", INTERRUPTED, str(path)], capture_output=True, text=True, timeout=120)
    assert done.stdout == "stopped 0\n", done.stderr


LARGE_PUT = """
import signal, sys, threading, os
import numpy as np, tensoratom as ta
store = ta.open(sys.argv[1], durability="process")
X = np.random.default_rng(1).random((1 << 25,))
threading.Timer(0.02, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    store["x"] = X
    print("finished")
except KeyboardInterrupt:
    store["y"] = X[:3]
    print("stopped", "x" in store, len(store["y"]), store.verify()["is_sound"])
"""


def test_ctrl_c_stops_a_large_put_and_leaves_nothing_of_it(path):
    done = subprocess.run([sys.executable, "-c", LARGE_PUT, str(path)], capture_output=True, text=True, timeout=120)
    assert done.stdout == "stopped False 3 True\n", done.stderr


def test_an_exception_in_a_progress_callback_stops_the_import(store, tmp_path):
    class Enough(Exception):
        pass

    def progress(done, total):
        raise Enough

    big = tmp_path / "big.safetensors"
    save_file({"x": np.zeros(1 << 20, "f4")}, big)
    with pytest.raises(Enough):
        store.import_file(big, progress=progress)


def test_the_interpreter_runs_on_while_the_engine_works(path):
    with ta.open(path, durability="process") as store:
        store["x"] = np.zeros(1 << 24, "f4")
        ticks = []
        done = threading.Event()

        def tick():
            while not done.wait(0.001):
                ticks.append(1)

        thread = threading.Thread(target=tick)
        thread.start()
        store.verify()
        store.put("y", np.ones(1 << 24, "f4"))
        done.set()
        thread.join()
        assert len(ticks) > 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
