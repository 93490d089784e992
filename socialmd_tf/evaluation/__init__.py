"""Compare predictors on the same windows: metrics, baselines, statistics and paired differences.

evaluate.py joins the rest: predictors.py lists what is evaluated beside the models, metrics.py scores densities,
trajectory_statistics.py and molecule_statistics.py compare whole paths. Returns findings and writes nothing.
Begin with evaluate.py.
"""
