"""Interactions: how a particle sees its neighbours.

An interaction is a layer called on `(positions, velocities, features, hidden_state, mask)`: twice `[B, N, D]`, then
`[B, N, F]`, `[B, N, H]` and `[B, N]`. It returns gamma `[B, N, E]`, and `compute_output_shape` of the same arguments'
shapes gives E. In a periodic box it also gets `box`, lattice vectors in rows `[B, D, D]`.

stacked_pooling.py is the thesis's; multiscale_pooling.py and pairwise.py are others, combined.py joins
several, and none.py is for particles that do not see each other. A new interaction is registered in
`socialmd_tf.parts.interactions`. Begin with stacked_pooling.py.
"""
