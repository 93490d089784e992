"""What gradients through the integrator can add to a fitted law: one Gauss-Newton step on the errors of rollouts.

    python benchmarks/gradient_after_fit.py --laws springs trap --seeds 0 1 2

The coefficients are moved in the whitened basis, in which the equations of the fit have the identity as their matrix:
c + L^-T z with the Cholesky factor L of the normal matrix and its penalty. The step minimizes |e + J z|^2 + ridge |z|^2
for the errors e of rollouts of training windows, with J from finite differences; the validation split chooses the
ridge, or no step. Gradient descent in this basis does not get below that minimum as long as errors are linear in z. A
line gives the mean absolute errors of validation rollouts before and after, and the same of their medians.
"""

import argparse
import dataclasses

import numpy as np
from laws import CONFIGS, DIMENSIONS, WINDOWS, simulated
from scipy import linalg

from socialmd_tf.fitting.fit import fit
from socialmd_tf.fitting.integrator import continue_windows
from socialmd_tf.fitting.law import Law
from socialmd_tf.fitting.least_squares import accumulate, typical_residual
from socialmd_tf.fitting.paths import path_rows
from socialmd_tf.fitting.selection import Rollouts

RIDGES = 10.0 ** np.arange(-8, 9, 2)
NUM_WINDOWS = 12
DIFFERENCE = 0.1
"""Of the moves in the whitened basis, in standard errors of the coefficients."""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--laws", nargs="+", choices=list(DIMENSIONS), default=["springs", "trap"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--dimensions", type=int, choices=[2, 3], default=2)
    arguments = parser.parse_args()
    for name in arguments.laws:
        for seed in arguments.seeds:
            data = simulated(dataclasses.replace(CONFIGS[name, arguments.dimensions], seed=seed))
            steps = dict(zip(("warm_up_steps", "rollout_steps"), WINDOWS[name], strict=True))
            fitted = fit(data.train, data.validation, **steps, log=lambda line: None)
            before, after, ridge = improved(fitted, data, **steps)
            print(
                f"{name} {arguments.dimensions}D, seed {seed}: mean {before.mean():.3g} -> {after.mean():.3g}, "
                f"median {np.median(before):.3g} -> {np.median(after):.3g} (ridge {ridge:.0e}, "
                f"{fitted.law.basis.num_columns} coefficients)",
                flush=True,
            )


def improved(fitted, data, warm_up_steps, rollout_steps):
    """Errors of validation windows before and after the step, and its ridge; infinity for no step."""
    law, validation = fitted.law, Rollouts(data.validation, warm_up_steps, rollout_steps)
    basis = whitened_basis(fitted, data.train)
    windows = data.train.windows(warm_up_steps + rollout_steps, warm_up_steps)
    windows = windows[np.arange(NUM_WINDOWS) * len(windows) // NUM_WINDOWS]
    observed, future = windows.windows(warm_up_steps, 10**6), windows.positions[:, warm_up_steps:]

    def errors(z):
        moved = Law(law.basis, law.coefficients + basis @ z)
        return (continue_windows(moved, observed, rollout_steps, 1e-9) - future).ravel()

    error = errors(np.zeros(basis.shape[1]))
    jacobian = np.stack([(errors(DIFFERENCE * unit) - error) / DIFFERENCE for unit in np.eye(basis.shape[1])], axis=1)
    # A window in chaos must not dominate: every window has its own scale.
    scale = np.sqrt(np.mean(error.reshape(NUM_WINDOWS, -1) ** 2, axis=1)).repeat(error.size // NUM_WINDOWS)
    jacobian, error = jacobian / scale[:, None], error / scale
    found = {np.inf: validation.errors(law)}
    for ridge in RIDGES:
        z = -linalg.solve(jacobian.T @ jacobian + ridge * np.eye(basis.shape[1]), jacobian.T @ error, assume_a="pos")
        found[ridge] = validation.errors(Law(law.basis, law.coefficients + basis @ z))
    best = min(found, key=lambda ridge: np.log(found[ridge]).mean())
    return found[np.inf], found[best], best


def whitened_basis(fitted, train):
    """Columns L^-T, in units of the residual."""
    law, rows = fitted.law, list(path_rows(fitted.law, train))
    scale = typical_residual(rows, law.coefficients)
    equations = accumulate(rows, law.coefficients, scale)
    matrix = equations.matrix + fitted.smoothing.penalties(law.basis, equations)
    size = 1 / np.sqrt(np.diagonal(matrix) + 1e-14 * np.diagonal(matrix).max())
    factor = linalg.cholesky(matrix * size[:, None] * size + 1e-12 * np.eye(len(matrix)), lower=True)
    return scale * size[:, None] * linalg.solve_triangular(factor, np.eye(len(matrix)), lower=True, trans=1)


if __name__ == "__main__":
    main()
