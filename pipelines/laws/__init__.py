"""Laws of motion to learn from, beside the N-body systems of `pipelines.nbody`.

Springs on a random graph, soft disks in a trap with friction, and a Lennard-Jones liquid in a periodic box: each law
draws systems and gives accelerations, vectorized over systems in NumPy. Start with `simulate.py`.
"""
