"""The drop-in module against the reference, call by call, on the real model file."""

import inspect

import numpy as np
import pytest
import safetensors
import safetensors.numpy as reference
import tensoratom.safetensors.numpy as ours
from tensoratom.safetensors import SafetensorError, safe_open


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TENSORATOM_SAFETENSORS_STORE", str(tmp_path / "cache"))


# Whoever changes an import must not get other numbers, names or orders.
def test_the_same_calls_give_the_same_on_a_real_model(model, home):
    with safetensors.safe_open(model, "np") as theirs, safe_open(model, "np") as mine:
        assert list(theirs.keys()) == list(mine.keys())
        assert list(theirs.offset_keys()) == list(mine.offset_keys())
        assert theirs.metadata() == mine.metadata()
        for name in theirs.keys():
            expected, found = theirs.get_tensor(name), mine.get_tensor(name)
            assert (expected.dtype, expected.shape) == (found.dtype, found.shape)
            assert expected.tobytes() == found.tobytes()
        name = "embeddings.word_embeddings.weight"
        a, b = theirs.get_slice(name), mine.get_slice(name)
        assert (a.get_shape(), a.get_dtype()) == (b.get_shape(), b.get_dtype())
        for index in (slice(5, 9), (slice(5, 9), slice(0, 3)), (slice(None, 4), 2), (3, slice(1, 5))):
            np.testing.assert_array_equal(a[index], b[index])
    found = ours.load_file(model)
    for name, expected in reference.load_file(model).items():
        np.testing.assert_array_equal(found.pop(name), expected)
    assert not found


# A drop-in that names its parameters otherwise breaks the program that names them.
def test_the_calls_have_the_reference_parameters():
    for name in ("load", "load_file", "save", "save_file"):
        theirs, mine = (inspect.signature(getattr(module, name)).parameters for module in (reference, ours))
        assert list(mine)[: len(theirs)] == list(theirs), name
    assert {name for name in vars(safetensors.safe_open) if not name.startswith("__")} <= set(vars(safe_open))


def test_a_second_open_imports_nothing_and_a_changed_file_is_imported_anew(tmp_path, home):
    from tensoratom.safetensors import _store

    file = tmp_path / "x.safetensors"
    for value in (1, 2):
        ours.save_file({"x": np.full(4 + value, value, "f4")}, file)
        assert ours.load_file(file)["x"][0] == value
        version = _store(None).version
        assert ours.load_file(file)["x"][0] == value and _store(None).version == version


def test_files_are_written_byte_for_byte_as_the_reference_does(tmp_path, random):
    tensors = {
        name: (random.random((3, 5)) * 9).astype(code)
        for name, code in [("b", "f4"), ("a", "f8"), ("c", "i2"), ("d", "u1"), ("e", "?"), ("f", "f2")]
    }
    for metadata in (None, {"format": "np"}):
        reference.save_file(tensors, tmp_path / "theirs", metadata)
        ours.save_file(tensors, tmp_path / "mine", metadata)
        assert (tmp_path / "theirs").read_bytes() == (tmp_path / "mine").read_bytes()


# Half of a drop-in breaks the program that sends weights over a wire instead of through a file.
def test_bytes_are_made_and_read_as_the_reference_does(random):
    tensors = {"b": random.random((3, 5)).astype("f4"), "a": np.zeros((0, 2), "i2"), "s": np.array(True), "u": np.ones(3, "u1")}
    for metadata in (None, {"format": "np"}):
        data = ours.save(tensors, metadata)
        assert data == reference.save(tensors, metadata)
    expected, found = reference.load(data), ours.load(data)
    assert sorted(expected) == sorted(found)
    for name, array in found.items():
        assert (array.dtype, array.shape) == (expected[name].dtype, expected[name].shape)
        assert array.tobytes() == expected[name].tobytes() and not array.flags.writeable
    assert np.shares_memory(found["b"], np.frombuffer(data, np.uint8))


# A length in a header is a claim: whoever believes it reads beyond the bytes.
def test_bytes_that_contradict_themselves_are_refused():
    data = ours.save({"x": np.arange(4)})
    for bad in (b"", data[:-1], data + b"x", data[:20], b"\xff" * 100):
        with pytest.raises(ValueError):
            ours.load(bad)


def test_what_the_reference_refuses_is_refused(model, home, tmp_path):
    with safe_open(model, "np") as file:
        with pytest.raises(SafetensorError, match="does not contain tensor nothing"):
            file.get_tensor("nothing")
        with pytest.raises(SafetensorError):
            file.get_slice("nothing")
    with pytest.raises(FileNotFoundError):
        safe_open(tmp_path / "nothing", "np")
    with pytest.raises(SafetensorError):
        safe_open(model, "abacus")
    (tmp_path / "bad.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(ValueError):
        safe_open(tmp_path / "bad.safetensors", "np")


def test_torch_tensors_have_the_reference_types(model, home, tmp_path):
    torch = pytest.importorskip("torch")
    import safetensors.torch

    import tensoratom.safetensors.torch as mine

    tensors = {str(t): torch.ones(3).to(t) for t in (torch.bfloat16, torch.float32, torch.float8_e5m2)}
    safetensors.torch.save_file(tensors, tmp_path / "theirs.safetensors")
    mine.save_file(tensors, tmp_path / "mine.safetensors")
    assert (tmp_path / "theirs.safetensors").read_bytes() == (tmp_path / "mine.safetensors").read_bytes()
    for name, tensor in mine.load_file(tmp_path / "mine.safetensors").items():
        assert tensor.dtype == tensors[name].dtype
        assert torch.equal(tensor.view(torch.uint8), tensors[name].view(torch.uint8))
    assert mine.load_model is safetensors.torch.load_model
    for name, tensor in mine.load(safetensors.torch.save(tensors)).items():
        assert (tensor.dtype, tensor.tolist()) == (tensors[name].dtype, tensors[name].tolist())
