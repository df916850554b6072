"""Tensors of other frameworks, made by hand field by field: what a producer says is a claim, and is given back once."""

import ctypes
import gc

import numpy as np
import pytest

import tensoratom as ta

new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.restype = ctypes.py_object
new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]

FLOAT, BFLOAT, F8E4M3, F8E5M2 = 2, 4, 10, 12


class Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Old(ctypes.Structure):
    _fields_ = [("tensor", Tensor), ("context", ctypes.c_void_p), ("deleter", Deleter)]


class New(ctypes.Structure):
    _fields_ = [
        ("major", ctypes.c_uint32),
        ("minor", ctypes.c_uint32),
        ("context", ctypes.c_void_p),
        ("deleter", Deleter),
        ("flags", ctypes.c_uint64),
        ("tensor", Tensor),
    ]


class Producer:
    """Gives out one tensor on the memory of an array; any field can be made to lie."""

    def __init__(self, memory, code, bits, shape, strides=None, versioned=True, device=1, major=1, **fields):
        self.memory, self.device, self.freed = memory, device, 0
        self.versioned = versioned
        numbers = lambda values: (ctypes.c_int64 * max(len(values), 1))(*values)
        self.shape, self.strides = numbers(shape), numbers(strides) if strides is not None else None
        tensor = Tensor(memory.ctypes.data, device, 0, len(shape), code, bits, 1, self.shape, self.strides, 0)
        for name, value in fields.items():
            setattr(tensor, name, value)
        self.deleter = Deleter(self.free)
        deleter = self.deleter
        self.managed = New(major, 0, None, deleter, 0, tensor) if versioned else Old(tensor, None, deleter)

    def free(self, _):
        self.freed += 1

    def __dlpack_device__(self):
        return (self.device, 0)

    def __dlpack__(self, **options):
        if options and not self.versioned:
            raise TypeError("unexpected keyword argument 'max_version'")
        name = b"dltensor_versioned" if self.versioned else b"dltensor"
        return new_capsule(ctypes.addressof(self.managed), name, None)


@pytest.mark.parametrize("versioned", [True, False])
@pytest.mark.parametrize("code, bits, name", [(BFLOAT, 16, "bf16"), (F8E4M3, 8, "f8e4m3"), (F8E5M2, 8, "f8e5m2"), (FLOAT, 32, "f32")])
def test_types_numpy_lacks_come_in_their_true_type(store, code, bits, name, versioned):
    memory = np.arange(24 * bits // 8, dtype="u1")
    producer = Producer(memory, code, bits, (4, 6), versioned=versioned)
    store["x"] = producer
    atom = store.get("x")
    assert (atom.info.dtype, atom.info.shape) == (name, (4, 6))
    assert bytes(memoryview(atom).cast("B")) == memory.tobytes()
    gc.collect()
    assert producer.freed == 1


# Strides are counted in elements and may run backwards: a transposed tensor stored as if it lay in order is another tensor.
def test_strides_and_offsets_are_followed(store):
    memory = np.arange(12, dtype="<u2")
    store["transposed"] = Producer(memory, BFLOAT, 16, (4, 3), strides=(1, 4))
    assert store["transposed"].view("u2").tolist() == memory.reshape(3, 4).T.tolist()
    store["offset"] = Producer(memory, BFLOAT, 16, (4,), byte_offset=4)
    assert store["offset"].view("u2").tolist() == [2, 3, 4, 5]
    store["backwards"] = Producer(memory, BFLOAT, 16, (3,), strides=(-1,), byte_offset=22)
    assert store["backwards"].view("u2").tolist() == [11, 10, 9]


@pytest.mark.parametrize(
    "claim",
    [
        dict(code=BFLOAT, bits=32),
        dict(lanes=4),
        dict(code=5, bits=64),
        dict(ndim=-1),
        dict(ndim=1000),
        dict(device_type=2),
        dict(data=None),
        dict(data=2**64 - 8, byte_offset=2**60),
        dict(byte_offset=2**64 - 1),
        dict(shape=(ctypes.c_int64 * 2)(2**62, 2**62)),
        dict(shape=(ctypes.c_int64 * 2)(-1, 2)),
        dict(strides=(ctypes.c_int64 * 2)(2**62, 1)),
        dict(shape=None),
        dict(major=2),
    ],
    ids=lambda claim: " ".join(claim),
)
def test_a_tensor_that_lies_is_refused_and_given_back(store, claim):
    arguments = dict(code=BFLOAT, bits=16, shape=(2, 4))
    fields = {name: claim[name] for name in claim if name in ("shape", "strides")}
    producer = Producer(np.zeros(8, "<u2"), **{**arguments, **{n: v for n, v in claim.items() if n not in fields}})
    for name, value in fields.items():
        setattr(producer.managed.tensor, name, value)
    with pytest.raises(BufferError):
        store["x"] = producer
    assert "x" not in store and producer.freed == 1


def test_a_tensor_on_another_device_is_named_before_anything_is_taken(store):
    producer = Producer(np.zeros(8, "<u2"), BFLOAT, 16, (8,), device=2)
    with pytest.raises(BufferError, match="device 2"):
        store["x"] = producer
    assert producer.freed == 0


# A capsule is used once; a second consumer would free its tensor a second time.
def test_a_used_capsule_is_refused(store):
    producer = Producer(np.zeros(8, "<u2"), BFLOAT, 16, (8,))
    capsule = producer.__dlpack__(max_version=(1, 0))
    producer.__dlpack__ = None

    class Again:
        __dlpack_device__ = lambda self: (1, 0)
        __dlpack__ = lambda self, **options: capsule

    store["x"] = Again()
    with pytest.raises(BufferError, match="fresh"):
        store["y"] = Again()
    gc.collect()
    assert producer.freed == 1


def test_an_array_on_foreign_memory_keeps_it(store):
    producer = Producer(np.arange(8, dtype="<f4"), FLOAT, 32, (8,))
    array, name = ta._native.from_dlpack(producer)
    assert name == "f32" and array.ctypes.data == producer.memory.ctypes.data and not array.flags.writeable
    view = array[2:4]
    del array
    gc.collect()
    assert producer.freed == 0 and view.tolist() == [2, 3]
    del view
    gc.collect()
    assert producer.freed == 1
