"""The store as a mapping: versions, transactions, writers, snapshots, listings, files."""

import datetime
import json

import numpy as np
import pytest
import tensoratom as ta


def one(value):
    return np.full(3, value, "f4")


def test_a_store_is_a_mapping(store):
    store["b"], store["a"], store[7] = one(1), one(2), one(3)
    assert (len(store), list(store), store.keys("a"), "a" in store, 8 in store) == (3, [7, "a", "b"], ["a"], True, False)
    del store["a"]
    assert store.delete("a") is False
    for missing in (lambda: store["a"], lambda: store.get("a"), lambda: store.__delitem__("a")):
        with pytest.raises(KeyError, match="no such atom"):
            missing()


@pytest.mark.parametrize("key", ["", "x" * 1025, "nul\0"])
def test_keys_that_break_the_rules_are_value_errors(store, key):
    with pytest.raises(ValueError):
        store[key] = one(1)


@pytest.mark.parametrize("key", [None, 1.5, b"bytes", ("a",)])
def test_keys_of_other_types_are_type_errors(store, key):
    with pytest.raises(TypeError):
        store[key] = one(1)


def test_metadata_and_descriptors(store):
    version = store.put("x", one(1), metadata={"layer": 3, "name": "ü"})
    info = store.get("x").info
    assert (info.key, info.dtype, info.shape, info.nbytes, info.version) == ("x", "f32", (3,), 12, version)
    assert info.metadata == {"layer": 3, "name": "ü"}
    assert (info.tier, len(info.digest), info.encoding) == ("warm", 64, {"kind": "plain"})
    assert abs(info.created - datetime.datetime.now().timestamp()) < 600
    rows = store.query("SELECT key FROM atoms WHERE json_extract(metadata, '$.layer') = 3")
    assert rows == [{"key": "x"}]
    with pytest.raises(ValueError, match="object"):
        store.put("x", one(1), metadata=[1])


# Two notebooks that both "read, add one, write" must not lose an update.
def test_a_version_that_changed_meanwhile_is_a_conflict(store):
    first = store.put("x", one(1), if_version=0)
    with pytest.raises(ta.AlreadyExistsError):
        store.put("x", one(2), if_version=0)
    store["x"] = one(3)
    with pytest.raises(ta.ConflictError):
        store.put("x", one(4), if_version=first)
    assert store["x"][0] == 3


def test_a_transaction_is_all_or_nothing(store):
    store["old"] = one(0)
    with pytest.raises(RuntimeError, match="mine"), store.transaction() as tx:
        tx["a"] = one(1)
        tx.delete("old")
        raise RuntimeError("mine")
    assert list(store) == ["old"]
    with store.transaction() as tx:
        tx.put("a", one(1), metadata={"n": 1})
        tx.rename("old", "new")
        tx.set_metadata("new", {"n": 2})
        assert "a" in tx and tx["a"][0] == 1 and "a" not in store
    assert list(store) == ["a", "new"]
    assert store.get("new").metadata == {"n": 2}
    with pytest.raises(ta.ClosedError):
        tx.put("b", one(1))


def test_a_writer_takes_blocks_of_any_size_and_converts_floats(store, random):
    array = random.random((1000, 8)).astype("f4")
    with store.writer("x", dtype="bf16", shape=(-1, 8)) as w:
        for block in np.array_split(array, 7):
            w.write(block)
        assert w.nbytes == array.size * 2
    assert store.get("x").shape == (1000, 8)
    np.testing.assert_array_equal(store["x"], ta.convert(array, "bf16"))


def test_a_writer_that_fails_leaves_nothing(store):
    with pytest.raises(RuntimeError), store.writer("x", "f4", (2, 2)) as w:
        w.write(one(1))
        raise RuntimeError
    with pytest.raises(ValueError, match="bytes"), store.writer("x", "f4", (2, 2)) as w:
        w.write(one(1))
    with pytest.raises(ta.ClosedError):
        w.write(one(1))
    with pytest.raises(ValueError):
        store.writer("x", "f4", (2, -1))
    assert "x" not in store


def test_the_past_can_be_read(store):
    first = store.put("x", one(1))
    snapshot = store.snapshot()
    second = store.put("x", one(2))
    del store["x"]
    assert snapshot["x"][0] == 1 and snapshot.version == first and list(snapshot) == ["x"] and len(snapshot) == 1
    assert store.get("x", as_of=second).numpy()[0] == 2
    later = datetime.datetime.now() + datetime.timedelta(seconds=1)
    with pytest.raises(KeyError):
        store.get("x", as_of=later)
    with pytest.raises(KeyError):
        store.snapshot(0)["x"]
    with pytest.raises(TypeError, match="as_of"):
        store.snapshot("yesterday")


