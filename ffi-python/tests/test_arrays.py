"""Arrays in and out: every type and layout, with NumPy as oracle."""

import sys

import ml_dtypes
import numpy as np
import pytest
import tensoratom as ta

from conftest import from_dlpack

NATIVE = ["f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?"]
FOREIGN = [("bf16", ml_dtypes.bfloat16), ("f8e4m3", ml_dtypes.float8_e4m3fn), ("f8e5m2", ml_dtypes.float8_e5m2)]
SHAPES = [(), (0,), (1,), (7,), (3, 4), (2, 0, 5), (2, 3, 4, 5)]


def check(store, array, expected=None):
    expected = array if expected is None else expected
    store["x"] = array
    found = store["x"]
    assert found.dtype == np.asarray(expected).dtype.newbyteorder("=")
    assert found.shape == np.shape(expected)
    np.testing.assert_array_equal(found, expected)
    assert not found.flags.writeable


def filled(random, code, shape):
    return (random.random(shape) * 100).astype(code)


# A type that is stored under another's name, or a scalar that comes back as a vector, corrupts models silently.
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("code", NATIVE)
def test_every_native_type_and_shape_comes_back_the_same(store, random, code, shape):
    check(store, np.asarray(filled(random, code, shape)))


@pytest.mark.parametrize("name, code", FOREIGN)
def test_types_numpy_lacks_come_back_as_ml_dtypes(store, random, name, code):
    array = random.standard_normal((5, 6)).astype(code)
    store["x"] = array
    assert store.get("x").dtype == name
    assert store["x"].dtype == code
    assert store["x"].tobytes() == array.tobytes()


@pytest.mark.parametrize("code", ["f8", "f4", "f2", "i8", "i4", "u2"])
def test_layouts_other_than_c_order_are_stored_as_what_they_mean(store, random, code):
    array = filled(random, code, (6, 8))
    for odd in (array.T, array[::2], array[:, 1::3], array[::-1], np.asfortranarray(array), array.astype(">" + code)):
        check(store, odd)


# The stand-in must be stated, or bits of bf16 are taken for integers.
def test_without_ml_dtypes_raw_integers_stand_in_and_the_repr_says_so(path):
    import subprocess

    code = f"""
import sys; sys.modules["ml_dtypes"] = None
import numpy as np, tensoratom as ta
store = ta.open({str(path)!r})
store.put("x", np.array([1.0, 2.5], "f4"), dtype="bf16")
print(store["x"].dtype, store["x"].tolist(), store.get("x").dtype, "uint16 without ml_dtypes" in repr(store.get("x")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["uint16", "[16256,", "16416]", "bf16", "True"]


def test_bits_are_packed_and_keep_their_shape(store, random):
    bits = random.random((3, 13)) < 0.5
    store.put("x", bits, dtype="b1")
    assert store.get("x").shape == (3, 13)
    np.testing.assert_array_equal(np.unpackbits(store["x"], axis=1, count=13, bitorder="little"), bits)


class Interface:
    """An object that only has NumPy's array interface."""

    def __init__(self, array):
        self.array = array

    @property
    def __array_interface__(self):
        return self.array.__array_interface__


