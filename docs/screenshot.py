#!/usr/bin/env python3
"""Makes `docs/notebook.png`: what a notebook shows of a store and of an atom, as headless Chromium draws it.

Needs the tests' environment (`make python`), the demo's model (`make demo`) and Chromium (Debian: apt install chromium).
"""

import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import tensoratom as ta

ROOT = Path(__file__).resolve().parents[1]


def main():
    with tempfile.TemporaryDirectory() as scratch:
        page = Path(scratch, "page.html")
        with ta.open(Path(scratch, "models")) as store:
            store.import_file(ROOT / ".demo" / "model.safetensors", "minilm/")
            store.put("notes/mask", np.random.default_rng(1).random((64, 512)) < 0.1, dtype="b1")
            atom = store.get("minilm/encoder.layer.0.attention.self.query.weight")
            shown = store._repr_html_().replace(scratch + os.sep, "")
            page.write_text(
                "<meta charset=utf-8><body style='margin:12px;background:white'>"
                f"{shown}<br>{atom._repr_html_()}</body>"
            )
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=760,520"]
        target = ROOT / "docs" / "notebook.png"
        subprocess.run(["chromium", *flags, f"--screenshot={target}", page.as_uri()], check=True, capture_output=True)
        print(f"wrote {target.relative_to(ROOT)}, {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
