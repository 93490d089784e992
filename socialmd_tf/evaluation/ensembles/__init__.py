"""Evaluation of random motion: many drawn trajectories of every file, scored by summary statistics.

`evaluate.py` is the entry point: it draws ensembles from every start in `cases.py`. `curves.py` computes the statistics
of a path frame by frame, in groups of particles (`groups.py`); `scores.py` compares an ensemble of numbers with what
was observed; `baselines.py` has ensembles without a network; `findings.py` holds the result. Start with `evaluate.py`.
"""
