"""The documents hold: links resolve, commands and flags exist, figures are those of the shipped model."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml

from socialmd_tf.config import PRESETS
from socialmd_tf.config.presets import PHYSICS

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md")])
SCRIPTS = sorted(ROOT.glob("docs/**/*.sh"))
MAKEFILE = ROOT / "Makefile"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FLAG = r"(?<![\w-])--[a-z][a-z0-9.-]*[a-z0-9]"
DOCKER = {"--detach", "--wait", "--profile"}
SLURM = {f"--{flag}" for flag in "job-name time cpus-per-task mem requeue signal array ntasks exact gres".split()}
SLURM |= {"--nodes", "--ntasks-per-node", "--gpus-per-task", "--kill-on-bad-exit"}
OURS = {"--draw"}  # of docs/experiments/summary.py


def names(paths):
    return [path.relative_to(ROOT).as_posix() for path in paths]


def commands(text):
    """Name and arguments of every call of one of our commands or scripts, as `(name, text)`."""
    joined = re.sub(r"\\\n", " ", text.replace("$(BIN)/", "")).replace("$p.", "python -m socialmd_tf.")
    pattern = r"(?:python -m socialmd_tf\.|socialmd-tf |python (?=benchmarks/))([\w/.]*\w)([^\n|;&#`]*)"
    return re.findall(pattern, joined)


@cache
def flags(name):
    """All flags of a command of the package (of `socialmd-tf` itself, for an empty name) or of a script."""
    if name.endswith(".py"):
        return set(re.findall(rf'"({FLAG})"', (ROOT / name).read_text()))
    text = help_text(name, "--help")
    laws = re.search(r"--law {([\w,-]+)}", text)
    pages = [help_text(name, "--law", law, "--help") for law in laws[1].split(",")] if laws else []
    pages += [help_text(name, "--help-all")] if "--help-all" in text else []
    return set(re.findall(FLAG, "".join([text, *pages])))


def help_text(name, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}
    command = [sys.executable, "-m", f"socialmd_tf.{name}".rstrip("."), *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_relative_links_resolve(page):
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        target, _, anchor = link.partition("#")
        path = page.parent / target if target else page
        if not link.startswith(("http://", "https://")) and (
            not path.exists() or (anchor and anchor not in anchors(path))
        ):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", [*PAGES, *SCRIPTS, MAKEFILE], ids=names([*PAGES, *SCRIPTS, MAKEFILE]))
def test_commands_exist_and_take_the_flags_given(page):
    unknown = [
        f"{name} {flag}"
        for name, arguments in commands(page.read_text())
        if name != "X"
        for flag in re.findall(FLAG, arguments)
        if flag not in flags(name)
    ]
    assert unknown == []


def test_every_flag_that_a_document_names_exists():
    called = {name for page in [*PAGES, *SCRIPTS] for name, _ in commands(page.read_text()) if name != "X"}
    known = set().union(*map(flags, called), flags(""), DOCKER, SLURM, OURS)
    found = {
        (page, flag) for page in [*PAGES, *SCRIPTS] for flag in re.findall(FLAG, page.read_text()) if flag not in known
    }
    assert {(page.name, flag) for page, flag in found} == set()


def test_the_search_for_commands_finds_them():
    text = (
        "python -m socialmd_tf.train --data data \\\n  --seed 1  # --not\n$p.tune --space x; socialmd-tf rollout --gif"
    )
    found = {name: re.findall(FLAG, arguments) for name, arguments in commands(text)}
    assert found == {"train": ["--data", "--seed"], "tune": ["--space"], "rollout": ["--gif"]}
    assert "--run-directory" in flags("train") and "--no-such-flag" not in flags("train")
    assert "--exports" in flags("benchmarks/rollout.py")


def test_files_that_the_documents_name_exist():
    pattern = r"`((?:pipelines|socialmd_tf|tests|benchmarks|docs)/[\w/.-]+\.\w+)`"
    pages = [page for page in PAGES if page.name != "CHANGELOG.md"]
    named = [(page.name, path) for page in pages for path in re.findall(pattern, page.read_text())]
    assert len(named) > 5
    assert [(page, path) for page, path in named if not (ROOT / path).exists()] == []


def readme_rows(first):
    """The cells of the README's table whose head begins with a word, by first cell."""
    table = re.search(rf"^\| {first} .*\n\|[-: |]+\n((?:\|.*\n)+)", (ROOT / "README.md").read_text(), re.MULTILINE)
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table[1].splitlines()]
    return {row[0].strip("`"): row[1:] for row in rows}


def test_readme_lists_every_preset():
    assert set(readme_rows("preset")) == set(PRESETS)


def test_readme_says_which_preset_suits_which_motion_as_the_help_of_train_does():
    found = {
        cells[0].replace("`", ""): f"{motion[0].upper()}{motion[1:]}."
        for motion, cells in readme_rows("motion").items()
    }
    assert found == PHYSICS
    assert set(re.findall(r"[\w-]+", " ".join(PHYSICS))) - {"and", "its", "variants"} <= set(PRESETS)


