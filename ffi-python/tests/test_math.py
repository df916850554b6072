"""Distances, top-k and search, with NumPy as oracle."""

import ml_dtypes
import numpy as np
import pytest
import tensoratom as ta

METRICS = {
    "dot": lambda a, b: -(a @ b),
    "cosine": lambda a, b: 1 - (a @ b) / np.sqrt((a @ a) * (b @ b)),
    "sqeuclidean": lambda a, b: ((a - b) ** 2).sum(),
    "euclidean": lambda a, b: np.sqrt(((a - b) ** 2).sum()),
    "hamming": lambda a, b: (a != b).sum(),
    "jaccard": lambda a, b: 1 - ((a != 0) & (b != 0)).sum() / max(1, ((a != 0) | (b != 0)).sum()),
}
CODES = ["f8", "f4", "f2", "i1", "u1", ml_dtypes.bfloat16]


def vectors(random, code, shape):
    return (random.integers(0, 5, shape) if np.dtype(code).kind in "iu" else random.standard_normal(shape)).astype(code)


# A pair with another answer than a row of the matrix is found by whoever compares notebooks.
@pytest.mark.parametrize("code", CODES, ids=str)
@pytest.mark.parametrize("metric", METRICS)
def test_distances_are_numpys(random, metric, code):
    X, Y = vectors(random, code, (3, 384)), vectors(random, code, (5, 384))
    expected = np.array([[METRICS[metric](a, b) for b in Y.astype("f8")] for a in X.astype("f8")])
    found = ta.cdist(X, Y, metric)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    sign = -1 if metric == "dot" else 1
    assert getattr(ta, metric)(X[1], Y[2]) == sign * found[1, 2]
    assert getattr(ta, metric)(X[1].copy(), Y[2].tolist() if code == "f8" else Y[2]) == sign * found[1, 2]


def test_strided_and_byte_swapped_vectors_mean_the_same(random):
    a, b = random.standard_normal((2, 768))
    assert ta.dot(a[::2], b[::2]) == ta.dot(a[::2].copy(), b[::2].copy()) == ta.dot(a[::2].astype(">f8"), b[::2])


@pytest.mark.parametrize(
    "a, b, kind",
    [
        (np.ones(3), np.ones(4), ValueError),
        (np.ones((2, 2)), np.ones((2, 2)), ValueError),
        (np.ones(3), np.ones(3, "f4"), TypeError),
        (np.ones(3), None, TypeError),
        (np.ones(3, "i8"), np.ones(3, "i8"), TypeError),
    ],
)
def test_vectors_that_do_not_belong_together_are_refused(a, b, kind):
    with pytest.raises(kind):
        ta.dot(a, b)


def test_empty_vectors_have_distance_zero():
    assert ta.euclidean(np.empty(0), np.empty(0)) == 0


def test_topk_orders_by_value_then_index_with_nan_last(random):
    distances = random.integers(0, 5, (4, 30)).astype("f8")
    distances[0, :3] = np.nan
    indices, values = ta.topk(distances, 7)
    np.testing.assert_array_equal(indices, np.argsort(distances, axis=1, kind="stable")[:, :7])
    np.testing.assert_array_equal(values, np.take_along_axis(distances, indices, 1))
    assert ta.topk([3.0, 1.0, 2.0], 10)[0].tolist() == [1, 2, 0]


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16", "i8"])
@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dot"])
def test_search_is_exact(store, random, dtype, metric):
    X = random.standard_normal((2000, 48)).astype("f4")
    X = np.round(X * 20).astype("i1") if dtype == "i8" else X
    ids = random.permutation(10_000)[:2000]
    sets = store.vectors("v", 48, dtype, metric)
    for part in np.array_split(np.arange(2000), 3):
        sets.add(ids[part], X[part])
    queries = X[:5].astype("f4") if dtype != "i8" else X[:5]
    stored = np.stack(sets.get(ids))
    exact = ta.cdist(queries, stored, metric)
    found = sets.search(queries, k=9)
    for row, near in zip(exact, found.ids):
        assert near.tolist() == ids[np.lexsort((ids, row))][:9].tolist()
    np.testing.assert_array_equal(found.distances, np.sort(exact, axis=1)[:, :9])
    assert sets.search(queries[0], 9).ids.tolist() == found.ids[0].tolist()


def test_filters_are_ids_or_masks(store, random):
    X = random.standard_normal((100, 8)).astype("f4")
    sets = store.vectors("v", 8)
    sets.add(np.arange(100), X)
    mask = random.random(100) < 0.3
    by_mask, by_ids = sets.search(X[0], 10, filter=mask), sets.search(X[0], 10, filter=np.flatnonzero(mask))
    assert by_mask.ids.tolist() == by_ids.ids.tolist() == sets.search(X[0], 10, exclude=np.flatnonzero(~mask)).ids.tolist()
    assert set(by_mask.ids) <= set(np.flatnonzero(mask))
    assert sets.search(X[:2], 5, filter=[]).ids.shape == (2, 0)
    few = sets.search(X[:2], 5, distance_max=1e-6)
    assert few.ids.tolist() == [[0], [1]]
    with pytest.raises(TypeError):
        sets.search(X[0], 5, filter=[0.5])


def test_sets_change_and_say_what_they_are(store, random):
    X = random.standard_normal((10, 4)).astype("f4")
    sets = store.vectors("v", dim=4)
    sets.add(range(10), X)
    with pytest.raises(ta.AlreadyExistsError):
        sets.add([3], X[:1])
    sets.upsert([3], X[:1])
    assert sets.delete([1, 2, 77]) == 2
    assert (len(sets), 3 in sets, 1 in sets, sets.get([3, 1])[1]) == (8, True, False, None)
    np.testing.assert_array_equal(sets.get([3])[0], X[0])
    with store.transaction() as tx:
        tx.upsert("v", [50], X[5:6])
        tx["doc/50"] = X[5]
    assert sets.compact() > 0 and sets.info()["deleted_rows"] == 0
    assert store.vectors("v").dim == 4 and "4 x f32, cosine" in repr(sets)
    assert store.query("SELECT name, rows FROM vector_sets") == [{"name": "v", "rows": 9}]
    with pytest.raises(KeyError):
        store.vectors("nobody")
    with pytest.raises(ta.AlreadyExistsError):
        store.vectors("v", dim=5)
    with pytest.raises(ValueError):
        sets.search(X[:, :3])
    assert "(" in sets.search(X[0], 3)._repr_html_()
    assert list(sets.search(X[:2], 3).to_pandas()["rank"]) == [0, 1, 2] * 2


@pytest.mark.parametrize("companion", [False, True])
def test_a_stored_matrix_is_searched_in_place(store, random, companion):
    X = random.standard_normal((500, 32)).astype("f4")
    store["m"] = X
    matrix = store.matrix("m", "euclidean", companion=companion)
    exact = ta.cdist(X[:4], X, "euclidean")
    assert matrix.search(X[:4], 6).ids.tolist() == np.argsort(exact, axis=1, kind="stable")[:, :6].tolist()
    assert (len(matrix), matrix.dim) == (500, 32)
    with pytest.raises(ValueError):
        store.put("scalar", 1.0)
        store.matrix("scalar")


def test_quantising_refuses_what_has_no_code():
    with pytest.raises(ValueError, match="element 1"):
        ta.quantize([1.0, np.nan])
    with pytest.raises(ValueError):
        ta.quantize([1.0], "other")
