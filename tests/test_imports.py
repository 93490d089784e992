"""Imports run one way (see the layout in README.md): the rules, read from the sources with `ast`."""

import ast
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
COMMANDS = [
    f"socialmd_tf/{name}.py"
    for name in (
        *"simulate simulate_charges nanoparticle prepare check train".split(),
        *"evaluate compositions rollout tune serve".split(),
    )
]


def imported_names(path: str, source: str) -> Iterator[str]:
    """Dotted names of all that a file imports, at any depth; `tf.keras` counts as an import."""
    package = PurePosixPath(path).parent.parts
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Attribute) and node.attr == "keras":
            yield "tensorflow.keras"


def belongs(name: str, *packages: str) -> bool:
    """Whether a dotted name is one of the packages or inside one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def in_layers(path: str) -> bool:
    return path.startswith("socialmd_tf/layers/")


TENSORFLOW_LAYERS = [
    f"socialmd_tf/layers/{name}.py"
    for name in (
        "recomputed",
        "recomputed_scan",
        "full_precision",
        "product_of_rows",
        "heads/time_steps",
        "pairs/perceptron",
        "pooling/sparse",
    )
]
CLIENT = [
    f"socialmd_tf/serving/{name}.py"
    for name in (
        *"client coupling errors inputs optional_inputs retry".split(),
        *"grpc_transport rest_transport transport wire".split(),
    )
]
"""What is imported with `socialmd_tf.serving.Client`."""

MDANALYSIS = [
    "pipelines/molecules/formats/mdanalysis.py",
    "pipelines/molecules/formats/xtc_decoder.py",
    "socialmd_tf/export/formats/universe.py",
]

PICTURES = ["socialmd_tf/report/plots.py", "socialmd_tf/report/animation.py", "socialmd_tf/tuning/plots.py"]


@dataclasses.dataclass(frozen=True)
class Rule:
    text: str
    concerns: Callable[[str], bool]
    forbids: Callable[[str], bool]


FLOORS = [
    ["parts"],
    ["config"],
    ["model", "mixture", "weights", "fitting"],
    ["evaluation"],
    ["report", "export", "serving"],
    ["training"],
    ["tuning"],
]
"""Packages and files of `socialmd_tf`: each imports its own floor and those below it. The layers lie below them all."""


def floor_rule(floor: list[str], above: list[list[str]]) -> Rule:
    return Rule(
        f"{', '.join(floor)} import nothing from a floor above",
        lambda path: path.removesuffix(".py").startswith(tuple(f"socialmd_tf/{name}" for name in floor)),
        lambda name: belongs(name, *(f"socialmd_tf.{higher}" for names in above for higher in names)),
    )


RULES = [
    *(floor_rule(floor, FLOORS[place + 1 :]) for place, floor in enumerate(FLOORS[:-1])),
    Rule(
        "pipelines imports neither socialmd_tf nor Keras nor a command line",
        lambda path: path.startswith("pipelines/"),
        lambda name: belongs(name, "socialmd_tf", "keras", "tensorflow.keras", "tyro"),
    ),
    Rule(
        "only socialmd_tf/mixture.py imports TensorFlow Probability",
        lambda path: path != "socialmd_tf/mixture.py" and not path.startswith("tests/"),
        lambda name: belongs(name, "tensorflow_probability"),
    ),
    Rule(
        "only the pictures of socialmd_tf/report and socialmd_tf/tuning import matplotlib",
        lambda path: path.startswith(("pipelines/", "socialmd_tf/")) and path not in PICTURES,
        lambda name: belongs(name, "matplotlib"),
    ),
    Rule(
        "only socialmd_tf/report/charts.py imports plotly",
        lambda path: path.startswith(("pipelines/", "socialmd_tf/")) and path != "socialmd_tf/report/charts.py",
        lambda name: belongs(name, "plotly"),
    ),
    Rule(
        "layers import nothing of ours but layers",
        in_layers,
        lambda name: belongs(name, "pipelines", "socialmd_tf") and not belongs(name, "socialmd_tf.layers"),
    ),
    Rule(
        "layers and the model use keras.ops, not TensorFlow, but for what keras.ops lacks",
        lambda path: (in_layers(path) or path == "socialmd_tf/model.py") and path not in TENSORFLOW_LAYERS,
        lambda name: belongs(name, "tensorflow"),
    ),
    Rule(
        "the report knows no models, of socialmd_tf it imports itself and evaluation's result classes",
        lambda path: path.startswith("socialmd_tf/report/"),
        lambda name: (
            belongs(name, "socialmd_tf")
            and not belongs(
                name,
                "socialmd_tf.report",
                "socialmd_tf.evaluation.findings",
                "socialmd_tf.evaluation.example_windows",
            )
        ),
    ),
    Rule(
        "only commands import commands, and the public names",
        lambda path: (
            path.startswith(("pipelines/", "socialmd_tf/")) and path not in (*COMMANDS, "socialmd_tf/__init__.py")
        ),
        lambda name: belongs(name, *(command.removesuffix(".py").replace("/", ".") for command in COMMANDS)),
    ),
    Rule(
        "the serving client imports neither TensorFlow nor anything of ours but itself and the look for jumps",
        lambda path: path in CLIENT,
        lambda name: (
            belongs(name, "tensorflow", "tensorflow_serving", "keras", "pipelines", "socialmd_tf")
            and not any(
                belongs(name, file.removesuffix(".py").replace("/", ".")) for file in (*CLIENT, "pipelines/jumps.py")
            )
        ),
    ),
    Rule(
        "only two readers and a writer of formats, tests and benchmarks import MDAnalysis",
        lambda path: path not in MDANALYSIS and not path.startswith(("benchmarks/", "tests/")),
        lambda name: belongs(name, "MDAnalysis"),
    ),
    Rule(
        "only pipelines/molecules/nanoparticle/dynamics.py imports OpenMM",
        lambda path: path != "pipelines/molecules/nanoparticle/dynamics.py",
        lambda name: belongs(name, "openmm"),
    ),
    Rule("nothing imports everything of a module", lambda path: True, lambda name: name.endswith(".*")),
    Rule("nothing imports tf_keras", lambda path: True, lambda name: belongs(name, "tf_keras")),
]


def violations(path: str, source: str) -> list[str]:
    found = [
        f"{path}: {rule.text}: {name}"
        for name in imported_names(path, source)
        for rule in RULES
        if rule.concerns(path) and rule.forbids(name)
    ]
    return found + ([f"{path}: no file is called utils.py"] if path.endswith("utils.py") else [])


def test_the_tree_keeps_the_rules():
    files = [
        path
        for package in ("pipelines", "socialmd_tf", "benchmarks", "tests")
        for path in sorted((ROOT / package).rglob("*.py"))
    ]
    assert len(files) > 10
    found = [
        line
        for path in files
        for line in violations(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("pipelines/dataset.py", "import socialmd_tf"),
        ("pipelines/dataset.py", "from socialmd_tf.layers import pooling"),
        ("pipelines/nbody/verlet.py", "def f():\n    import keras.ops"),
        ("pipelines/dataset.py", "from tensorflow import keras"),
        ("pipelines/dataset.py", "import tensorflow as tf\ntf.keras.utils.set_random_seed(0)"),
        ("pipelines/nbody/simulate.py", "import tyro"),
        ("socialmd_tf/model.py", "import tensorflow_probability as tfp"),
        ("benchmarks/pipeline.py", "from tensorflow_probability import distributions"),
        ("socialmd_tf/evaluate.py", "def f():\n    import matplotlib.pyplot as plt"),
        ("socialmd_tf/report/html_page.py", "import plotly.graph_objects as go"),
        ("socialmd_tf/parts/heads.py", "def f():\n    from socialmd_tf.config import ModelConfig"),
        ("socialmd_tf/config/model.py", "from socialmd_tf.model import build_model"),
        ("socialmd_tf/fitting/fit.py", "from socialmd_tf.training import law"),
        ("socialmd_tf/mixture.py", "from socialmd_tf.evaluation import metrics"),
        ("socialmd_tf/export/write.py", "from socialmd_tf.training.run import Run"),
        ("socialmd_tf/training/loop.py", "import socialmd_tf.tuning.search"),
        ("socialmd_tf/evaluation/evaluate.py", "def f():\n    from socialmd_tf.report import write"),
        ("socialmd_tf/report/tables.py", "from socialmd_tf.evaluation import metrics"),
        ("socialmd_tf/layers/cell.py", "from socialmd_tf import mixture"),
        ("socialmd_tf/layers/cell.py", "from ..config import ModelConfig"),
        ("socialmd_tf/layers/cell.py", "import pipelines.errors"),
        ("socialmd_tf/layers/cell.py", "import tensorflow as tf"),
        ("socialmd_tf/model.py", "from tensorflow import function"),
        ("socialmd_tf/export/saved_model.py", "from socialmd_tf import train"),
        ("socialmd_tf/export/saved_model.py", "from ..evaluate import evaluate"),
        ("pipelines/molecules/prepare.py", "def f():\n    import MDAnalysis"),
        ("pipelines/molecules/nanoparticle/generate.py", "import openmm.app"),
        ("pipelines/config.py", "from pipelines.errors import *"),
        ("tests/test_model.py", "import tf_keras"),
        ("socialmd_tf/serving/client.py", "from socialmd_tf import export"),
        ("socialmd_tf/serving/grpc_transport.py", "from tensorflow_serving.apis import predict_pb2"),
        ("socialmd_tf/utils.py", ""),
        ("pipelines/nbody/math_utils.py", ""),
    ],
)
def test_every_rule_catches_a_violation(path, source):
    assert len(violations(path, source)) == 1


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("pipelines/dataset.py", "import tensorflow as tf\nfrom pipelines import augment"),
        ("socialmd_tf/mixture.py", "import tensorflow_probability as tfp"),
        ("socialmd_tf/report/plots.py", "import matplotlib.pyplot as plt"),
        ("socialmd_tf/tuning/plots.py", "from matplotlib.figure import Figure"),
        ("socialmd_tf/report/animation.py", "from matplotlib.figure import Figure"),
        ("socialmd_tf/layers/cell.py", "import keras\nfrom socialmd_tf.layers.pooling import StackedStatePooling"),
        ("socialmd_tf/layers/cell.py", "from . import pooling\nfrom .pooling import StackedStatePooling"),
        ("socialmd_tf/layers/cell.py", "from socialmd_tf.layers import pooling\nimport socialmd_tf.layers.pooling"),
        ("socialmd_tf/model.py", "from socialmd_tf.layers import pooling\nimport keras_hub"),
        ("socialmd_tf/simulate.py", "from pipelines.nbody import simulate\nfrom socialmd_tf import commands"),
        ("socialmd_tf/tune.py", "from socialmd_tf.train import fit"),
        ("socialmd_tf/__init__.py", "from socialmd_tf.evaluate import evaluate"),
        ("socialmd_tf/export/saved_model.py", "from socialmd_tf import training_state"),
        ("socialmd_tf/serving/client.py", "import grpc\nfrom socialmd_tf.serving import inputs"),
    ],
)
def test_what_the_rules_allow(path, source):
    assert violations(path, source) == []


def test_every_rule_is_tried():
    """Each rule has a source above that breaks it and no other."""
    (mark,) = test_every_rule_catches_a_violation.pytestmark
    caught = {violations(path, source)[0].split(": ")[1] for path, source in mark.args[1]}
    assert caught == {rule.text for rule in RULES} | {"no file is called utils.py"}