def test_readme_has_the_figures_of_the_shipped_model():
    newest = max((ROOT / "saved_models/nbody").iterdir(), key=lambda path: int(path.name))
    metrics = json.loads((newest / "assets.extra/model_card.json").read_text())["metrics"]
    found = [float(number) for cell in readme_rows("predictor")["nbody"] for number in re.findall(r"-?[\d.]+", cell)]
    keys = ["nll", "nll_standard_error", "mae", "mae_standard_error", "median_ae", "ade", "fde"]
    expected = [metrics[key] for key in keys] + [100 * metrics[key] for key in ("coverage_50", "coverage_90")]
    assert found[:2] == pytest.approx(expected[:2], abs=1e-3)
    assert found[2:7] == pytest.approx(expected[2:7], abs=6e-5)
    assert found[7:] == pytest.approx(expected[7:], abs=0.06)


def test_the_example_for_contributors_counts_neighbours(monkeypatch):
    from socialmd_tf.config import ModelConfig
    from socialmd_tf.model import build_model
    from socialmd_tf.parts import INTERACTIONS

    monkeypatch.setattr(INTERACTIONS, "_parts", dict(INTERACTIONS._parts))  # other tests do not see the example
    (example,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE | re.DOTALL)
    exec(example, {"__name__": "my_interactions"})
    layer = INTERACTIONS["neighbor_count"].build(ModelConfig(cutoff=1.5), "example")
    positions = np.array([[[0.0, 0], [1, 0], [2, 0], [9, 0]], [[0.0, 0], [1, 0], [0, 0], [0, 0]]], np.float32)
    mask = np.array([[1, 1, 1, 1], [1, 1, 0, 0]], np.float32)
    counts = np.asarray(layer(positions, positions, mask[..., None], mask[..., None], mask))[..., 0]
    np.testing.assert_array_equal(counts[0], [1, 2, 1, 0])
    np.testing.assert_array_equal(counts[1, :2], [1, 1])  # padding does not count
    network = build_model(ModelConfig(interaction="neighbor_count", units=4, input_embedding=4, rollout_steps=2))
    batch = {"positions": np.stack([positions] * 3, axis=1), "features": np.ones((2, 4, 2)), "mask": mask}
    assert network(batch).shape == (2, 2, 4, 5)


def test_citation():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    required = {"cff-version", "message", "title", "authors"}
    assert required <= set(citation) and citation["cff-version"] == "1.2.0"
    assert (citation["title"], citation["version"]) == (PYPROJECT["name"], PYPROJECT["version"])
    assert citation["license"] == PYPROJECT["license"] == "Apache-2.0"
    (thesis,) = citation["references"]
    assert (thesis["type"], thesis["year"], thesis["authors"][0]["family-names"]) == ("thesis", 2021, "Lindfors")


def test_licence_text_is_part_of_the_package():
    (file,) = PYPROJECT["license-files"]
    text = (ROOT / file).read_text()
    assert re.search(r"Apache License\s+Version 2\.0", text) and "The socialmd_tf authors" in text


def test_no_file_names_a_machine_path_or_a_package_registry():
    folders = ("pipelines", "socialmd_tf", "benchmarks", "docs", "tests", ".ci", "saved_models")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.suffix != ".pyc"]
    files += [path for path in ROOT.iterdir() if path.name not in (".git", ".coverage")]
    pattern = re.compile(
        rb"(?<![\w.\]})*])/(?:work|root|home(?!/me/)|Users|tmp)/\w|\bpypi[.](?:org|python)|pythonhosted[.]"
    )
    found = [
        (path.relative_to(ROOT).as_posix(), match[0])
        for path in files
        if path.is_file()
        for match in [pattern.search(path.read_bytes())]
        if match
    ]
    assert found == []
    assert pattern.search(b"see /" + b"home/you/x") and pattern.search(b"https://pypi" + b".org/simple")


def script(path):
    """A script of docs/ as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_picture_of_the_models_gives_every_preset_its_parts():
    picture = script("docs/models.py")
    shown = {preset for *_, parts in picture.STAGES for _, _, presets in parts for preset in presets}
    assert shown == set(PRESETS)
    for name in shown:
        picture.check(name)
    parts = {part for *_, parts in picture.STAGES for part, _, _ in parts}
    assert {config.head for config in PRESETS.values()} | {config.interaction for config in PRESETS.values()} <= parts


def test_the_picture_of_the_comparisons_draws_the_table_of_its_page():
    summary = script("docs/experiments/summary.py")
    rows = summary.table_rows((ROOT / "docs/experiments/README.md").read_text())
    assert set(rows) == {*summary.MODELS, *summary.BASELINES} - {"single-grid"}  # which was not trained again
    assert rows["lstm-seed-2"] == {"nll": [2.044, 0.141], "mae": [0.3495, 0.0084], "50": [45.1], "90": [70.8]}


def test_every_page_is_in_the_navigation_of_the_site():
    settings = yaml.safe_load((ROOT / "docs/site/mkdocs.yml").read_text())
    shown = set(re.findall(r"[\w/-]+\.md", str(settings["nav"])))
    assert {path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/**/*.md")} <= shown
