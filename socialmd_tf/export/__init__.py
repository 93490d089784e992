"""Exported models: a SavedModel of standard TensorFlow operations, the Keras weights, and a model card.

saved_model.py loads one and predicts with it (`ExportedModel`): frames.py and model_inputs.py are what it takes,
forecast.py what it gives. write.py exports a model; signatures.py and input_checks.py are the graph. Begin with
saved_model.py.
"""
