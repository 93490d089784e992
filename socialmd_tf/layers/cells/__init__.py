"""Recurrent cells: what a particle remembers from frame to frame.

A cell is a layer called on `(inputs, states)`, with a dictionary of `positions` and `velocities` `[B, N, D]`,
`features` `[B, N, F]` and `mask` `[B, N]`, and the states of the last frame. It returns its output `[B, N, C]`, which a
head reads, and the hidden state and cell state `[B, N, H]`. `get_initial_state(batch_size, num_particles)` gives the
first states. A cell without states has empty lists of them.

social.py is one LSTM per particle that sees its neighbours through an interaction (thesis section 4.4); plain.py is the
network of the thesis's first experiment, each particle alone; none.py has no states and no output. A new cell
is registered in `socialmd_tf.parts.cells`. Begin with social.py.
"""
