"""Hyperparameter search with KerasTuner.

search.py runs the trials. search_space.py lists the hyperparameters and their ranges; hypermodel.py builds and trains
the model of a trial; oracles.py and tpe.py choose the next trial; search_directory.py writes the results; live_table.py
and plots.py show them. Begin with search_space.py.
"""
