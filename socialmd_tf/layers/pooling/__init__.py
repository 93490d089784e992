"""Pooling grids: neighbours' states summed by where they are.

stacked_state_pooling.py is the readable definition (thesis section 2.3.5); pooled_convolution.py computes pooling and
the first convolution in one go; multiscale_pooling.py keeps the grids apart; sparse.py is the product they share.
Begin with stacked_state_pooling.py.
"""
