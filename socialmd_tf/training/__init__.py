"""Fit a model to a data set, and resume after a kill as if nothing had happened.

`loop.fit` (loop.py) runs the epochs; run.py is what a run keeps on disk: configuration, scales and checkpoints;
optimizer.py holds the optimizer and the learning rate's schedule, callbacks.py what happens after every batch and
epoch. Begin with loop.py.
"""
