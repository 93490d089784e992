"""`socialmd-tf` and `python -m socialmd_tf`: list the commands, or run one."""

import importlib
import sys

from pipelines.errors import UserError
from socialmd_tf import commands

COMMANDS = {
    "simulate": "simulate N-body systems, or springs, trapped disks, a liquid, charges",
    "simulate_charges": "simulate charged particles in a box (benchmark of Kipf et al. 2018)",
    "prepare": "make a dataset from molecular dynamics trajectories",
    "nanoparticle": "simulate coarse-grained nanoparticles, to try prepare on",
    "check": "say what a dataset is, what is wrong with it, and what suits it",
    "train": "train a model, export it, and compare it with baselines",
    "evaluate": "evaluate exported models beside baselines",
    "compositions": "predict how statistics depend on the share of a drug",
    "rollout": "predict the frames that follow a trajectory file",
    "tune": "search hyperparameters",
    "serve": "serve exported models on this machine, over REST and gRPC",
    "serving": "write the configuration of a TensorFlow Serving model server",
}
_MODULES = {"serving": "socialmd_tf.serving.__main__"}


def main() -> None:
    """Run the command that was typed."""
    program = "python -m socialmd_tf" if sys.argv[0].endswith(".py") else "socialmd-tf"
    name, *args = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(overview(program))
    elif name == "--version":
        from importlib.metadata import version

        print(f"socialmd-tf {version('socialmd_tf')}")
    else:
        command = name.replace("-", "_")
        if command not in COMMANDS:
            raise UserError(f"unknown command {name!r}. Expected one of: {', '.join(COMMANDS)}")
        sys.argv = [f"{program} {name}", *args]
        importlib.import_module(_MODULES.get(command, f"socialmd_tf.{command}")).main()


def overview(program: str) -> str:
    """The list of commands.

    Args:
        program: What was typed to get it.
    """
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: {program} COMMAND [flags]",
            "",
            "Learn how interacting particles move from their trajectories, and roll the motion out.",
            "",
            "Commands:",
            *lines,
            "",
            f"{program} COMMAND --help explains a command, {program} --version prints the version.",
        ]
    )


def start() -> None:
    """The console command `socialmd-tf`."""
    commands.run(main)


if __name__ == "__main__":
    start()
