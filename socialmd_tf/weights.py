"""Weights of a Keras model in a `.weights.h5` file: written whole or not at all, read with one-line errors."""

import io
import warnings
from pathlib import Path

from pipelines.atomic_files import write_atomically
from pipelines.errors import UserError


class _WeightsInMemory(io.BytesIO):
    """A file in memory; Keras recognises the format by the name."""

    def __str__(self):
        return "memory.weights.h5"


def save_weights(model, path):
    """Write the weights of a model and, if it is compiled, the state of its optimizer.

    The HDF5 library crashes the process when a disk is full, so it writes to memory first.

    Args:
        model: A built `keras.Model`.
        path: The `.weights.h5` file.

    Raises:
        OSError: The file cannot be written; an earlier file stays as it was.
    """
    content = _WeightsInMemory()
    model.save_weights(content)
    write_atomically(Path(path), lambda file: file.write(content.getbuffer()))


def load_weights(model, path):
    """Read what `save_weights` wrote.

    Args:
        model: A model of the same architecture; the optimizer's state is read if it is compiled.
        path: The `.weights.h5` file.

    Raises:
        UserError: The file is missing, cut short, not a weights file, or holds the weights of another model or the
            state of another optimizer.
    """
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Skipping variable loading for optimizer", UserWarning)
            model.load_weights(path)
    except (OSError, ValueError, KeyError, RuntimeError, UserWarning) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path}: expected the weights of this model. {reason}") from None
