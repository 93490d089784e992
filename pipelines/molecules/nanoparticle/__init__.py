"""A coarse-grained nanoparticle, simulated with OpenMM: a stand-in for all-atom data that are not public."""