def test_namespaces_do_not_meet(store):
    store.put("x", one(1), namespace="tenant")
    store["x"] = one(2)
    assert store.get("x", namespace="tenant").numpy()[0] == 1
    assert (store.namespaces(), [i.key for i in store.list(namespace="tenant")]) == (["", "tenant"], ["x"])
    assert store.snapshot(namespace="tenant")["x"][0] == 1
    assert store.delete("x", namespace="tenant") and "x" in store
    with pytest.raises(KeyError):
        store.get("x", namespace="nobody")


def test_listings_have_prefixes_and_limits(store):
    with store.transaction() as tx:
        for number in range(20):
            tx[f"m/{number:02}"] = one(number)
    assert [info.key for info in store.list("m/1", limit=3)] == ["m/10", "m/11", "m/12"]
    frame = store.to_pandas("m/0")
    assert list(frame["key"]) == [f"m/{number:02}" for number in range(10)]
    assert frame["nbytes"].sum() == 120


def test_queries_only_read(store):
    store["x"] = one(1)
    for wrong in ("DELETE FROM atom_version", "SELECT * FROM nothing", "PRAGMA journal_mode=DELETE"):
        with pytest.raises(ValueError):
            store.query(wrong)
    with pytest.raises(ValueError, match="rows"):
        store.query("SELECT 1 UNION SELECT 2", limit=1)
    assert store.query("SELECT 1 AS a, NULL AS b, 'c' AS c, 0.5 AS d, x'00' AS e") == [
        {"a": 1, "b": None, "c": "c", "d": 0.5, "e": b"\0"}
    ]


def test_an_imported_model_comes_out_the_same_file(store, model, tmp_path):
    calls = []
    report = store.import_file(model, "m/", progress=lambda done, total: calls.append((done, total)))
    assert report["file_bytes"] == model.stat().st_size
    assert calls and calls[-1][0] == calls[-1][1] > 0
    assert store.export("m/", tmp_path / "out.safetensors")["header_kept"]
    assert (tmp_path / "out.safetensors").read_bytes() == model.read_bytes()
    stat = store.stat()
    assert (stat["atoms"], sum(stat["accounted"].values())) == (report["atoms"], stat["disk_bytes"])
    assert store.verify()["is_sound"]
    store.import_file(model, "again/", progress=True)
    assert store.stat()["stored_bytes"] == stat["stored_bytes"]


def test_pictures_tell_what_is_there(store):
    import matplotlib

    matplotlib.use("agg")
    store["m/a<b>"] = np.arange(100, dtype="f4")
    store.put("m/c", np.ones(10, "f4"), dtype="bf16", metadata={"k": "<v>"})
    text = store._repr_html_()
    assert "m/a&lt;b&gt;" in text and "<b>" not in text.replace("<b>tensoratom store</b>", "") and "warm" in text
    assert "<svg" in store.get("m/a<b>")._repr_html_()
    assert "&lt;v&gt;" in store.get("m/c")._repr_html_()
    ax = store.plot()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["m/"]
    store.close()
    assert "closed" in store._repr_html_() and "closed" in repr(store)


@pytest.mark.parametrize("value", [np.array(1.5), np.zeros((0, 3)), np.full(4, np.nan), np.ones((2, 2), bool), np.ones(3, "i8")])
def test_every_atom_has_a_picture(store, value):
    store["x"] = value
    assert "atom" in store.get("x")._repr_html_()


def test_metadata_is_the_json_that_was_given(store):
    store.put("x", one(1), metadata={"a": [1, {"b": None}]})
    (row,) = store.query("SELECT metadata FROM atoms")
    assert json.loads(row["metadata"]) == {"a": [1, {"b": None}]}


