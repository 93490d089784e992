"""Benchmarks and experiment scripts take minutes to run; here what they import and call is held to the code."""

import ast
import importlib
import inspect
import json
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted([*ROOT.glob("benchmarks/*.py"), *ROOT.glob("docs/**/*.py")])
OURS = ("pipelines", "socialmd_tf", "tests")


def imported(tree):
    """Local name -> object, or the fault of the import, for all that a source imports from this repository."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in OURS:
            for alias in node.names:
                found[alias.asname or alias.name] = attribute(node.module, alias.name)
    return found


def attribute(module, name):
    try:
        value = getattr(importlib.import_module(module), name, None)
        return importlib.import_module(f"{module}.{name}") if value is None else value
    except ImportError as error:
        return error


def faults(source):
    """Imports that fail, names that a module lacks, and calls that a function does not take."""
    tree = ast.parse(source)
    names = imported(tree)
    found = [f"{name}: {value}" for name, value in names.items() if isinstance(value, ImportError)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(names.get(base(node)), types.ModuleType):
            if not hasattr(names[base(node)], node.attr):
                found.append(ast.unparse(node))
        elif isinstance(node, ast.Call) and (called := function(node.func, names)) and not takes(called, node):
            found.append(ast.unparse(node))
    return found


def base(node):
    return node.value.id if isinstance(node.value, ast.Name) else None


def function(node, names):
    """What a call calls, if it is one of our functions or classes."""
    value = names.get(node.id) if isinstance(node, ast.Name) else None
    if isinstance(node, ast.Attribute) and base(node) in names:
        value = getattr(names[base(node)], node.attr, None)
    return value if inspect.isroutine(value) or inspect.isclass(value) else None


def takes(called, node):
    """Whether a function takes the arguments of a call, as far as the source shows them."""
    positional = [argument for argument in node.args if not isinstance(argument, ast.Starred)]
    named = {keyword.arg: None for keyword in node.keywords if keyword.arg}
    is_complete = len(positional) + len(named) == len(node.args) + len(node.keywords)
    signature = inspect.signature(called)
    try:
        (signature.bind if is_complete else signature.bind_partial)(*positional, **named)
    except TypeError:
        return False
    return True


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.name for script in SCRIPTS])
def test_scripts_use_what_there_is(script):
    assert faults(script.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "from pipelines.trajectory import Manifest",
        "from pipelines.manifest import NoSuchClass",
        "from pipelines import manifest\nmanifest.no_such_function()",
        "from pipelines.manifest import Manifest\nManifest.load()",
        "from pipelines.config import DataConfig\nDataConfig(no_such_field=1)",
    ],
)
def test_faults_of_scripts_are_found(source):
    assert len(faults(source)) == 1


@pytest.mark.slow
def test_the_benchmark_of_a_gpu_runs_on_a_cpu(tmp_path):
    output, chosen = tmp_path / "gpu.json", ["training lstm", "rollout thesis N=25 B=64", "precision"]
    command = [sys.executable, ROOT / "benchmarks" / "gpu.py", "--small", "--processes", "1", "--output", output]
    command += ["--only", *chosen]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    figures = json.loads(output.read_text())["measurements"]
    for title, figure in (("training lstm B=256", "milliseconds"), (chosen[1], "scene_frames_per_second")):
        for word in ("", "not "):
            assert figures[f"{title}, {word}compiled"][figure] > 0, figures
        assert title.partition(" ")[2] in found.partition("card")[2]
    assert figures["precision nbody B=64, compiled"]["served_with_tf32"] < 1e-4
