"""Train a model on a dataset, and resume after a kill as if nothing had happened.

train.py is a whole training: fit, export, evaluate. loop.py fits; run.py is what a run keeps on disk, with state.py for
its epochs; initial.py reads the weights of another run or of an exported model; callbacks.py and optimizer.py act per
batch and epoch; motion_scales.py and sample_weights.py prepare the data. Begin with train.py.
"""
