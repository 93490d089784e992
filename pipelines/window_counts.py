"""The number of windows that a trajectory gives, without TensorFlow, which takes seconds to import."""

from pipelines.config import DataConfig


def count_windows(num_frames: int, config: DataConfig) -> int:
    """Count the windows of one trajectory over all phases.

    Phase p keeps n_p = ceil((num_frames - p * subsample / phases) / subsample) frames and holds
    floor((n_p - (T + T')) / shift) + 1 windows.

    Args:
        num_frames: Number of stored frames.
        config: Subsampling and window sizes.

    Returns:
        The number of windows; a phase shorter than one window has none.
    """
    lengths = (len(range(start, num_frames, config.subsample)) for start in phase_starts(config))
    return sum(len(range(0, length - config.window_steps + 1, config.window_shift)) for length in lengths)


def phase_starts(config: DataConfig) -> range:
    """First stored frame of every phase: p * subsample / phases."""
    return range(0, config.subsample, config.subsample // config.num_phases)
