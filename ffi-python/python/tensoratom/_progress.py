"""Progress of long calls: tqdm where it is installed, a callable otherwise."""

from __future__ import annotations

from typing import Any, Callable


class _Bar:
    """Drives a tqdm bar by what the engine reports."""

    def __init__(self, bar: Any) -> None:
        self.bar = bar

    def __call__(self, done: int, total: int) -> None:
        self.bar.total = total or None
        self.bar.update(done - self.bar.n)

    def close(self) -> None:
        self.bar.close()


def follow(progress: bool | Callable[[int, int], Any], title: str) -> Callable[[int, int], Any] | None:
    """What to call with bytes done and bytes in all: None where nobody looks."""
    if progress is False:
        return None
    if progress is not True:
        return progress
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return _Bar(tqdm(desc=title, unit="B", unit_scale=True, unit_divisor=1024))
