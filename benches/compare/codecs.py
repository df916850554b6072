"""Lossless coding of raw numbers by other libraries, one thread each: codecs.py FILE DTYPE; prints JSON.

For each library: bytes out, and seconds of encoding and decoding, the better of several rounds, each checked. Also the
limit: bytes that would be left if, in each chunk of 256 KiB, the byte with the exponent were coded by its entropy and
all else stored.
"""

import json
import sys
import time
from importlib.metadata import version
from unittest.mock import MagicMock

import blosc2
import numpy as np
import zstandard

# ZipNN imports torch for tensors of torch; it is given bytes here, for which it calls nothing of it.
for name in ("torch", "safetensors", "safetensors.torch"):
    sys.modules.setdefault(name, MagicMock())
import zipnn  # noqa: E402

ROUNDS = 5
CHUNK_BYTES = 256 << 10
WIDTHS = {"f64": 8, "f32": 4, "f16": 2, "bf16": 2, "i64": 8}
ZIPNN_TYPES = {"f32": "float32", "f16": "float16", "bf16": "bfloat16"}


def measure(raw, encode, decode):
    """ZipNN turns the bits of its input in place, so each round gets a copy of its own."""
    encoded_s, decoded_s = [], []
    for _ in range(ROUNDS):
        copy = bytearray(raw)
        started = time.perf_counter()
        coded = encode(copy)
        encoded_s.append(time.perf_counter() - started)
        started = time.perf_counter()
        back = decode(coded)
        decoded_s.append(time.perf_counter() - started)
        assert bytes(back) == raw
    return {"bytes": len(coded), "encode_s": min(encoded_s), "decode_s": min(decoded_s)}


def entropy_bytes(raw, width):
    """The exponent's byte, which turning out the sign makes the highest one, by its entropy chunk by chunk."""
    words = np.frombuffer(raw, f"<u{width}")
    highest = (words >> (8 * width - 9) & 0xFF).astype(np.uint8)
    bits = 0.0
    for start in range(0, len(highest), CHUNK_BYTES // width):
        chunk = highest[start : start + CHUNK_BYTES // width]
        counts = np.bincount(chunk)
        counts = counts[counts > 0]
        bits += float((counts * np.log2(len(chunk) / counts)).sum())
    return len(raw) - len(highest) + bits / 8


def main():
    path, dtype = sys.argv[1:3]
    width = WIDTHS[dtype]
    with open(path, "rb") as file:
        raw = file.read()
    results = {}
    if dtype in ZIPNN_TYPES:
        coder = zipnn.ZipNN(bytearray_dtype=ZIPNN_TYPES[dtype], threads=1)
        results[f"ZipNN {version('zipnn')}"] = measure(raw, coder.compress, coder.decompress)
    blosc2.set_nthreads(1)
    for shuffle, filters in (("shuffle", blosc2.Filter.SHUFFLE), ("bitshuffle", blosc2.Filter.BITSHUFFLE)):
        for codec in (blosc2.Codec.ZSTD, blosc2.Codec.LZ4):
            options = {"typesize": width, "codec": codec, "clevel": 5, "filters": [filters], "filters_meta": [0], "nthreads": 1}
            name = f"blosc2 {blosc2.__version__}, {shuffle} + {codec.name.lower()}"
            results[name] = measure(raw, lambda data, options=options: blosc2.compress2(data, **options), blosc2.decompress2)
    encoder, decoder = zstandard.ZstdCompressor(level=3), zstandard.ZstdDecompressor()
    results["zstd -3"] = measure(raw, encoder.compress, decoder.decompress)
    limit = entropy_bytes(raw, width) if dtype in ZIPNN_TYPES else None
    json.dump({"results": results, "limit_bytes": limit}, sys.stdout)


main()
