"""Runs requests on a SavedModel through TensorFlow's C API, as a program that never imports TensorFlow for Python.

    python c_api.py requests.json

`requests.json` says where TensorFlow's library and the SavedModel are, and for every request the tensors to feed and
to fetch; arrays go in and out as .npz. A request may be fed what an earlier one gave. XLA compilation is disabled by
the switch that TensorFlow's C++ has for it.
"""

import ctypes
import json
import sys
from pathlib import Path

import numpy as np

TYPES = {1: np.dtype(np.float32), 3: np.dtype(np.int32), 9: np.dtype(np.int64), 10: np.dtype(np.bool_)}
STRING, STRING_SIZE = 7, 24
CODES = {name: code for code, name in TYPES.items()} | {np.dtype(np.float64): 2}


class Output(ctypes.Structure):
    """`TF_Output`: an output of an operation."""

    _fields_ = [("operation", ctypes.c_void_p), ("index", ctypes.c_int)]


class Failed(Exception):
    """A call that TensorFlow refused."""

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code


class Library:
    """TensorFlow's shared library; its functions as `call("SessionRun", ...)`."""

    POINTERS = (
        *("NewStatus", "NewGraph", "NewSessionOptions", "LoadSessionFromSavedModel", "GraphOperationByName"),
        *("AllocateTensor", "TensorData"),
    )

    def __init__(self, directory):
        # Functions are also found in the libraries that this one links to.
        self._library = ctypes.CDLL(str(Path(directory) / "libtensorflow_cc.so.2"))
        for name in self.POINTERS:
            getattr(self._library, f"TF_{name}").restype = ctypes.c_void_p
        self._library.TF_Message.restype = ctypes.c_char_p
        for name in ("Dim", "TensorByteSize"):
            getattr(self._library, f"TF_{name}").restype = ctypes.c_int64
        self._status = self.call("NewStatus")

    def call(self, name, *arguments):
        return getattr(self._library, f"TF_{name}")(*arguments)

    def checked(self, name, *arguments):
        """A call whose last argument is the status."""
        result = self.call(name, *arguments, ctypes.c_void_p(self._status))
        code = self.call("GetCode", ctypes.c_void_p(self._status))
        if code:
            raise Failed(code, self.call("Message", ctypes.c_void_p(self._status)).decode())
        return result

    def disable_xla(self):
        """Keep the process from compiling with XLA, whatever a graph requests."""
        self._library._ZN10tensorflow21DisableXlaCompilationEv()
        fails = self._library._ZN10tensorflow20FailOnXlaCompilationEv
        fails.restype = ctypes.c_bool
        assert fails()

    def tensor(self, array):
        """A `TF_Tensor` with a copy of the array."""
        sizes = (ctypes.c_int64 * max(array.ndim, 1))(*array.shape)
        code = CODES[array.dtype]
        tensor = ctypes.c_void_p(self.call("AllocateTensor", code, sizes, array.ndim, ctypes.c_size_t(array.nbytes)))
        if array.nbytes:
            ctypes.memmove(self.call("TensorData", tensor), np.ascontiguousarray(array).ctypes.data, array.nbytes)
        return tensor

    def array(self, tensor):
        """The inverse of `tensor`, also for strings; frees the tensor."""
        shape = [self.call("Dim", tensor, axis) for axis in range(self.call("NumDims", tensor))]
        code, size = self.call("TensorType", tensor), self.call("TensorByteSize", tensor)
        content = ctypes.string_at(self.call("TensorData", tensor), size) if size else b""
        if code == STRING:
            texts = [text(content[start : start + STRING_SIZE]) for start in range(0, size, STRING_SIZE)]
            array = np.array(texts, np.str_).reshape(shape)
        else:
            array = np.frombuffer(content, TYPES[code]).reshape(shape)
        self.call("DeleteTensor", tensor)
        return array


def text(entry):
    """A `TF_TString`: short strings are stored inline, long ones behind a pointer."""
    kind, size = entry[0] & 3, int.from_bytes(entry[:8], "little") >> 2
    if kind == 0:
        return entry[1 : 1 + (entry[0] >> 2)].decode()
    assert kind == 1
    return ctypes.string_at(int.from_bytes(entry[16:24], "little"), size).decode()


class Session:
    """A SavedModel, loaded by `TF_LoadSessionFromSavedModel`.

    Args:
        library: The `Library`.
        directory: The SavedModel.
        config: Bytes of a `ConfigProto`.
    """

    def __init__(self, library, directory, config):
        self._library = library
        self._graph = ctypes.c_void_p(library.call("NewGraph"))
        options = ctypes.c_void_p(library.call("NewSessionOptions"))
        library.checked("SetConfig", options, config, ctypes.c_size_t(len(config)))
        tags = (ctypes.c_char_p * 1)(b"serve")
        path = str(directory).encode()
        load = ("LoadSessionFromSavedModel", options, None, path, tags, 1, self._graph, None)
        self._session = ctypes.c_void_p(library.checked(*load))

    def run(self, feeds, fetches):
        """Values of the tensors named in `fetches`, by name, given arrays by tensor name."""
        inputs = (Output * len(feeds))(*(self._output(name) for name in feeds))
        tensors = [self._library.tensor(array) for array in feeds.values()]
        values = (ctypes.c_void_p * len(feeds))(*tensors)
        outputs = (Output * len(fetches))(*(self._output(name) for name in fetches))
        results = (ctypes.c_void_p * len(fetches))()
        try:
            self._library.checked(
                *("SessionRun", self._session, None, inputs, values, len(feeds)),
                *(outputs, results, len(fetches), None, 0, None),
            )
        finally:
            for tensor in tensors:
                self._library.call("DeleteTensor", tensor)
        return {
            name: self._library.array(ctypes.c_void_p(result)) for name, result in zip(fetches, results, strict=True)
        }

    def _output(self, name):
        operation, index = name.split(":")
        found = self._library.call("GraphOperationByName", self._graph, operation.encode())
        assert found, f"no operation {operation}"
        return Output(found, int(index))


def main(path):
    """Run every request of the file; write its results or its error."""
    job = json.loads(path.read_text())
    arrays = dict(np.load(job["arrays"]))
    library = Library(job["library"])
    library.disable_xla()
    session = Session(library, job["model"], bytes.fromhex(job["config"]))
    failures = {}
    for number, request in enumerate(job["requests"]):
        feeds = {tensor: arrays[key] for tensor, key in request["feeds"].items()}
        try:
            found = session.run(feeds, list(request["fetches"].values()))
        except Failed as error:
            failures[number] = {"code": error.code, "message": str(error)}
            continue
        for name, tensor in request["fetches"].items():
            arrays[f"{number}:{name}"] = found[tensor]
    np.savez(job["answers"], **arrays)
    Path(job["failures"]).write_text(json.dumps(failures))
    assert not any(name.split(".")[0] in ("tensorflow", "keras", "tf_keras") for name in sys.modules)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
