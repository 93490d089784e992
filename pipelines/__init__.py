"""Trajectories, from simulations and files to batches: NumPy, SciPy and tf.data, no Keras, no command line.

`nbody/` simulates datasets and `molecules/` converts molecular trajectories to them. A dataset is trajectory files and
a manifest: manifest.py, npy_files.py and h5md.py define it, validation.py finds its faults, dataset.py makes batches of
it. Begin with manifest.py.
"""
