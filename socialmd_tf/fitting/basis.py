"""The model: accelerations linear in their coefficients.

    a_i = sum_j sum_c w_c(i, j) S(r) g_c(log r) d / max(r, core)^3  +  E(x_i)  -  gamma v_i,    d = r_j - r_i, r = |d|

g_c are cubic splines, positive where particles attract; w_c products of a number of particle i, one of particle j and
whether they are bonded; S the switch at the cutoff; E a polynomial of degree 3. Where a feature is called `mass`,
accelerations by pairs are divided by that of i, and fields and friction exist with and without it.
"""

import dataclasses
import itertools

import numpy as np

from pipelines.boxes import nearest_image
from pipelines.neighbors import pairs_within
from socialmd_tf.fitting.splines import Knots
from socialmd_tf.fitting.trajectories import is_large

_SWITCH_START = 0.9
_DEGREE = 3


@dataclasses.dataclass(frozen=True)
class Factor:
    """A number of each particle: products of powers of its features, or whether a feature has a value.

    Args:
        name: How it is shown, as in "charge_i / mass_i" without the indices.
        powers: (index of a feature, power) of each feature in the product.
        indicates: (index of a feature, value): 1 where the feature has the value, else 0.
    """

    name: str = "1"
    powers: tuple[tuple[int, float], ...] = ()
    indicates: tuple[int, float] | None = None

    def of(self, features):
        """Values `[..., N]` for features `[..., N, F]`."""
        values = np.ones(features.shape[:-1])
        for index, power in self.powers:
            values = values * features[..., index] ** power
        if self.indicates is not None:
            values = values * (features[..., self.indicates[0]] == self.indicates[1])
        return values


ONE = Factor()


@dataclasses.dataclass(frozen=True)
class Channel:
    """A pair force with the weight own(i) other(j), on all pairs or on the bonds of one type.

    Args:
        own: Factor of the particle that is accelerated.
        other: Factor of the other particle.
        edge: Type of the bond; 0 for all pairs.
    """

    own: Factor = ONE
    other: Factor = ONE
    edge: int = 0

    def weights(self, features, edges):
        """Weights w(i, j) `[W, N, N]` for features `[W, N, F]` and edges `[W, N, N]`."""
        products = self.own.of(features)[:, :, None] * self.other.of(features)[:, None, :]
        return products * (edges == self.edge) if self.edge else products

    @property
    def name(self):
        """How the channel is shown."""
        own, other = (f"{f.name}_{index}" for f, index in ((self.own, "i"), (self.other, "j")))
        factors = [name for name, factor in ((own, self.own), (other, self.other)) if factor != ONE]
        bonds = [f"bonds of type {self.edge}"] if self.edge else []
        return "pairs: " + " ".join([*factors, *bonds] or ["1"])


