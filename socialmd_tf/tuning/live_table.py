"""Progress of a search: a live table of the best trials on a terminal, plain lines elsewhere."""

import sys

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

_SHOWN = 10
_PLAIN_WIDTH = 118


class LiveTable:
    """Shows trials as they start, train and end.

    Args:
        max_trials: Largest number of trials.
        names: The hyperparameters to show.
    """

    def __init__(self, max_trials, names):
        on_terminal = sys.stdout.isatty()
        # The present stream: later, stdout is redirected to hide KerasTuner's own output.
        self.console = Console(file=sys.stdout, width=None if on_terminal else _PLAIN_WIDTH, soft_wrap=not on_terminal)
        self.max_trials, self.names = max_trials, names
        self.trials = {}
        self._live = None

    def __enter__(self):
        if self.console.is_terminal:
            self._live = Live(
                console=self.console, redirect_stdout=False, redirect_stderr=False, auto_refresh=False, transient=True
            )
            self._live.start()
        return self

    def __exit__(self, *exception):
        if self._live is not None:
            self._live.stop()
            self._live = None

    def load(self, trials):
        """Add the trials of earlier runs of the command."""
        self.trials = dict(trials)
        if trials:
            done = sum(trial.status in ("COMPLETED", "FAILED") for trial in trials.values())
            self.say(f"resuming the search: {done} of at most {self.max_trials} trials are done")

    def begin(self, trial):
        """Show that a trial starts."""
        self._show(trial, f"trial {trial.trial_id} starts: {self.settings(trial)}")

    def epoch(self, trial, epoch, epochs, loss):
        """Show the validation loss of an epoch."""
        self._show(trial, f"trial {trial.trial_id}, epoch {epoch} of {epochs}: val_loss {loss:.4f}")

    def end(self, trial):
        """Show how a trial ended."""
        if trial.status == "COMPLETED":
            outcome = f"val_loss {trial.score:.4f}"
        else:
            outcome = "failed" if trial.status == "FAILED" else "will be run again"
            reasons = (trial.message or "").strip().splitlines()
            outcome += f": {reasons[-1]}" if reasons else ""
        self._show(trial, f"trial {trial.trial_id} ended: {outcome}")

    def say(self, line):
        """Print a line above the table."""
        self.console.print(Text(line))

    def _show(self, trial, line):
        self.trials[trial.trial_id] = trial
        if self._live is None:
            self.say(line)
        else:
            self._live.update(self.table(caption=line), refresh=True)

    def settings(self, trial):
        """The values of a trial in one line."""
        values = trial.hyperparameters.values
        return ", ".join(f"{name} {_format(values[name])}" for name in self.names if name in values)

    def table(self, caption=None):
        """The best trials as a `rich` table."""
        completed = sorted(
            (trial for trial in self.trials.values() if trial.status == "COMPLETED"), key=lambda trial: trial.score
        )
        failed = sum(trial.status == "FAILED" for trial in self.trials.values())
        title = f"{len(completed)} of at most {self.max_trials} trials completed, {failed} failed"
        table = Table("trial", "val_loss", "epoch", "values", title=title, caption=caption and Text(caption))
        for trial in completed[:_SHOWN]:
            first = trial.hyperparameters.values.get("tuner/initial_epoch", 0)
            table.add_row(
                trial.trial_id, f"{trial.score:.4f}", str(first + trial.best_step + 1), Text(self.settings(trial))
            )
        return table


def _format(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)
