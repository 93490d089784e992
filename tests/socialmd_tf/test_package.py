import ast
import subprocess
import sys
from pathlib import Path

import pytest

import socialmd_tf as smd

PROMISED = {
    "__version__",
    "load",
    "read",
    "build_model",
    "PRESETS",
    "ModelConfig",
    "TrainConfig",
    "DataConfig",
    "layers",
    "train",
    "evaluate",
}


def run(script):
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_promised_names_are_there_and_listed():
    assert set(dir(smd)) >= PROMISED
    assert dir(smd) == sorted(smd.__all__)
    for name in PROMISED:
        assert getattr(smd, name) is not None


def test_other_names_are_not_there():
    with pytest.raises(AttributeError, match="has no attribute 'lod'"):
        smd.lod  # noqa: B018


def test_editors_see_the_same_names():
    """The imports for type checkers, the list of names and the table of their modules agree."""
    (tree,) = (node for node in ast.parse(Path(smd.__file__).read_text()).body if isinstance(node, ast.If))
    imported = {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            imported |= {alias.asname: node.module for alias in node.names}
    assert imported.pop("layers") == "socialmd_tf"
    assert imported == smd._HOMES
    assert set(smd.__all__) == {*imported, "layers", "__version__"}


def test_importing_is_fast_and_loads_nothing_heavy():
    seconds = run(
        "import sys, time; start = time.perf_counter(); import socialmd_tf; seconds = time.perf_counter() - start\n"
        "assert not {'tensorflow', 'keras', 'numpy', 'tyro'} & set(sys.modules)\n"
        "print(seconds)"
    )
    print(f"import socialmd_tf takes {float(seconds):.3f} s")
    assert float(seconds) < 1  # 0.01 s on an idle machine; the promise is 0.2 s


def test_configurations_and_data_need_no_tensorflow():
    run(
        "import sys, socialmd_tf as smd\n"
        "smd.ModelConfig(), smd.TrainConfig(), smd.DataConfig(), smd.PRESETS['thesis'], smd.__version__\n"
        "smd.read([[[0.0, 0.0]]])\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)"
    )


@pytest.mark.slow
def test_tensorflow_is_not_heard():
    script = "import socialmd_tf as smd; print(smd.build_model('lstm').count_params())"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("83360\n", "")


@pytest.mark.slow
@pytest.mark.parametrize("first", ["import socialmd_tf.train, socialmd_tf.evaluate", "smd.train, smd.evaluate"])
def test_functions_stay_functions_when_the_commands_are_imported(first):
    run(
        f"import socialmd_tf as smd\n{first}\n"
        "import socialmd_tf.evaluate\nfrom socialmd_tf.train import main\n"
        "for name in ('train', 'evaluate'):\n"
        "    function = getattr(smd, name)\n"
        "    assert type(function).__name__ == 'function' and function.__name__ == name, function\n"
        "from socialmd_tf import train, evaluate\n"
        "assert train is smd.train and evaluate is smd.evaluate\n"
        "import sys; assert sys.modules['socialmd_tf.train'].main is main"
    )