@dataclasses.dataclass(frozen=True)
class Basis:
    """All terms of a model, each a block of columns.

    Args:
        knots: Range and number of the splines.
        channels: Pair forces.
        fields: Factors of the polynomial fields.
        frictions: Factors of the friction terms.
        center: Origin of the fields `[D]`.
        length: Unit of length of the fields.
        core: Distance below which the divisor r^3 no longer shrinks: there the force falls to 0 linearly.
        cutoff: Distance beyond which there is no pair force; from 0.9 of it on, forces are switched off. Infinity for
            none.
        limit: Largest component of the acceleration of a particle by all pairs; larger ones are cut, as some generators
            of data do. Where it cuts, accelerations are not linear, and depend on how the system is turned.
    """

    knots: Knots
    channels: tuple[Channel, ...]
    fields: tuple[Factor, ...]
    frictions: tuple[Factor, ...]
    center: tuple[float, ...]
    length: float
    core: float
    cutoff: float = np.inf
    limit: float = np.inf

    @property
    def num_dimensions(self):
        """D."""
        return len(self.center)

    @property
    def exponents(self):
        """Exponents of the monomials of a field `[Q, D]`."""
        powers = itertools.product(range(_DEGREE + 1), repeat=self.num_dimensions)
        return np.array([power for power in powers if sum(power) <= _DEGREE])

    @property
    def blocks(self):
        """Name of every term -> its columns, a slice of all P."""
        sizes = [(channel.name, self.knots.count) for channel in self.channels]
        field = len(self.exponents) * self.num_dimensions
        sizes += [(f"field: {factor.name}_i", field) for factor in self.fields]
        sizes += [(f"friction: {factor.name}_i", 1) for factor in self.frictions]
        ends = np.cumsum([size for _, size in sizes])
        return {name: slice(end - size, end) for (name, size), end in zip(sizes, ends, strict=True)}

    @property
    def num_columns(self):
        """P."""
        return max((block.stop for block in self.blocks.values()), default=0)

    def without(self, name):
        """The same without one term."""
        terms = [self.channels, self.fields, self.frictions]
        place = list(self.blocks).index(name)
        for number, group in enumerate(terms):
            if 0 <= place < len(group):
                terms[number] = group[:place] + group[place + 1 :]
                break
            place -= len(group)
        return dataclasses.replace(self, channels=terms[0], fields=terms[1], frictions=terms[2])

    @property
    def sources(self):
        """The distinct sums over neighbours: (factor of j, type of the bond)."""
        return tuple(dict.fromkeys((channel.other, channel.edge) for channel in self.channels))

    def sums(self, positions, velocities, features, edges, mask, cell):
        """Sums of which all columns are multiples: of the splines over neighbours, the monomials, and -v.

        Args:
            positions: `[B, N, D]`.
            velocities: `[B, N, D]`, per frame.
            features: `[B, N, F]`.
            edges: `[B, N, N]`.
            mask: `[B, N]`.
            cell: `[B, D, D]` or None.

        Returns:
            `[B, N, D, S K + Q + 1]` with the S sources.
        """
        pairs = find_pairs(positions, mask, cell, self.cutoff)
        parts = [self._spline_sums(pairs, features, edges, positions.shape)] if self.channels else []
        scaled = (positions - self.center) / self.length
        monomials = np.prod(scaled[..., None, :] ** self.exponents, axis=-1) if self.fields else positions[..., :0]
        parts.append(np.broadcast_to(monomials[..., None, :], (*positions.shape, monomials.shape[-1])))
        return np.concatenate([*parts, -velocities[..., None]], axis=-1)

    def columns(self, sums, features):
        """Accelerations by each coefficient `[..., N, D, P]` from `sums` `[..., N, D, S K + Q + 1]`.

        Args:
            sums: What `sums` gives, or linear combinations of it over time.
            features: `[..., N, F]`.
        """
        count, sources = self.knots.count, self.sources
        result = np.zeros((*sums.shape[:-1], self.num_columns))
        blocks = iter(self.blocks.values())
        for channel, block in zip(self.channels, blocks, strict=False):
            start = sources.index((channel.other, channel.edge)) * count
            own = channel.own.of(features)[..., None, None]
            np.multiply(sums[..., start : start + count], own, out=result[..., block])
        monomials = sums[..., len(sources) * count : -1]
        for factor, block in zip(self.fields, blocks, strict=False):
            own = factor.of(features)[..., None, None]
            for axis in range(self.num_dimensions):
                place = slice(block.start + axis * monomials.shape[-1], block.start + (axis + 1) * monomials.shape[-1])
                result[..., axis, place] = monomials[..., axis, :] * own[..., 0]
        for factor, block in zip(self.frictions, blocks, strict=True):
            result[..., block.start] = sums[..., -1] * factor.of(features)[..., None]
        return result

    def _spline_sums(self, pairs, features, edges, shape):
        """Sums over neighbours of splines times d / max(r, core)^3 `[B, N, D, S K]`."""
        from scipy import sparse

        first, values = self.knots.values(pairs.distances)
        strength = self.strength(pairs.distances)
        values = values * strength[:, None]
        columns = (first[:, None] + np.arange(values.shape[1], dtype=np.int32)).ravel()
        num_rows = shape[0] * shape[1]
        pairs_of_rows = np.bincount(pairs.rows(shape[1]), minlength=num_rows)
        starts = np.concatenate([[0], np.cumsum(pairs_of_rows)]) * values.shape[1]
        result = np.empty((num_rows, shape[2], len(self.sources), self.knots.count))
        for number, (factor, edge) in enumerate(self.sources):
            weights = pairs.weights(factor.of(features), edges, edge)
            for axis in range(shape[2]):
                data = (values * (weights * pairs.displacements[:, axis])[:, None]).ravel()
                matrix = sparse.csr_matrix((data, columns, starts), shape=(num_rows, self.knots.count))
                result[:, axis, number] = matrix.toarray()
        return result.reshape(*shape, -1)

    def strength(self, distances):
        """S(r) / max(r, core)^3."""
        divisor = np.maximum(distances, self.core)
        strength = 1 / (divisor * divisor * divisor)  # much faster than a power
        if np.isfinite(self.cutoff):
            far = np.nonzero(distances > _SWITCH_START * self.cutoff)
            strength[far] *= switch(distances[far], self.cutoff)
        return strength


