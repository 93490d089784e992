"""Hyperparameter search with KerasTuner.

search.py runs it; search_space.py says which settings are searched and hypermodel.py builds a trial's model;
oracles.py and tpe.py choose the next trial; search_directory.py keeps the records, live_table.py and plots.py show
them. Begin with search.py.
"""
