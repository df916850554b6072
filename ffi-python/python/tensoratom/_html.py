"""How objects look in a notebook."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from ._atom import Atom
    from ._search import Neighbors
    from ._store import Store

_STYLE = "font-family:monospace;font-size:12px;border-collapse:collapse"
_SAMPLE = 65_536  # elements a histogram looks at
_BINS = 32
_ROWS = 10  # of a listing


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def _table(head: list[str], rows: list[list[Any]]) -> str:
    cell = "padding:1px 10px 1px 0;text-align:left"
    top = "".join(f'<th style="{cell}">{html.escape(name)}</th>' for name in head)
    body = "".join(
        "<tr>" + "".join(f'<td style="{cell}">{html.escape(str(value))}</td>' for value in row) + "</tr>" for row in rows
    )
    return f'<table style="{_STYLE}"><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>'


def _bar(parts: list[tuple[str, int, str]], width: int = 420) -> str:
    """Named amounts as one bar."""
    total = sum(amount for _, amount, _ in parts) or 1
    at, shapes = 0.0, []
    for name, amount, color in parts:
        wide = width * amount / total
        title = f"<title>{html.escape(name)}: {size(amount)}</title>"
        shapes.append(f'<rect x="{at:.1f}" y="0" width="{wide:.1f}" height="12" fill="{color}">{title}</rect>')
        at += wide
    return f'<svg width="{width}" height="14">{"".join(shapes)}</svg>'


def store(store: Store) -> str:
    """Counts, tiers, what the bytes are for, and the first atoms."""
    if store.closed:
        return f"<code>{html.escape(repr(store))}</code>"
    stat = store.stat()
    tiers = store.query("SELECT tier, count(*) AS atoms, sum(bytes) AS bytes FROM atoms GROUP BY tier ORDER BY tier")
    colors = ["#4c78a8", "#9ecae9", "#e45756", "#bab0ac", "#d8b5a5", "#79706e", "#eeeeee", "#72b7b2", "#54a24b", "#f2cf5b"]
    parts = [(name, amount, color) for (name, amount), color in zip(stat["accounted"].items(), colors)]
    shares = ", ".join(f"{name} {size(amount)}" for name, amount, _ in parts if amount)
    first = store.list(limit=_ROWS)
    rows = [[info.key, info.dtype, list(info.shape), size(info.nbytes)] for info in first]
    more = stat["atoms"] - len(first)
    coded = [_codec_row(codec) for codec in stat["codecs"] if codec["codec"] != "raw" and codec["payloads"]]
    lines = [
        f"<b>tensoratom store</b> {html.escape(str(store.path))} ({store.mode})",
        f"{stat['atoms']:,} atoms, {size(stat['raw_bytes'])} in {size(stat['disk_bytes'])} on disk, version {stat['version']}",
        _table(["tier", "atoms", "bytes"], [[row["tier"], row["atoms"], size(row["bytes"])] for row in tiers]),
        *([_table(["codec", "payloads", "ratio", "decoded here"], coded)] if coded else []),
        _bar(parts),
        html.escape(shares),
        _table(["key", "dtype", "shape", "bytes"], rows),
    ]
    if more > 0:
        lines.append(f"... and {more:,} more")
    return f'<div style="{_STYLE}">{"<br>".join(lines)}</div>'


def _codec_row(codec: dict[str, Any]) -> list[Any]:
    speed = codec["decode_bytes_per_s"]  # of this process, which may have decoded nothing
    return [codec["codec"], codec["payloads"], f"{codec['ratio']:.2f}", f"{size(int(speed))}/s" if speed else ""]


def histogram(values: NDArray[Any]) -> str:
    """A sketch of how values are spread."""
    values = values[np.isfinite(values)]
    if values.size == 0:
        return ""
    counts, edges = np.histogram(values, bins=_BINS)
    high = counts.max()
    bars = "".join(
        f'<rect x="{i * 6}" y="{40 - 40 * count / high:.1f}" width="5" height="{40 * count / high:.1f}" fill="#4c78a8"/>'
        for i, count in enumerate(counts)
    )
    return f'<svg width="{_BINS * 6}" height="42">{bars}</svg><br>{edges[0]:.4g} &hellip; {edges[-1]:.4g}'


def _sample(atom: Atom) -> NDArray[Any]:
    """Some of the values, as floats: of the first rows, so that a large tensor is not read whole for a picture."""
    if atom.encoding["kind"] != "plain" or atom.dtype in ("b1", "opaque") or atom.nbytes == 0:
        return np.empty(0)
    if not atom.shape:
        return atom.dequantize().ravel().astype(np.float64)
    rows = max(1, _SAMPLE // max(1, int(np.prod(atom.shape[1:], dtype=np.int64))))
    part = atom.rows(0, min(rows, atom.shape[0]))
    if atom.dtype in ("bf16", "f8e4m3", "f8e5m2"):
        from . import _math

        raw = part.view(np.uint16 if atom.dtype == "bf16" else np.uint8)
        part = _math.convert(raw, "f32", source=atom.dtype)
    return part.ravel()[:_SAMPLE].astype(np.float64)


def atom(atom: Atom) -> str:
    """Descriptor, and a histogram of the first values."""
    note = atom._note()
    rows: list[list[Any]] = [
        ["dtype", atom.dtype + (f" ({note})" if note else "")],
        ["shape", list(atom.shape)],
        ["bytes", f"{size(atom.nbytes)}, {atom.tier or 'no copy'}"],
        ["version", atom.version],
        ["digest", atom.digest[:16] + "..."],
    ]
    if atom.metadata is not None:
        rows.append(["metadata", atom.metadata])
    head = f"<b>atom</b> {html.escape(str(atom.key))}"
    return f'<div style="{_STYLE}">{head}{_table(["", ""], rows)}{histogram(_sample(atom))}</div>'


def neighbors(found: Neighbors) -> str:
    """The first queries' neighbours."""
    ids, distances = np.atleast_2d(found.ids), np.atleast_2d(found.distances)
    rows = [
        [query, " ".join(f"{i} ({d:.4g})" for i, d in zip(ids[query], distances[query]) if i != -1)]
        for query in range(min(_ROWS, len(ids)))
    ]
    head = f"<b>neighbours</b> {len(ids)} queries, {ids.shape[1]} each"
    return f'<div style="{_STYLE}">{head}{_table(["query", "id (distance)"], rows)}</div>'
