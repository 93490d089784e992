"""Molecular trajectories become datasets: one particle per molecule, in 3D or in flat slices (thesis section 3.2).

`formats/` reads files, `simulation_frames.py` checks the frames of a simulation against each other, `residues.py` finds
the molecules, `alignment.py` removes periodic jumps. `nanoparticle/` simulates data to try this on.
Begin with `prepare.py`.
"""
