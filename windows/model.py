"""Writes a safetensors file with tensors of several types and sizes. Usage: model.py FILE"""

import json
import random
import struct
import sys

random.seed(7)
tensors = {f"layer.{i}.weight": (("F32", "BF16", "U8")[i % 3], (4, 2, 1)[i % 3], [300 * i + 1, 64]) for i in range(9)}
header, data = {"__metadata__": {"format": "pt"}}, b""
for name, (dtype, width, shape) in tensors.items():
    body = random.randbytes(width * shape[0] * shape[1])
    header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(body)]}
    data += body
text = json.dumps(header).encode()
text += b" " * (-len(text) % 8)
with open(sys.argv[1], "wb") as file:
    file.write(struct.pack("<Q", len(text)) + text + data)
