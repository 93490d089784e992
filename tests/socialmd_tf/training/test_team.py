"""Two processes on the loopback interface that train one model."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

FLAGS = ["--preset", "kinematic", "--model.interaction", "none", "--subsample", "1", "--warm-up-steps", "3"]
FLAGS += ["--rollout-steps", "3", "--window-shift", "2", "--rotations", "2", "--batch-size", "6", "--epochs", "6"]
FLAGS += ["--calibration-epochs", "1", "--max-horizon", "6"]


def free_ports(count):
    with_ports = [socket.socket() for _ in range(count)]
    for each in with_ports:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in with_ports]
    for each in with_ports:
        each.close()
    return ports


class Training:
    """The command `train` as one process, or as two that share the work."""

    def __init__(self, data, directory):
        self.run = directory / "run"
        self._command = [sys.executable, "-m", "socialmd_tf.train", "--data", str(data), *FLAGS]
        self._command += ["--run-directory", str(self.run), "--export-directory", str(directory / "saved" / "small")]

    def start(self, count):
        addresses = [f"127.0.0.1:{port}" for port in free_ports(count)]
        processes = []
        for index in range(count):
            environment = {name: value for name, value in os.environ.items() if name != "TF_CONFIG"}
            environment["TF_CPP_MIN_LOG_LEVEL"] = "3"  # that of the command, whatever the shell of the test has
            if count > 1:
                task = {"type": "worker", "index": index}
                environment["TF_CONFIG"] = json.dumps({"cluster": {"worker": addresses}, "task": task})
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
            processes.append(subprocess.Popen(self._command, env=environment, **pipes))
        return processes

    def finish(self, processes):
        outputs = [process.communicate() for process in processes]
        assert [process.returncode for process in processes] == [0] * len(processes), outputs
        return outputs

    def losses(self):
        with (self.run / "history.csv").open() as file:
            rows = list(csv.DictReader(file))
        return np.array([[float(row[name]) for name in ("loss", "mae", "val_loss", "val_mae")] for row in rows])


@pytest.fixture
def data(write_dataset, random_trajectory):
    """22 training windows with rotated copies: seven batches of 6 and one of 2; systems of 2 and 3 particles."""
    sizes = [3, 2]
    files = [random_trajectory(num_frames=26, num_particles=size, seed=size) for size in sizes]
    return write_dataset({"train": files, "validation": files, "test": []})


@pytest.mark.slow
def test_two_workers_have_the_losses_of_one_process_also_after_one_was_killed(data, tmp_path):
    alone = Training(data, tmp_path / "alone")
    alone.finish(alone.start(1))
    expected = alone.losses()
    assert expected.shape == (6, 4)

    both = Training(data, tmp_path / "both")
    (chief, _), (other, _) = both.finish(both.start(2))
    np.testing.assert_allclose(both.losses(), expected, rtol=2e-5)
    assert "worker 1 of 2, the chief: waiting for the others" in chief and "verdict: " in chief
    assert other.endswith("worker 2 of 2: done; the chief exports and evaluates the model\n")
    assert len(list((both.run / "tensorboard").rglob("events*"))) == len(
        list((alone.run / "tensorboard").rglob("events*"))
    )

    killed = Training(data, tmp_path / "killed")
    processes = killed.start(2)
    while not (killed.run / "checkpoints" / "0002").exists():
        assert processes[0].poll() is None, processes[0].communicate()
        time.sleep(0.05)
    processes[1].send_signal(signal.SIGKILL)
    processes[1].communicate()
    _, error = processes[0].communicate(timeout=900)
    assert processes[0].returncode == 1 and error.startswith("error: a worker of TF_CONFIG was lost: "), error
    killed.finish(killed.start(2))
    # The sum over workers may round differently in another run: the last bit of a metric did.
    np.testing.assert_allclose(killed.losses(), both.losses(), rtol=1e-6)


@pytest.mark.slow_cases('{"cluster*')
@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("{", "error: TF_CONFIG: not JSON: "),
        (
            '{"cluster": {"worker": ["127.0.0.1:1"]}, "task": {"type": "worker", "index": 1}}',
            "error: TF_CONFIG: the cluster has no task worker 1; it has worker 0\n",
        ),
    ],
)
def test_a_wrong_configuration_is_one_line(config, message):
    environment = os.environ | {"TF_CONFIG": config}
    command = [sys.executable, "-m", "socialmd_tf.train", "--preset", "kinematic"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 2 and result.stderr.startswith(message) and result.stderr.count("\n") == 1
