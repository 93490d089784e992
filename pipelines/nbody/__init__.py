"""The N-body system of the second experiment: Coulomb forces and gravity, velocity Verlet."""
