"""Pooling grids: sums of the neighbours' states by their positions.

stacked_state_pooling.py is the readable definition (thesis section 2.3.5); pooled_convolution.py computes it together
with the first convolution, much faster; multiscale_pooling.py keeps the grids apart; sparse.py is the sparse matrix
product that both use. all_pairs.py has their sums with static shapes, for compilers, and max_pool.py the maxima of
windows. Begin with stacked_state_pooling.py.
"""
