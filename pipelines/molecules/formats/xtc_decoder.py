"""Child process of `xtc.py`: writes the positions of all frames of an XTC file to standard output."""

import sys

from MDAnalysis.lib.formats.libmdaxdr import XTCFile


def main() -> None:
    """Write float32 `[num_atoms, 3]` per frame, in nm."""
    with XTCFile(sys.argv[1]) as file:
        for frame in file:
            sys.stdout.buffer.write(frame.x.tobytes())


if __name__ == "__main__":
    main()
