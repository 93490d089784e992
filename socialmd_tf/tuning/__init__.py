"""Hyperparameter search with KerasTuner.

hyperparameters.py is the table of what can be searched; search_space.py selects from it over ranges.py; hypermodel.py
builds and trains the model of a trial; oracles.py and tpe.py choose the next trial; search.py runs the trials;
search_directory.py writes the results; live_table.py and plots.py show them. Begin with hyperparameters.py.
"""
