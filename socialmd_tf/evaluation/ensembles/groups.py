"""Groups of particles: those of one name, or of equal features."""

import dataclasses

import numpy as np

_MOST = 4


@dataclasses.dataclass(frozen=True)
class Groups:
    """The kinds of particles of a dataset."""

    names: tuple[str, ...]
    """Name of each group."""
    rows: np.ndarray | None
    """The features of each group `[G, F]`; None if all particles are one group."""

    def of(self, features):
        """The group of each particle.

        Args:
            features: The manifest's `own_features`, `[n, F]`.

        Returns:
            Integers `[n]`.
        """
        if self.rows is None:
            return np.zeros(len(features), int)
        return np.argmin(np.abs(features[:, None] - self.rows).sum(axis=-1), axis=1)


def find_groups(names, features):
    """Find the groups: one per name if the features are one-hot, one per value if these are few, else one for all.

    Args:
        names: The manifest's `own_features`.
        features: Their values in every file, each `[n, F]`.

    Returns:
        `Groups`.
    """
    rows = np.unique(np.concatenate(features), axis=0)
    if names and np.isin(rows, (0, 1)).all() and (rows.sum(axis=1) == 1).all():
        present = [place for place in range(len(names)) if rows[:, place].any()]
        return Groups(tuple(names[place] for place in present), np.eye(len(names))[present])
    if not names or len(rows) == 1 or len(rows) > _MOST:
        return Groups(("all",), None)
    labels = (",".join(f"{name}={value:g}" for name, value in zip(names, row, strict=True)) for row in rows)
    return Groups(tuple(labels), rows)
