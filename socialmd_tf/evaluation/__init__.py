"""Evaluate models and baselines on the same windows of a dataset; returns findings and writes nothing.

`evaluate.py` is the entry point. `scored_windows.py` runs predictors on every window; `metrics.py` scores
densities; `close_encounters.py`, `trajectory_statistics.py` and `molecule_statistics.py` compare whole paths;
`paired_bootstrap.py` compares two predictors. Start with `evaluate.py`.
"""
