"""Child process of `xtc.py`: unpacks frames of XTC files until its input ends."""

import json
import sys

from MDAnalysis.lib.formats.libmdaxdr import XTCFile


def main() -> None:
    """Answer lines of `[path, index]` in JSON with the positions of that frame, float32 `[num_atoms, 3]` in nm."""
    path, file = "", None
    for line in sys.stdin:
        wanted, index = json.loads(line)
        if file is None or not index or (path, file.tell()) != (wanted, index):
            path, file = wanted, XTCFile(wanted)
            if index:
                file.seek(index)
        sys.stdout.buffer.write(file.read().x.tobytes())
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
