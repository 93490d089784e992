"""Trajectories, from simulations and files to batches: NumPy, SciPy and tf.data, no Keras, no command line.

`nbody/` simulates datasets and `molecules/` converts molecular trajectories to them. A dataset is `.npy` files and a
manifest: manifest.py and npy_files.py define it, validation.py finds its faults, dataset.py makes batches of it.
Begin with manifest.py.
"""