@dataclasses.dataclass(frozen=True)
class Pairs:
    """Ordered pairs of different real particles within the cutoff, by system and first particle."""

    systems: np.ndarray
    i: np.ndarray
    j: np.ndarray
    displacements: np.ndarray
    """r_j - r_i `[M, D]`."""
    distances: np.ndarray
    """`[M]`."""

    def rows(self, num_particles):
        """Number of the first particle among those of all systems `[M]`."""
        return self.systems * num_particles + self.i

    def weights(self, other, edges, edge):
        """Factors `[B, N]` of the second particles; 0 for pairs without a bond of the type. `[M]`."""
        weights = other[self.systems, self.j]
        return weights * (edges[self.systems, self.i, self.j] == edge) if edge else weights


def find_pairs(positions, mask, cell, cutoff):
    """The `Pairs` of positions `[B, N, D]` with a mask `[B, N]`, in boxes `[B, D, D]` or None."""
    if is_large(positions.shape[1]) and np.isfinite(cutoff):
        return listed_pairs(positions, mask, cell, cutoff)
    displacement = positions[:, None] - positions[:, :, None]
    if cell is not None:
        displacement = nearest_image(displacement, cell[:, None])
    squared = np.einsum("bijd,bijd->bij", displacement, displacement)
    near = mask[:, :, None] & mask[:, None, :] & ~np.eye(positions.shape[1], dtype=bool)
    if np.isfinite(cutoff):
        near &= squared < cutoff**2
    systems, i, j = np.nonzero(near)
    # Two particles in one place have no direction; any distance but 0 makes their force 0.
    distances = np.sqrt(np.maximum(squared[systems, i, j], 1e-300))
    return Pairs(systems, i, j, displacement[systems, i, j], distances)


def listed_pairs(positions, mask, cell, cutoff, lists=None):
    """The same without looking at all pairs; or the pairs that the `VerletList`s of the systems have, `lists`."""
    parts = []
    for system, (places, real) in enumerate(zip(positions, mask, strict=True)):
        particles = np.flatnonzero(real)
        box = None if cell is None else cell[system]
        found = pairs_within(places[particles], box, cutoff) if lists is None else lists[system](places[particles])
        i, j = (particles[end] for end in found)
        displacement = places[j] - places[i]
        if box is not None:
            displacement = nearest_image(displacement, box)
        squared = np.einsum("md,md->m", displacement, displacement)
        near = squared < cutoff**2
        parts.append((np.full(np.count_nonzero(near), system), i[near], j[near], displacement[near], squared[near]))
    *known, squared = (np.concatenate(values) for values in zip(*parts, strict=True))
    return Pairs(*known, np.sqrt(np.maximum(squared, 1e-300)))


def switch(distances, cutoff):
    """S(r): 1 up to 0.9 of the cutoff, 0 beyond it, between them 1 - 10 z^3 + 15 z^4 - 6 z^5."""
    z = np.clip((distances / cutoff - _SWITCH_START) / (1 - _SWITCH_START), 0.0, 1.0)
    return 1 - z**3 * (10 - 15 * z + 6 * z**2)
