"""Coarse-grained nanoparticles, simulated with OpenMM: a stand-in for all-atom data that are not public.

`beads.py` builds the particle, `dynamics.py` simulates it, `pdb_writer.py` writes frames. Begin with `generate.py`.
"""