class Exporter:
    """An object that only speaks DLPack."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


@pytest.mark.parametrize("wrap", [Interface, Exporter, memoryview, bytearray, np.ndarray.tolist])
def test_whatever_is_like_an_array_can_be_stored(store, wrap):
    array = np.arange(12, dtype="u1")
    check(store, wrap(array), array.astype("i8") if wrap is np.ndarray.tolist else array)


@pytest.mark.parametrize(
    "value",
    [np.array([object()]), np.array(["text"]), np.array([1j]), np.zeros(2, "f4,i4"), np.ma.masked_equal([1.0, 2.0], 1)],
    ids=lambda value: type(value).__name__ + str(value.dtype),
)
def test_what_has_no_type_is_refused_by_name(store, value):
    with pytest.raises(TypeError, match="cannot be stored"):
        store["x"] = value
    assert "x" not in store


def address(array):
    return array.__array_interface__["data"][0]


# A copy that nobody asked for is the difference between a model that fits into memory and one that does not.
def test_all_views_of_an_atom_share_one_address(store, random):
    store["x"] = random.random((1000, 64)).astype("f4")
    array, atom = store["x"], store.get("x")
    same = address(array)
    assert same % 64 == 0
    assert address(store["x"]) == same
    assert address(np.asarray(atom)) == same
    assert address(from_dlpack(atom)) == same
    assert address(np.frombuffer(memoryview(atom).cast("B"), "f4")) == same
    assert address(atom.rows(10, 20)) == same + 10 * 64 * 4
    assert array.base.is_mapped
    assert address(store.snapshot()["x"]) == same


def test_no_way_leads_to_a_writable_view(store):
    store["x"] = np.arange(4.0)
    atom = store.get("x")
    with pytest.raises(ValueError, match="WRITEABLE"):
        store["x"].setflags(write=True)
    with pytest.raises(ValueError, match="read-only"):
        store["x"][0] = 1
    with pytest.raises(TypeError, match="read-only"):
        memoryview(atom)[0] = 1
    assert not from_dlpack(atom).flags.writeable
    with pytest.raises(BufferError, match="version 1"):
        atom.__dlpack__()  # a consumer that cannot know of "read-only"
    assert store["x"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("name, code", FOREIGN)
def test_dlpack_says_the_true_type_of_what_numpy_lacks(store, name, code):
    store["x"] = np.ones(3, code)
    with pytest.raises((BufferError, RuntimeError)):
        np.from_dlpack(store.get("x"))  # NumPy has no such type; what must not happen is another type
    capsule = store.get("x").__dlpack__(max_version=(1, 0))
    assert "dltensor_versioned" in repr(capsule)


# The destructor of a capsule nobody takes must give the bytes back, and only once.
def test_capsules_that_nobody_takes_are_given_back(store):
    store["x"] = np.arange(8.0)
    atom = store.get("x")
    for _ in range(1000):
        atom.__dlpack__(max_version=(1, 0))
    array = from_dlpack(atom)
    del atom
    store.close()
    assert array.tolist() == list(range(8))


def test_an_atom_is_an_array_to_numpy(store):
    store["x"] = np.arange(6, dtype="f4").reshape(2, 3)
    atom = store.get("x")
    assert np.asarray(atom, dtype="f8").dtype == np.float64
    assert np.array(atom, copy=True).flags.writeable
    assert (len(atom), atom.nbytes, memoryview(atom).shape, memoryview(atom).format) == (2, 24, (2, 3), "f")
    assert np.add(atom, 1).tolist() == [[1, 2, 3], [4, 5, 6]]


def test_rows_are_read_by_themselves_and_refused_outside(store, random):
    array = random.random((50, 3))
    store["x"] = array
    np.testing.assert_array_equal(store.get("x").rows(10, 20), array[10:20])
    assert store.get("x").rows(5, 5).shape == (0, 3)
    for start, stop in [(10, 51), (20, 10)]:
        with pytest.raises(ValueError):
            store.get("x").rows(start, stop)


@pytest.mark.parametrize("scheme", ["symmetric", "affine"])
@pytest.mark.parametrize("block", [None, 16, "row"])
def test_quantised_tensors_keep_their_scales(store, random, scheme, block):
    array = random.standard_normal((10, 48)).astype("f4")
    quantized = ta.quantize(array, scheme, block)
    store["x"] = quantized
    atom = store.get("x")
    assert "quantised" in repr(atom)
    np.testing.assert_array_equal(atom.numpy(), quantized.codes)
    np.testing.assert_array_equal(atom.dequantize(), ta.dequantize(quantized))
    assert np.abs(atom.dequantize() - array).max() <= quantized.scale.max() / 2 * 1.001


@pytest.mark.parametrize("name, code", FOREIGN + [("f16", np.float16)])
def test_conversion_rounds_as_ml_dtypes_does(random, name, code):
    array = random.standard_normal((100, 7)).astype("f4") * 50
    with np.errstate(over="ignore"):
        expected = array.astype(code)
    found = ta.convert(array, name)
    assert found.dtype == code
    assert found.tobytes() == expected.tobytes()
    np.testing.assert_array_equal(ta.convert(found, "f32"), expected.astype("f4"))


def test_raw_integers_can_be_said_to_be_bf16(store):
    raw = np.array([0x3F80, 0x4020], "u2")
    store.put("x", raw, dtype="bf16")
    assert store["x"].astype("f4").tolist() == [1.0, 2.5]
    assert ta.convert(raw, "f32", source="bf16").tolist() == [1.0, 2.5]


def test_torch_gets_the_true_type_without_a_copy(store):
    torch = pytest.importorskip("torch")
    for dtype in (torch.float32, torch.bfloat16, torch.float8_e4m3fn, torch.int64, torch.bool):
        tensor = torch.tensor([0, 1, 1]).to(dtype)
        store["x"] = tensor
        found = store.get("x").torch()
        assert found.dtype == dtype
        assert torch.equal(found.view(torch.uint8), tensor.view(torch.uint8))
        assert found.data_ptr() == address(store["x"])
        again = torch.from_dlpack(store.get("x"))
        assert (again.dtype, again.data_ptr()) == (dtype, found.data_ptr())
