"""Vector mathematics on arrays: what the engine's kernels compute, with NumPy's habits."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import _dtypes, _native
from ._native import cdist


class Quantized(NamedTuple):
    """8-bit codes: ``value = scale * (code - zero_point)``, one scale per ``block`` elements in C order (0: one in all).

    A store keeps it as it is: ``store["w"] = ta.quantize(w)``; ``store.get("w").dequantize()`` gives floats.
    May be used from any thread as long as none writes to its arrays.
    """

    codes: NDArray[Any]
    scale: NDArray[Any]
    zero_point: NDArray[Any]
    block: int


def quantize(x: Any, scheme: str = "symmetric", block: int | str | None = None) -> Quantized:
    """Quantises to int8. ``scheme`` is symmetric or affine (with zero points); ``block`` a number of elements, "row" for
    a scale per row (last dimension), None for one in all. Raises InvalidArgumentError for NaN and infinity."""
    if scheme not in ("symmetric", "affine"):
        raise ValueError(f"scheme '{scheme}' is neither symmetric nor affine")
    size = np.shape(x)[-1] if block == "row" else (block or 0)
    if not isinstance(size, int):
        raise ValueError(f"block '{block}' is neither a number nor 'row'")
    return Quantized(*_native.quantize_blocks(x, scheme == "affine", size), size)


def dequantize(quantized: Quantized) -> NDArray[Any]:
    """The float32 values of 8-bit codes."""
    codes, scale, zero_point, block = quantized
    return _native.dequantize_blocks(codes, scale.tolist(), zero_point.tolist(), block)


def convert(x: Any, dtype: Any, *, source: str | None = None, saturate: bool = False) -> NDArray[Any]:
    """Converts between float types, rounding half to even: f64 f32 f16 bf16 f8e4m3 f8e5m2.

    ``source`` says what raw integers are. Beyond the range comes infinity, or with ``saturate`` the largest number.
    bf16 and f8 come as types of ``ml_dtypes``, or as uint16 and uint8 without it.
    """
    return _native.convert_into(x, source, _dtypes.canonical(dtype), saturate)


def topk(distances: Any, k: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The k smallest of each row, in order: ``(indices, values)``. Ties by index, NaN last."""
    array = np.asarray(distances, dtype=np.float64)
    indices = _native.topk_indices(array, k)
    return indices, np.take_along_axis(array, indices, axis=-1)


__all__ = ["Quantized", "cdist", "convert", "dequantize", "quantize", "topk"]
