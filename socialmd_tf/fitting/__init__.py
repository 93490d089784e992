"""Laws of motion fitted to positions in closed form: a model linear in its coefficients, without gradients.

`basis.py` defines the model, `rows.py` and `paths.py` make linear equations of trajectories, `least_squares.py` solves
them, `integrator.py` rolls out, and `fit.py` decides which terms there are. dataset.py reads the
trajectories of a split. NumPy and SciPy only. Start with `fit.py`.
"""
