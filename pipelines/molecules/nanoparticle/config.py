"""Configuration of simulated nanoparticles."""

import dataclasses
import math
from typing import Literal

from pipelines.errors import require

DRUGS = ("hydrophobic", "hydrophilic")
_STRANDS_PER_AREA = (
    3.3  # per nm^2 of the surface of the core: dense enough for a brush, and for heads to exchange places
)


@dataclasses.dataclass(frozen=True)
class NanoparticleConfig:
    """Coarse-grained nanoparticles: their number, composition and simulation."""

    num_simulations: int = 12
    """Number of simulations; each has different random numbers."""
    drug: Literal["hydrophobic", "hydrophilic", "both"] = "hydrophobic"
    """hydrophobic: the drug (OQL) avoids the solvent and sinks in.
    hydrophilic: the drug (PAN) competes with the background (ONC) for the surface.
    both: simulations of all `drug_fractions` with the one, then with the other, and so on."""
    drug_fractions: tuple[float, ...] = (0.5, 0.3, 0.7)
    """Shares of strands that end in a drug, for successive simulations; the other strands end in background."""
    num_strands: int = 200
    """Strands tethered to the gold core, whose surface grows with their number. 200 strands make 2 000 beads."""
    chain_beads: int = 5
    """Beads of the ligand between the core and the end of a strand."""
    head_beads: int = 3
    """Beads of a drug or background molecule."""
    num_frames: int = 300
    """Frames per simulation, the first one when the heads become different."""
    steps_per_frame: int = 50
    """Steps between frames."""
    relaxation_steps: int = 10_000
    """Steps before the first frame, with equal heads, at a friction of 1 / ps."""
    time_step: float = 0.02
    """Length of a step, in ps."""
    temperature: float = 300.0
    """Temperature, in K."""
    friction: float = 4.0
    """Friction of the solvent in the Langevin dynamics, in 1 / ps. High friction slows the exchange of heads."""
    attraction: float = 1.5
    """Depth of the attraction between two beads of hydrophobicity 1, in kJ / mol."""
    seed: int = 0
    """Seed of all random numbers; the same seed gives the same files on the same machine."""

    def __post_init__(self) -> None:
        """Check every field."""
        drugs = (*DRUGS, "both")
        require(self.drug in drugs, "drug", "'hydrophobic', 'hydrophilic' or 'both'", self.drug)
        for name in ("num_simulations", "chain_beads", "head_beads", "num_frames", "steps_per_frame"):
            require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        require(self.num_strands >= 2, "num_strands", "at least 2", self.num_strands)
        require(self.relaxation_steps >= 0, "relaxation_steps", "at least 0", self.relaxation_steps)
        for name in ("time_step", "temperature", "friction", "attraction"):
            value = getattr(self, name)
            require(math.isfinite(value) and value > 0, name, "positive", value)
        require(0 <= self.seed < 2**31, "seed", "at least 0 and below 2^31", self.seed)
        right = len(self.drug_fractions) > 0 and all(0 < share < 1 for share in self.drug_fractions)
        require(right, "drug_fractions", "one or more shares above 0 and below 1", self.drug_fractions)

    @property
    def core_radius(self) -> float:
        """Radius of the gold core, in nm."""
        return math.sqrt(self.num_strands / (4 * math.pi * _STRANDS_PER_AREA))

    @property
    def time_between_frames(self) -> float:
        """Time between frames, in ps."""
        return self.steps_per_frame * self.time_step

    @property
    def drugs(self) -> tuple[str, ...]:
        """The kinds of drug of the simulations, from `DRUGS`."""
        return DRUGS if self.drug == "both" else (self.drug,)

    def drug_of(self, index: int) -> str:
        """The kind of drug in a simulation (from 0)."""
        return self.drugs[index // len(self.drug_fractions) % len(self.drugs)]

    def num_drugs(self, index: int) -> int:
        """Number of strands that end in a drug in a simulation (from 0): at least one, and not all."""
        share = self.drug_fractions[index % len(self.drug_fractions)]
        return min(max(round(share * self.num_strands), 1), self.num_strands - 1)
