"""Slow, obvious NumPy definitions in float64 that the tests hold the fast code to."""

import itertools
import math

import numpy as np


def stacked_pooling(positions, states, mask, bins, side_lengths):
    """Pool `[B, N, D]` and `[B, N, C]` to `[B, N, bins, (bins,)... C]` by loops (thesis section 2.3)."""
    positions, states = np.asarray(positions, np.float64), np.asarray(states, np.float64)
    num_systems, num_particles, num_dimensions = positions.shape
    mask = np.ones((num_systems, num_particles)) if mask is None else mask
    pooled = np.zeros((num_systems, num_particles, *(bins,) * num_dimensions, states.shape[-1]))
    for b, i, j in itertools.product(range(num_systems), range(num_particles), range(num_particles)):
        if i == j or not mask[b, i] or not mask[b, j]:
            continue
        displacement = positions[b, j] - positions[b, i]
        for side in side_lengths:
            index = tuple(math.floor(x / side * bins + bins / 2) for x in displacement)
            if math.hypot(*displacement) <= side / 2 and all(0 <= k < bins for k in index):
                pooled[(b, i, *index)] += states[b, j]
    return pooled


def multiscale_pooling(positions, states, mask, bins, side_lengths):
    """Share states `[B, N, C]` between the bins around: `[B, N, S, bins, (bins,)... C]`.

    In grid s bin m gets of a neighbour at the place u, in bins from the centre of the first one, the share
    prod max(0, 1 - |u - m|).
    """
    positions, states = np.asarray(positions, np.float64), np.asarray(states, np.float64)
    num_systems, num_particles, num_dimensions = positions.shape
    grids = len(side_lengths), *(bins,) * num_dimensions
    pooled = np.zeros((num_systems, num_particles, *grids, states.shape[-1]))
    for b, i, j in itertools.product(range(num_systems), range(num_particles), range(num_particles)):
        if i == j or not mask[b, i] or not mask[b, j]:
            continue
        for s, side in enumerate(side_lengths):
            place = (positions[b, j] - positions[b, i]) / side * bins + (bins - 1) / 2
            for m in itertools.product(range(bins), repeat=num_dimensions):
                pooled[(b, i, s, *m)] += np.maximum(0, 1 - np.abs(place - m)).prod() * states[b, j]
    return pooled


def convolution(grid, kernel, bias, strides=1):
    """Convolve a grid `[n, (n,)... C]` with a kernel `[k, (k,)... C, filters]`: zero padding, "same" size.

    What does not divide evenly pads one bin more behind than in front.
    """
    num_dimensions, size, width = grid.ndim - 1, grid.shape[0], kernel.shape[0]
    output_size = math.ceil(size / strides)
    before = max((output_size - 1) * strides + width - size, 0) // 2
    result = np.zeros((*(output_size,) * num_dimensions, kernel.shape[-1]))
    for place in itertools.product(range(output_size), repeat=num_dimensions):
        result[place] = bias
        for offset in itertools.product(range(width), repeat=num_dimensions):
            source = tuple(p * strides + o - before for p, o in zip(place, offset, strict=True))
            if all(0 <= s < size for s in source):
                result[place] += grid[source] @ kernel[offset]
    return result


def max_pooling(grid, pool_size):
    """Maxima of the windows of a grid `[n, (n,)... C]`; an incomplete last window is dropped."""
    num_dimensions, output_size = grid.ndim - 1, grid.shape[0] // pool_size
    result = np.zeros((*(output_size,) * num_dimensions, grid.shape[-1]))
    for place in itertools.product(range(output_size), repeat=num_dimensions):
        window = tuple(slice(p * pool_size, (p + 1) * pool_size) for p in place)
        result[place] = grid[window].max(axis=tuple(range(num_dimensions)))
    return result


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softplus(x):
    return np.logaddexp(0, x)


def relu(x):
    return np.maximum(x, 0)


def silu(x):
    return x * sigmoid(x)


def pair_force(positions, features, mask, weights, softening, cutoff, acceleration_scale):
    """Accelerations `[B, N, D]` of a `PairForce` by loops over pairs, for positions `[B, N, D]`."""
    positions, features = np.asarray(positions, np.float64), np.asarray(features, np.float64)

    def dense(name, values):
        return values @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]

    def charges(name, values):
        return dense(f"{name}_2", silu(dense(f"{name}_1", silu(dense(f"{name}_0", np.append(values, 1.0))))))

    accelerations = np.zeros_like(positions)
    num_systems, num_particles, _ = positions.shape
    for b, i, j in itertools.product(range(num_systems), range(num_particles), range(num_particles)):
        displacement = positions[b, j] - positions[b, i]
        is_seen = i != j and mask[b, i] and mask[b, j] and math.hypot(*displacement) <= cutoff
        if not is_seen:
            continue
        r = math.sqrt(displacement @ displacement + softening**2)
        strengths = dense("range", silu(dense("range_hidden", np.array([math.log(r)]))))
        size = (charges("response", features[b, i]) * charges("source", features[b, j]) * strengths).sum()
        accelerations[b, i] += acceleration_scale * size * displacement / r**3
    return accelerations


