"""Heads: from the output of the cell to the density of each particle's next position.

A head is a layer called on `(outputs, inputs, state)`, with the cell's outputs and inputs, that returns
`(parameters, state)`. It has

- `layout`: the `DensityLayout` of the parameters `[B, N, P]`;
- `mean(parameters)`: the positions `[B, N, D]` that a rollout reads next;
- `get_initial_state(positions)`: the state before the first frame, a tuple of tensors `[B, N, ...]`;
- `observe(state, positions)`: the state after a frame that was observed or drawn, and not predicted as a mean.

It may have `observe_velocities(state, velocities)`, the state after a frame whose velocities were observed too, and
`state_names`, what the tensors of the state are, for the model card. A head that `can_remember`, whose state does not
depend on the densities, has `remember(inputs, state)`, the state after an observed frame: true frames are then
predicted at once. In the inputs are `box` `[B, D, D]` and `edges` `[B, N, N]` if the data have them.

The density of a rollout is that of a frame after means were fed back; a drawn path has the same density in its first
frame. Later the two agree as far as the head adds up covariances in the way its means pass deviations on: exactly for
kinematic.py with a constant spread, nearly for verlet.py, for displacement.py if its displacement contracts as its
covariance does, and not in general for absolute.py and langevin.py, which add up nothing.

absolute.py (the thesis's) is the simplest head. displacement.py and kinematic.py correct standing still and straight
motion; verlet.py corrects motion under learned pair forces; langevin.py is for random motion, and is rolled out by
draws. covariance.py has what they share. A new head is registered in `socialmd_tf.parts.heads`. Begin with absolute.py.
"""
