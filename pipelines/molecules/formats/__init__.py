"""Readers of topologies and trajectories, one format per file.

A reader returns what a file says, to its end or not at all, in the unit of the file. `pipelines/molecules/reading.py`
chooses the reader by the file's suffix. Begin with `frame.py` (what readers return), then `gro.py`, the shortest
reader. Only `mdanalysis.py` and `xtc_decoder.py` import MDAnalysis.
"""