def radial_sums(positions, weights, mask, cutoff, num_functions):
    """Sums `[B, N, D, functions, K]` of the layer's function, by loops over pairs."""
    positions, weights = np.asarray(positions, np.float64), np.asarray(weights, np.float64)
    num_systems, num_particles, _ = positions.shape
    sums = np.zeros((*positions.shape, num_functions, weights.shape[-1]))
    centers = np.linspace(0.16 * cutoff, 0.84 * cutoff, num_functions)
    width = 0.68 * cutoff / max(num_functions - 1, 1)
    for b, i, j in itertools.product(range(num_systems), range(num_particles), range(num_particles)):
        displacement = positions[b, j] - positions[b, i]
        distance = math.hypot(*displacement)
        if i == j or not mask[b, i] or not mask[b, j] or distance > cutoff:
            continue
        for f, center in enumerate(centers):
            value = math.exp(-((distance - center) ** 2) / (2 * width**2)) * (1 - (distance / cutoff) ** 6)
            sums[b, i, :, f] += value * np.outer(displacement / distance, weights[b, j])
    return sums


def langevin_step(inputs, outputs, state, weights, head, lawful_moves=None):
    """Means `[B, N, D]`, covariances `[B, N, D, D]` and the state after one frame, particle by particle.

    Args:
        inputs: What a `LangevinHead` reads.
        outputs: Output of the cell `[B, N, C]`.
        state: The last move, the averages and the age.
        weights: The head's, by name.
        head: The head, for its settings.
        lawful_moves: Moves under the law of a head that has one, `[B, N, D]`.
    """
    x, v, features = (np.asarray(inputs[name], np.float64) for name in ("positions", "velocities", "features"))
    last_move, averages, age = (np.array(value, np.float64) for value in state)
    kinds = np.concatenate([features, np.ones_like(x[..., :1])], axis=-1)
    num_functions = head.num_functions if lawful_moves is None else 0
    sums = radial_sums(x, kinds, inputs["mask"], head.cutoff, num_functions)
    means, covariances = np.zeros_like(x), np.zeros((*x.shape, x.shape[-1]))

    def compress(value):
        return math.copysign(math.log1p(abs(value)), value)

    for b, i in itertools.product(*map(range, x.shape[:2])):
        for k, tau in enumerate(head.time_constants):
            averages[b, i, k] += max(1 / (age[b, i, 0] + 1), 1 / tau) * (x[b, i] - averages[b, i, k])
        vectors = [v[b, i] / head.move_scale, last_move[b, i] / head.move_scale]
        memory = [x[b, i], *averages[b, i]]
        for tau, newer, older in zip(head.time_constants, memory[:-1], memory[1:], strict=True):
            vectors.append((older - newer) / (head.move_scale * math.sqrt(tau)))
        if "anchors" in inputs:
            vectors.append((np.asarray(inputs["anchors"][b, i], np.float64) - x[b, i]) / head.cutoff)
        radius = math.hypot(*x[b, i])
        direction = x[b, i] / radius
        longest = max(head.time_constants)
        numbers = [*outputs[b, i], *features[b, i]]
        numbers.append(math.log(min(age[b, i, 0] + 1, longest)) / math.log(longest + 1))
        numbers += [math.log1p(math.hypot(*vector)) for vector in vectors]
        if head.is_centered:
            numbers += [compress(vector @ direction) for vector in vectors]
            numbers.append(radius / head.cutoff)
        values = np.array(numbers)
        for name in ("hidden_0", "hidden_1"):
            values = silu(values @ weights[f"{name}/kernel"] + weights[f"{name}/bias"])
        if lawful_moves is None and not outputs.shape[-1]:
            coefficients = list(kinds[b, i] @ weights["coefficients/kernel"])
        else:
            coefficients = list(values @ weights["coefficients/kernel"] + weights["coefficients/bias"])
        if head.is_centered:
            vectors += [vector @ direction * direction for vector in vectors]
            vectors += [(radius / head.cutoff) ** power * direction for power in range(4)]
        mean = x[b, i] + head.move_scale * sum(coefficients.pop(0) * vector for vector in vectors)
        for f, k in itertools.product(range(num_functions), range(kinds.shape[-1])):
            mean = mean + head.move_scale * coefficients.pop(0) * sums[b, i, :, f, k]
        raw = values @ weights["deviations/kernel"] + weights["deviations/bias"]
        *radial, tangential = head.move_scale * softplus(raw)
        covariance = (tangential**2 + head.scale_floor**2) * np.eye(len(mean))
        if head.is_centered:
            covariance += (radial[0] ** 2 - tangential**2) * np.outer(direction, direction)
        assert not coefficients
        if lawful_moves is not None:
            mean = x[b, i] + float(head.correction_scale) * (mean - x[b, i]) + lawful_moves[b, i]
        means[b, i], covariances[b, i] = mean, covariance
    return means, covariances, (v, averages, age + 1)


