"""Predictions in the formats and classes of other programs.

trajectory.py turns paths into angstrom, ps and three dimensions; universe.py (MDAnalysis), atoms.py (ASE) and
dataset.py (xarray) turn them into objects of these libraries, which are imported when they are needed; files.py writes
files and chooses the format by the suffix. Begin with files.py.
"""
