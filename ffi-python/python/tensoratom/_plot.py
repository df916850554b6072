"""Where the bytes of a store are, as a picture."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from ._optional import need

if TYPE_CHECKING:
    from ._store import Store

_COLORS = {"hot": "#e45756", "warm": "#f2a65a", "cold": "#4c78a8", "none": "#bab0ac"}


def bars(store: Store, ax: Any, depth: int) -> Any:
    """Bytes by prefix, one colour per tier."""
    plt = need("matplotlib.pyplot", "plot()")
    amounts: Counter[tuple[str, str]] = Counter()
    for row in store.query("SELECT key, tier, bytes FROM atoms"):
        parts = str(row["key"]).split("/")
        prefix = "/".join(parts[:depth]) + "/" if len(parts) > depth else "(no prefix)"
        amounts[prefix, row["tier"] or "none"] += row["bytes"]
    prefixes = sorted({prefix for prefix, _ in amounts})
    if ax is None:
        _, ax = plt.subplots(figsize=(7, 0.5 + 0.4 * max(1, len(prefixes))))
    left = [0.0] * len(prefixes)
    for tier, color in _COLORS.items():
        widths = [amounts[prefix, tier] / 2**20 for prefix in prefixes]
        if any(widths):
            ax.barh(prefixes, widths, left=left, color=color, label=tier)
            left = [start + width for start, width in zip(left, widths)]
    ax.set_xlabel("MiB")
    if any(left):
        ax.legend()
    return ax
