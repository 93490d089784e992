"""A system so dense that many draws of its simulations are redrawn."""

from pipelines.nbody.config import SimulationConfig

DENSE = SimulationConfig(
    num_particles=5, num_steps=2000, save_every=100, time_step=1e-5, radius=1.0, min_distance=0.2, max_energy_error=1e-6
)
