"""Ensembles of compositions that need no simulation: training frames, with the types of the particles redrawn.

`evaluate.py` is the entry point. `starts.py` draws the observed frames of a `Mixture` (`mixture.py`) from the training
split; `simulations.py` has what the simulations of the dataset did, beside which the ensembles are scored;
`findings.py` holds the result. The statistics are those of `evaluation.ensembles`. Start with `evaluate.py`.
"""
