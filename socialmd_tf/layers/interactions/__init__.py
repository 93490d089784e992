"""Interactions: how a particle sees its neighbours.

An interaction is a layer called on `(positions, velocities, features, hidden_state, mask)` that returns what each
particle learns from the others, `[B, N, E]`: none.py, stacked_pooling.py (the thesis's), multiscale_pooling.py,
pairwise.py, or several side by side, combined.py. The cell does not know which one it has.
Begin with stacked_pooling.py.
"""
