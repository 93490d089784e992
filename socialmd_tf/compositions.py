"""`python -m socialmd_tf.compositions`: predict how summary statistics depend on the share of a drug."""

import dataclasses
from pathlib import Path
from typing import Literal

from pipelines.manifest import Manifest
from socialmd_tf import commands
from socialmd_tf.evaluation.compositions.settings import CompositionSettings, check_types
from socialmd_tf.export.versions import find_version
from socialmd_tf.report.write import check_directory

PROG = "python -m socialmd_tf.compositions"


@dataclasses.dataclass(frozen=True)
class CompositionsCommand:
    """Predict surface area, radius and contacts of mixtures of molecules that were never simulated.

    For every share of a drug, an ensemble of paths is drawn from an exported model. They begin at observed frames of
    random training simulations, in which the types of the molecules are redrawn: no simulation of the composition is
    needed. Where the dataset has simulations of a composition outside the training split, the ensemble is scored by
    them, beside a quadratic regression of the training simulations and those of the nearest composition.

    Example: --model saved_models/nanoparticle --data data/nanoparticle --drug OQL --background ONC --output runs/ratio
    """

    model: Path
    """SavedModel: saved_models/NAME for its newest version, or saved_models/NAME/VERSION."""
    data: Path
    """Directory of the dataset, whose features are types of particles."""
    output: Path
    """Directory for compositions.json, compositions.csv, compositions.md and compositions.png."""
    drug: tuple[str, ...]
    """Names of the types that are mixed with the background, one at a time."""
    background: str
    """Name of the type of all other particles."""
    fractions: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    """Shares of the drug."""
    num_samples: int = 64
    """Paths to draw for each composition."""
    horizon: int | None = None
    """Stored frames to predict. By default to the end of the shortest training simulation."""
    statistics: tuple[str, ...] = ()
    """Summary statistics, as of `evaluate`. By default radius, accessible_area and contacts, if the data can have
    them."""
    first_frame: int = 0
    """Stored frame of the training simulations at which the observed frames begin."""
    seed: int = 0
    """Seed of the frames, the types and the motion; the same for all compositions."""
    compile: Literal["auto", "on", "off"] = "auto"
    """Whether XLA compiles the model; auto: where there is a GPU."""

    def __post_init__(self) -> None:
        """Check every field."""
        self.settings()

    def settings(self) -> CompositionSettings:
        """The `CompositionSettings`."""
        return CompositionSettings(
            self.drug,
            self.background,
            self.fractions,
            self.num_samples,
            self.horizon,
            self.statistics,
            self.first_frame,
            self.seed,
        )


def main() -> None:
    """Run the command."""
    command = commands.parse(CompositionsCommand, prog=PROG)
    check_directory(command.output)
    find_version(command.model)  # refused before the slow start
    check_types(Manifest.load(command.data), command.settings())
    commands.load_tensorflow()
    from socialmd_tf.evaluation.compositions.evaluate import Compositions
    from socialmd_tf.export.saved_model import load
    from socialmd_tf.report import compositions

    found = Compositions(load(command.model, command.compile), command.data, command.settings()).evaluate()
    compositions.write(found, command.output)
    print(compositions.markdown(found), end="")


if __name__ == "__main__":
    commands.run(main)
