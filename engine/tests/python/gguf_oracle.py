"""Makes and checks `engine/tests/fixtures/ggml.safetensors`: blocks, and what the package `gguf` makes of them.

    python3 -m venv .venv && .venv/bin/pip install gguf==0.19.0
    .venv/bin/python engine/tests/python/gguf_oracle.py --check    # exit status 1 when the file differs
    .venv/bin/python engine/tests/python/gguf_oracle.py --write

For each layout the file holds `<layout>.blocks` and `<layout>.values` (dequantised), and for Q8_0 and Q4_0 also
`<layout>.source` and `<layout>.quantized`. NaNs are written as 0x7fc00000: their payload is nobody's promise.
"""

import argparse
import json
import struct
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from gguf.quants import dequantize, quantize

GGUF_VERSION = "0.19.0"
FIXTURE = Path(__file__).parent.parent / "fixtures" / "ggml.safetensors"

# Where the f16 scales of a block begin.
SCALES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}
# One, zero, minus zero, the smallest subnormal, the largest subnormal, the largest, minus 0.1, infinity, NaN.
SPECIAL = [0x3C00, 0x0000, 0x8000, 0x0001, 0x03FF, 0x7BFF, 0xAE66, 0x7C00, 0x7E01]


class SplitMix64:
    """The generator of the Rust tests: the file does not depend on a version of numpy."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        mask = (1 << 64) - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    def bytes(self, count):
        return b"".join(struct.pack("<Q", self.next()) for _ in range(-(-count // 8)))[:count]


def random_blocks(name, size, count, random):
    """Random bytes whose scales are first the special ones, then any f16."""
    blocks = bytearray(random.bytes(size * count))
    for block in range(count):
        for nth, at in enumerate(SCALES[name]):
            if block < len(SPECIAL):
                scale = SPECIAL[(block + 4 * nth) % len(SPECIAL)]
                struct.pack_into("<H", blocks, block * size + at, scale)
    return np.frombuffer(bytes(blocks), np.uint8).reshape(count, size)


def sources(random):
    """Rows of 32 numbers: ordinary, with zeros, huge, tiny, constant, halfway between codes."""
    rows = []
    for exponent in (0, 0, 0, -3, 10, 18, -12, -20, -30):
        row = [(random.next() / 2**63 - 1) * 2.0**exponent for _ in range(32)]
        rows.append(row)
    rows.append([0.0] * 32)
    rows.append([-1.5] * 32)
    rows.append([127.0 if i == 0 else i - 15.5 for i in range(32)])
    rows.append([-8.0 if i == 0 else (i - 16) / 2 for i in range(32)])
    return np.array(rows, dtype=np.float64).astype(np.float32)


def canonical(values):
    return np.where(np.isnan(values), np.float32(np.nan), values).astype(np.float32)


def tensors():
    random = SplitMix64(2024)
    made = {}
    for name in SCALES:
        kind = GGMLQuantizationType[name]
        elements, size = GGML_QUANT_SIZES[kind]
        count = 32 if elements == 32 else len(SPECIAL) + 1
        blocks = random_blocks(name, size, count, random)
        made[f"{name}.blocks"] = blocks
        made[f"{name}.values"] = canonical(dequantize(blocks, kind))
    for name in ("Q8_0", "Q4_0"):
        source = sources(random)
        made[f"{name}.source"] = source
        made[f"{name}.quantized"] = quantize(source, GGMLQuantizationType[name])
    return made


def as_safetensors(made):
    header, offset = {"__metadata__": {"made_by": f"gguf {GGUF_VERSION}"}}, 0
    for name, array in made.items():
        dtype = {"uint8": "U8", "float32": "F32"}[array.dtype.name]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(array.tobytes() for array in made.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--check", action="store_true", help="compare the committed file with the installed package")
    action.add_argument("--write", action="store_true", help="write the file")
    arguments = parser.parse_args()
    if version("gguf") != GGUF_VERSION:
        sys.exit(f"gguf {GGUF_VERSION} is wanted, {version('gguf')} is installed")
    with np.errstate(all="ignore"):
        data = as_safetensors(tensors())
    if arguments.write:
        FIXTURE.write_bytes(data)
    elif FIXTURE.read_bytes() != data:
        sys.exit(f"{FIXTURE} differs from what gguf {GGUF_VERSION} gives")
    print(f"{FIXTURE.name}: {len(data)} bytes, gguf {GGUF_VERSION}")


if __name__ == "__main__":
    main()
