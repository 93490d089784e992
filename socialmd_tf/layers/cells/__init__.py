"""Recurrent cells: what a particle remembers from frame to frame.

social.py is the LSTM that sees its neighbours through an interaction (thesis section 4.4), plain.py the first
experiment's perceptron and LSTMs, every particle by itself. Begin with social.py.
"""
