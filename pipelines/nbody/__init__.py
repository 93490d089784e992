"""Simulated N-body systems: charges and masses in open space, and the charged box of Kipf et al. 2018.

simulate.py and charged_box.py make the datasets, config.py holds their settings. forces.py, verlet.py and
box_integrator.py are the physics, each with a readable NumPy version beside the fast one. The other files give
predictions from the true forces, which bound the errors of models. Begin with simulate.py.
"""
