import os
import subprocess
import sys

import numpy as np
import pytest

from pipelines.errors import UserError
from socialmd_tf.commands import parse, run
from tests.socialmd_tf.command_line.options import Options


def ends_with(main, capsys):
    """Exit status, stdout and stderr of a command."""
    with pytest.raises(SystemExit) as stop:
        run(main)
    return (stop.value.code, *capsys.readouterr())


def test_success_is_zero(capsys):
    assert ends_with(lambda: print("done"), capsys) == (0, "done\n", "")


def test_a_mistake_of_the_user_is_two_and_one_line(capsys):
    def main():
        raise UserError("circle.json: not a circle.\n  Received: []")

    assert ends_with(main, capsys) == (2, "", "error: circle.json: not a circle. Received: []\n")


def test_ctrl_c_is_130_and_one_line(capsys):
    def main():
        raise KeyboardInterrupt

    status, printed, message = ends_with(main, capsys)
    assert (status, printed) == (130, "")
    assert message.count("\n") == 1 and message.startswith("interrupted")


def test_a_mistake_about_a_flag_names_the_flag(capsys):
    def main():
        parse(Options, prog="python -m circle", args=["--radius", "3"])
        raise UserError("`radius` must leave room for the frame. Received: 3")

    expected = "error: `radius` must leave room for the frame. Received: 3. Change --radius.\n"
    assert ends_with(main, capsys) == (2, "", expected)


def test_an_error_of_the_file_system_is_two_and_one_line(tmp_path, capsys):
    def main():
        print("begun")
        (tmp_path / "none" / "file").write_text("")

    expected = f"error: {tmp_path / 'none' / 'file'}: No such file or directory\n"
    assert ends_with(main, capsys) == (2, "begun\n", expected)


def run_script(script, **options):
    """A process that runs the function `main` of a script as a command."""
    program = f"from socialmd_tf.commands import run\n{script}\nrun(main)"
    return subprocess.run([sys.executable, "-c", program], text=True, check=False, stderr=subprocess.PIPE, **options)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_two_and_one_line():
    with open("/dev/full", "w") as full:
        result = run_script("def main(): print('done')", stdout=full)
    assert (result.returncode, result.stderr) == (2, "error: standard output: No space left on device\n")


def test_a_file_that_grows_too_large_keeps_the_old_result(tmp_path):
    resource = pytest.importorskip("resource")
    assert resource
    path = tmp_path / "train" / "0.npy"
    script = f"""
def main():
    import pathlib, resource
    import numpy as np
    from pipelines.npy_files import save_trajectory
    path = pathlib.Path({str(path)!r})
    save_trajectory(path, np.zeros((10, 2, 3)))
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    save_trajectory(path, np.ones((10_000, 2, 3)))
"""
    result = run_script(script)
    assert (result.returncode, result.stderr) == (2, f"error: {path}: File too large\n")
    assert np.load(path).shape == (10, 2, 3)
    assert os.listdir(path.parent) == ["0.npy"]


def test_other_errors_keep_their_traceback():
    def main():
        raise ValueError("a defect")

    with pytest.raises(ValueError, match="a defect"):
        run(main)


def test_tensorflow_starts_without_a_word_and_stderr_works_after_it():
    script = (
        "import sys; from socialmd_tf.commands import load_tensorflow\n"
        "load_tensorflow()\n"
        "assert 'tensorflow' in sys.modules\n"
        "print('still here', file=sys.stderr)"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("", "still here\n")


def test_a_reader_that_has_seen_enough_is_no_error():
    program = "from socialmd_tf.commands import run; run(lambda: print('line\\n' * 100_000))"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "line\n"
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (1, "")
