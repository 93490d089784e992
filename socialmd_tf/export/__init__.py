"""The SavedModel: a trained model as standard TensorFlow operations, without this package.

saved_model.py writes and loads it, signatures.py defines its signatures, input_checks.py refuses wrong inputs within
the graph. Begin with saved_model.py.
"""
