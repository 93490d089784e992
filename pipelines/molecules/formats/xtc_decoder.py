"""Child process of `xtc.py`: unpacks frames of XTC files until its input ends."""

import json
import sys
from typing import Any

import numpy as np
from MDAnalysis.lib.formats.libmdaxdr import XTCFile


def main() -> None:
    """Answer lines of `[path, index, atoms]` in JSON with positions in that frame, float32 `[n, 3]` in nm.

    `atoms` are numbers of atoms, "all", or "same" as in the line before.
    """
    path, file = "", None
    chosen: Any = slice(None)
    for line in sys.stdin:
        wanted, index, atoms = json.loads(line)
        if atoms != "same":
            chosen = slice(None) if atoms == "all" else np.array(atoms, dtype=np.intp)
        if file is None or not index or (path, file.tell()) != (wanted, index):
            path, file = wanted, XTCFile(wanted)
            if index:
                file.seek(index)
        sys.stdout.buffer.write(file.read().x[chosen].tobytes())
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