def adaptive_verlet(positions, velocities, acceleration, real, softening, fraction, substeps):
    """Positions and velocities `[N, D]` one time unit later by the steps of a `VerletHead`, and how many they are.

    Args:
        positions: `[N, D]`.
        velocities: `[N, D]`.
        acceleration: Function of positions.
        real: Indices of the particles whose pairs count.
        softening: Added to distances in squares.
        fraction: Of the time in which a pair passes, the longest step.
        substeps: Smallest number of steps.
    """
    x, v = np.asarray(positions, np.float64), np.asarray(velocities, np.float64)
    left, count = 1.0, 0
    while left > 0:
        a = acceleration(x)
        longest = 1 / substeps
        for i, j in itertools.combinations(real, 2):
            r = math.sqrt(((x[j] - x[i]) ** 2).sum() + softening**2)
            passing, falling = r / math.hypot(*(v[j] - v[i])), math.sqrt(r / math.hypot(*(a[j] - a[i])))
            longest = min(longest, fraction * passing, fraction * falling)
        h = left / max(math.ceil(left / longest - 1e-3), 1)
        x = x + v * h + a * h**2 / 2
        v = v + (a + acceleration(x)) * h / 2
        left, count = left - h, count + 1
    return x, v, count


def multiscale_interaction(inputs, weights, bins, side_lengths):
    """gamma `[B, N, E]` of a `MultiscalePoolingInteraction`: sums over pairs and bins, times the response."""
    positions, _, features, hidden_state, mask = (np.asarray(value, np.float64) for value in inputs)
    states = np.concatenate(
        [np.ones_like(features[..., :1]), features, hidden_state @ weights["state_embedding/kernel"]], -1
    )
    pooled = multiscale_pooling(positions, states, mask, bins, side_lengths)
    factors = [(side_lengths[0] / side) ** 2 for side in side_lengths]
    scaled = np.moveaxis(np.moveaxis(pooled, 2, -1) * factors, -1, 2)
    readout = next(value for name, value in weights.items() if name.endswith("/readout"))
    response = silu(features @ weights["response_hidden/kernel"] + weights["response_hidden/bias"])
    response = response @ weights["response/kernel"] + weights["response/bias"]
    flat = scaled.reshape(*positions.shape[:2], -1)
    return flat @ readout.reshape(flat.shape[-1], -1) * response


def lstm_step(inputs, hidden_state, cell_state, kernel, recurrent_kernel, bias):
    """One LSTM step of `[..., inputs]`; the gates lie in the order i, f, c, o."""
    gates = inputs @ kernel + hidden_state @ recurrent_kernel + bias
    i, f, c, o = np.split(gates, 4, axis=-1)
    cell_state = sigmoid(f) * cell_state + sigmoid(i) * np.tanh(c)
    return sigmoid(o) * np.tanh(cell_state), cell_state


def weights_by_name(layer):
    """Weights of a layer in float64 under the last two parts of their paths, such as `lstm/kernel`."""
    names = ["/".join(weight.path.split("/")[-2:]) for weight in layer.weights]
    weights = {name: np.asarray(weight, np.float64) for name, weight in zip(names, layer.weights, strict=True)}
    assert len(weights) == len(layer.weights)
    return weights


def interaction_step(positions, hidden_state, mask, weights, bins, side_lengths):
    """gamma `[B, N, E]` = relu(W_gamma CNN(H)), H the stacked pooling of W_beta h (thesis section 4.4)."""
    states = hidden_state @ weights["state_embedding/kernel"]
    pooled = stacked_pooling(positions, states, mask, bins, side_lengths)
    num_convolutions = sum("convolution" in name and name.endswith("kernel") for name in weights)
    flat = []
    for grid in pooled.reshape(-1, *pooled.shape[2:]):
        for k in range(num_convolutions):
            kernel, bias = (weights[f"convolution_{k}/{name}"] for name in ("kernel", "bias"))
            grid = max_pooling(relu(convolution(grid, kernel, bias)), 2)
        flat.append(grid.reshape(-1))
    gamma = relu(np.stack(flat) @ weights["embedding/kernel"])
    return gamma.reshape(*pooled.shape[:2], -1)


