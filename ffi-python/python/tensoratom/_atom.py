"""Atoms: handles on stored tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import _dtypes, _native


class Atom(_native.AtomCore, _native.Memory):
    """A handle on one version of a tensor. Reads nothing until asked; valid after delete and close. May be used from any
    thread.

    An array in every dialect: ``np.asarray(atom)``, ``memoryview(atom)``, ``torch.from_dlpack(atom)``, all without a
    copy and read-only.
    """

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        array = self.numpy()
        if dtype is not None and np.dtype(dtype) != array.dtype:
            if copy is False:
                raise ValueError("a stored tensor cannot be converted without a copy")
            return array.astype(dtype)
        return array.copy() if copy else array

    def torch(self) -> Any:
        """A torch tensor of the true type on the stored bytes. Torch does not know read-only: writing to it crashes."""
        return _dtypes.to_torch(self.numpy(), self.dtype)

    def _memory(self) -> NDArray[Any]:
        array = self.numpy()
        # Types that the struct module has no letter for are given out as the bytes they are.
        return array if array.dtype.kind in "biuf" and array.dtype.isbuiltin == 1 else array.view(np.uint8)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a scalar")
        return self.shape[0]

    def __repr__(self) -> str:
        note = self._note()
        shape = ", ".join(map(str, self.shape))
        return f"<atom {self.key!r}: {self.dtype} [{shape}], {self.nbytes:,} bytes{', ' + note if note else ''}>"

    def _note(self) -> str:
        """What a reader of the array should know about its elements."""
        kind = self.encoding["kind"]
        if kind != "plain":
            return "quantised: numpy() gives codes" if kind == "quantized" else "blocks: numpy() gives bytes"
        if self.dtype == "b1":
            return "packed bits, as uint8"
        stand_in = _dtypes.descriptor(self.dtype)
        if self.dtype in _dtypes._FOREIGN and stand_in.kind == "u":
            return f"raw as {stand_in} without ml_dtypes"
        return ""

    def _repr_html_(self) -> str:
        from ._html import atom

        return atom(self)