def test_a_policy_moves_what_it_says_and_arrays_stay_the_same(store):
    """A cold array that is another one, or a policy that Python cannot set, would make tiers a matter of the shell."""
    array = np.arange(20_000, dtype="f4")
    store["m/a"], store["m/b"] = array, array + 1
    store.tier_policy = {"rules": [{"prefix": "m/", "tier": "cold", "codec": "lz4"}]}
    assert store.tier_policy["warm_days"] == 90 and store.tier_policy["codec"] == "auto"
    assert [store.pin("m/a", exact=True), store.pin("m/a", exact=True)] == [True, False]
    plan = store.plan()
    assert [(move["name"], move["to"], move["reason"]) for move in plan["moves"]] == [("m/b", "cold", "rule")]
    assert store.apply(plan)["payloads_moved"] == 1
    assert store.apply(plan)["skipped"] == 1
    assert store.apply()["planned"] == 0
    assert [store.get(key).info.tier for key in ("m/a", "m/b")] == ["hot", "cold"]
    assert (store["m/b"] == array + 1).all() and not store["m/b"].flags.writeable
    codec = {codec["codec"]: codec for codec in store.stat()["codecs"]}["lz4"]
    assert codec["payloads"] == 1 and codec["ratio"] > 1 and codec["decode_bytes_per_s"] > 0
    assert "cold" in store._repr_html_() and "lz4" in store._repr_html_()
    assert store.unpin("m/a", exact=True)
    assert store.pin(7, namespace="n") and store.tier_policy["pins"] == [{"namespace": "n", "prefix": "", "exact": False, "integer": 7}]
    assert store.unpin(7, namespace="n")
    assert store.move_to_tier("", "warm")["payloads_moved"] == 1
    store["base/w"] = weights = np.random.default_rng(0).standard_normal(20_000, "f4")
    store["ft/w"] = tuned = weights * np.float32(1.0001)
    assert store.move_to_tier("ft/", "cold", base="base/", deltas=False)["deltas"] == 1
    assert (store["ft/w"] == tuned).all() and store.stat()["delta_payloads"] == 1
    with pytest.raises(ValueError):
        store.tier_policy = {"codec": "zstd:99"}
    with pytest.raises(ValueError):
        store.move_to_tier("", "lukewarm")
    # What is decoded takes memory of the host, which must be able to say how much.
    assert store.move_to_tier("m/", "cold")["payloads_moved"] == 2
    ta.set_decode_cache_bytes(0)
    try:
        assert (store["m/b"] == array + 1).all() and ta.decode_cache()["bytes"] == ta.decode_cache()["budget_bytes"] == 0
        ta.set_decode_cache_bytes(1 << 24)
        before = ta.decode_cache()["hits"]
        assert (store["m/b"] == store["m/b"]).all() and ta.decode_cache()["hits"] > before
    finally:
        ta.set_decode_cache_bytes(1 << 28)
    with pytest.raises(OverflowError):
        ta.open(store.path, hot_bytes=-1)
    with ta.open(store.path, hot_bytes=0) as again:
        assert again["m/a"][1] == 1


def test_a_cold_disk_that_is_away_is_an_exception_of_its_own_and_heals(tmp_path):
    """Taken for a damaged file, a disk that is not mounted sends people to their backups."""
    array = np.arange(20_000, dtype="f4")
    with ta.open(tmp_path / "s", cold_directory=tmp_path / "cold") as store:
        store["a"], store["b"] = array, array + 1
        store.move_to_tier("a", "cold")
    # Opened anew: files that are open stay readable wherever their directory goes.
    with ta.open(tmp_path / "s", cold_directory=tmp_path / "cold") as store:
        cold = store.stat()["cold_directory"]
        assert (cold["path"], cold["problem"]) == (str(tmp_path / "cold"), None) and cold["disk_bytes"] > 65_536
        (tmp_path / "cold").rename(tmp_path / "away")
        with pytest.raises(ta.ColdUnavailableError) as raised:
            store.get("a").numpy()
        assert isinstance(raised.value, OSError) and raised.value.path == str(tmp_path / "cold")
        assert (store["b"] == array + 1).all() and store.verify()["payloads_unavailable"] == 1
        assert store.verify()["is_sound"] and store.gc()["unavailable"] and store.stat()["cold_directory"]["problem"]
        (tmp_path / "away").rename(tmp_path / "cold")
        assert (store["a"] == array).all() and store.verify()["unavailable"] is None
    with pytest.raises(ta.InvalidArgumentError):
        ta.open(tmp_path / "s", cold_directory=tmp_path / "other")
    # Whoever works in a notebook needs no shell to give the cold tier another disk, nor to get a catalog back.
    with ta.open(tmp_path / "s"), pytest.raises(ta.BusyError):
        ta.set_cold_directory(tmp_path / "s", tmp_path / "other")
    moved = ta.set_cold_directory(tmp_path / "s", tmp_path / "other", progress=lambda done, total: None)
    assert (moved["segments_copied"], moved["left_behind"]) == (1, None) and moved["bytes_copied"] > 65_536
    repaired = ta.repair(tmp_path / "s", rebuild_catalog=True)
    assert (repaired["catalog_rebuilt"], repaired["atoms"], repaired["findings"]) == (True, 2, [])
    assert (repaired["commits_missing"], repaired["segments_scanned"] > 1, repaired["identity_rewritten"]) == ([], True, False)
    with ta.open(tmp_path / "s") as store:
        assert store.stat()["cold_directory"]["path"] == str(tmp_path / "other") and (store["a"] == array).all()


# Space that only a shell can get back is lost to whoever works in a notebook; space taken from a view would be a crash.
def test_space_comes_back_and_views_stay(path):
    array = np.random.default_rng(3).random(200_000)
    with ta.open(path, segment_bytes=1 << 20) as store:
        store["a"], store["b"] = array, array + 1
        view = store["a"]
        del store["a"]
        before = store.stat()["disk_bytes"]
        foreseen = store.gc(0, dead_share=0, dry_run=True)
        assert foreseen["bytes_freed"] > 0 and store.stat()["disk_bytes"] == before
        store.gc(0, dead_share=0)
        assert (view == array).all()
        del view
        store.gc(0, dead_share=0)
        assert store.stat()["disk_bytes"] < before and (store["b"] == array + 1).all()
        with pytest.raises(ValueError):
            store.gc(float("nan"))
