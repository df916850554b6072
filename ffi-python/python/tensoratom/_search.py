"""What a search returns."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ._optional import need


class Neighbors(NamedTuple):
    """Ids and distances, nearest first. A pair: ``ids, distances = vectors.search(query)``.

    May be used from any thread; the arrays are the caller's own, and threads that write to them agree among themselves.
    """

    ids: NDArray[Any]
    distances: NDArray[Any]

    def _repr_html_(self) -> str:
        from ._html import neighbors

        return neighbors(self)

    def to_pandas(self) -> Any:
        """One row per neighbour: query, rank, id, distance. Needs pandas."""
        pd = need("pandas", "to_pandas()")
        ids, distances = np.atleast_2d(self.ids), np.atleast_2d(self.distances)
        query, rank = np.indices(ids.shape)
        found = ids.ravel() != -1
        columns = {"query": query, "rank": rank, "id": ids, "distance": distances}
        return pd.DataFrame({name: np.asarray(values).ravel()[found] for name, values in columns.items()})
