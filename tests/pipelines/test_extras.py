import subprocess
import sys

import pytest

from pipelines.extras import install_command


@pytest.mark.parametrize("extra", ["md", "openmm", "serving", "tuning"])
def test_the_command_names_the_libraries_of_the_extra(extra):
    command = install_command(extra)
    assert command.startswith("pip install '") and "socialmd_tf" not in command and ";" not in command


def test_pip_takes_the_command():
    """All of it is installed here, so pip has nothing to fetch."""
    words = [word.strip("'") for word in install_command("md").split()[1:]]
    assert words[1].startswith("MDAnalysis>=")
    pip = [sys.executable, "-m", "pip", *words[:1], "--dry-run", "--no-index", "--no-deps", *words[1:]]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "already satisfied" in done.stdout, done.stderr
