"""Workers on several machines that train one model together (`tf.distribute.MultiWorkerMirroredStrategy`).

Keras's `fit` does not work there (keras issue 20585): it reduces the metrics of a step in a way that the strategy does
not have. `run_epochs` is the same loop with the same callbacks. Every worker reads its share of every batch; the
gradients are summed over the workers before each step, so all have the same weights and the same optimizer.
"""

import contextlib

import keras
import tensorflow as tf

from pipelines.errors import UserError, require
from pipelines.shares import Share
from socialmd_tf.training.task import VARIABLE

_CAUSE = "Collective ops is aborted by"


class WorkerLost(RuntimeError):
    """Another worker has ended, so that this one cannot go on."""


@contextlib.contextmanager
def losses():
    """Say in one line that another worker has ended: any step, metric or variable that workers share may fail then."""
    try:
        yield
    except (
        tf.errors.UnavailableError,
        tf.errors.AbortedError,
        tf.errors.CancelledError,
        tf.errors.InternalError,
    ) as error:
        lines = str(error).strip().splitlines()
        reason = next((line[line.index(_CAUSE) :] for line in lines if _CAUSE in line), lines[0])[:200]
        raise WorkerLost(
            f"a worker of {VARIABLE} was lost: {reason}. Start all workers again with the same command; they resume "
            "from the last checkpoint"
        ) from None


class Team:
    """The workers of `TF_CONFIG`. Made before TensorFlow does anything else; waits for all workers.

    Args:
        task: The `Task` of this process.

    Raises:
        UserError: This worker sees several GPUs.
    """

    def __init__(self, task):
        self.task = task
        devices = tf.config.list_physical_devices("GPU")
        if len(devices) > 1:
            raise UserError(
                f"{VARIABLE}: expected one GPU for each worker, such as CUDA_VISIBLE_DEVICES={task.index}, found "
                f"{len(devices)}"
            )
        print(f"{task}: waiting for the others", flush=True)
        with losses():
            self.strategy = tf.distribute.MultiWorkerMirroredStrategy()
            self.wait()

    @property
    def share(self):
        """The share of every batch that this worker reads."""
        return Share(self.task.index, self.task.count)

    def wait(self):
        """Wait until all workers are here."""
        with losses():
            self._sum(tf.constant(1.0))

    @tf.function
    def _sum(self, value):
        return self.strategy.reduce("SUM", self.strategy.run(tf.identity, (value,)), axis=None)

    @contextlib.contextmanager
    def chief_first(self):
        """Let the chief run the block before the others."""
        if not self.task.is_chief:
            self.wait()
        yield
        if self.task.is_chief:
            self.wait()

    @losses()
    def evaluate(self, model, batches):
        """Losses and metrics of a model on the shares of batches, by name."""
        return _evaluate(model, self._on_all(model.test_step), batches)

    @losses()
    def run_epochs(self, model, training, validation, epochs, steps, callbacks):
        """Train as `keras.Model.fit` does.

        Args:
            model: The compiled model.
            training: Shares of the batches of all epochs.
            validation: Shares of the validation batches.
            epochs: Range of the epochs.
            steps: Batches of an epoch.
            callbacks: Keras callbacks. All workers must come to the same decisions; only the chief may write.

        Returns:
            Keras's `History`.
        """
        history = keras.callbacks.History()
        called = keras.callbacks.CallbackList(
            [history, *callbacks], model=model, epochs=epochs.stop, steps=steps, verbose=0
        )
        train, test = self._on_all(model.train_step), self._on_all(model.test_step)
        batches, model.stop_training = iter(training), False
        called.on_train_begin()
        for epoch in epochs:
            model.reset_metrics()
            called.on_epoch_begin(epoch)
            for step in range(steps):
                called.on_train_batch_begin(step)
                called.on_train_batch_end(step, train(next(batches)))
                if model.stop_training:
                    break
            logs = _numbers(model.get_metrics_result())
            logs |= {f"val_{name}": value for name, value in _evaluate(model, test, validation).items()}
            called.on_epoch_end(epoch, logs)
            self.wait()  # the checkpoint is there
            if model.stop_training:
                break
        called.on_train_end()
        return history

    def _on_all(self, step):
        """Function of a share that makes a step of all workers and returns the mean of their metrics."""

        @tf.function(reduce_retracing=True, autograph=False)
        def run(batch):
            logs = self.strategy.run(step, args=(batch,))
            return {name: self.strategy.reduce("MEAN", value, axis=None) for name, value in logs.items()}

        return lambda batch: _numbers(run(batch))


def check_config(config):
    """Refuse a `TrainConfig` that workers cannot train together.

    Raises:
        UserError: It has no `data`, or ends by the clock, which differs between workers.
    """
    require(config.data is not None, "data", f"given for the workers of {VARIABLE}", config.data)
    require(config.minutes is None, "minutes", f"left out for the workers of {VARIABLE}", config.minutes)


def _evaluate(model, test, batches):
    model.reset_metrics()
    for batch in batches:
        test(batch)
    found = _numbers(model.get_metrics_result())
    model.reset_metrics()
    return found


def _numbers(logs):
    return {name: float(keras.ops.convert_to_numpy(value)) for name, value in logs.items()}
