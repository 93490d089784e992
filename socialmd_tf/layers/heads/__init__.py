"""Heads: from a cell's outputs to the density of a particle's next position.

absolute.py (the thesis's) says what a head is; displacement.py and kinematic.py correct standing still and straight
motion, verlet.py corrects motion under learned pair forces. Begin with absolute.py.
"""