def cell_step(positions, features, hidden_state, cell_state, mask, weights, bins, side_lengths):
    """One step of the thesis's recurrent cell (section 4.4): [h, alpha] `[B, N, H + embedding]`, h and c."""
    alpha = np.concatenate([positions, features], axis=-1) @ weights["input_embedding/kernel"]
    gamma = interaction_step(positions, hidden_state, mask, weights, bins, side_lengths)
    lstm = [weights[f"lstm/{name}"] for name in ("kernel", "recurrent_kernel", "bias")]
    hidden_state, cell_state = lstm_step(np.concatenate([alpha, gamma], axis=-1), hidden_state, cell_state, *lstm)
    return np.concatenate([hidden_state, alpha], axis=-1), hidden_state, cell_state


def plain_cell_step(positions, features, hidden_state, cell_state, weights, lstm_layers):
    """One step of the first experiment's cell without dropout (thesis section 3.3): its outputs, h and c."""

    def perceptron(values, name):
        for i in range(sum(key.startswith(f"{name}_") for key in weights) // 2):
            values = relu(values @ weights[f"{name}_{i}/kernel"] + weights[f"{name}_{i}/bias"])
        return values

    values, states, start = perceptron(np.concatenate([positions, features], axis=-1), "input"), [], 0
    for i, units in enumerate(lstm_layers):
        own = slice(start, start := start + units)
        lstm = [weights[f"lstm_{i}/{name}"] for name in ("kernel", "recurrent_kernel", "bias")]
        states.append(lstm_step(values, hidden_state[..., own], cell_state[..., own], *lstm))
        values = states[-1][0]
    return perceptron(values, "output"), *(np.concatenate(parts, axis=-1) for parts in zip(*states, strict=True))


def head_step(outputs, weights, scale_floor):
    """Mean `[..., 2]` and covariance `[..., 2, 2]` of one Gaussian in 2D (thesis section 2.5), with its floor."""
    raw = outputs @ weights["dense/kernel"]
    first, second, correlation = softplus(raw[..., 2]), softplus(raw[..., 3]), 0.999 * np.tanh(raw[..., 4])
    covariance = np.zeros((*raw.shape[:-1], 2, 2))
    covariance[..., 0, 0], covariance[..., 1, 1] = first**2 + scale_floor**2, second**2 + scale_floor**2
    covariance[..., 0, 1] = covariance[..., 1, 0] = correlation * first * second
    return raw[..., :2], covariance


def gaussian_log_density(x, mean, covariance):
    """log N(x; mean, covariance) of vectors `[D]`, from the inverse and the determinant."""
    x, mean, covariance = (np.asarray(value, np.float64) for value in (x, mean, covariance))
    offset = x - mean
    distance = offset @ np.linalg.inv(covariance) @ offset
    return -0.5 * (distance + len(x) * math.log(2 * math.pi) + math.log(np.linalg.det(covariance)))


def mixture_log_density(x, weights, means, covariances):
    """log sum_k w_k N(x; mean_k, covariance_k), summed relative to the largest term."""
    terms = [
        math.log(weight) + gaussian_log_density(x, mean, covariance)
        for weight, mean, covariance in zip(weights, means, covariances, strict=True)
    ]
    largest = max(terms)
    return largest + math.log(sum(math.exp(term - largest) for term in terms))


def unpack_density(vector, num_dimensions, num_components, correlated):
    """A vector `[P]` as `DensityLayout` has it -> weights `[K]`, means `[K, D]`, covariances `[K, D, D]`."""
    vector = list(np.asarray(vector, np.float64))
    logits = [vector.pop(0) for _ in range(num_components)] if num_components > 1 else [0.0]
    means = [[vector.pop(0) for _ in range(num_dimensions)] for _ in range(num_components)]
    covariances = []
    for _ in range(num_components):
        factor = np.zeros((num_dimensions, num_dimensions))
        for row in range(num_dimensions):
            for column in range(row + 1) if correlated else [row]:
                factor[row, column] = vector.pop(0)
        covariances.append(factor @ factor.T)
    assert not vector
    weights = np.exp(np.array(logits) - max(logits))
    return weights / weights.sum(), np.array(means), np.array(covariances)


def accessible_areas(positions, radii, probe, points):
    """Shrake and Rupley's areas `[N]`, point by point; `points` are unit vectors `[K, 3]`."""
    areas = []
    for i in range(len(positions)):
        free = 0
        for point in points:
            place = positions[i] + (radii[i] + probe) * point
            others = (j for j in range(len(positions)) if j != i)
            free += all(np.linalg.norm(place - positions[j]) >= radii[j] + probe for j in others)
        areas.append(4 * np.pi * (radii[i] + probe) ** 2 * free / len(points))
    return np.array(areas)
