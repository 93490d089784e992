import pytest

from pipelines import progress
from pipelines.progress import Progress


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.5, "1 s"), (89, "89 s"), (100, "1.7 min"), (5000, "83 min"), (7200, "2 h"), (1e5, "28 h")]
)
def test_plain_lines_say_how_long_the_rest_takes_at_this_speed(monkeypatch, capsys, seconds, text):
    times = iter([0.0, 100.0, 100.0 + seconds, 100.0 + 2 * seconds])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(times))
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    with Progress("work", 40) as shown:
        for done in (20, 30, 40):  # 20 were done by an earlier call
            shown.show(done, f"{done} of 40")
    assert capsys.readouterr().err.splitlines()[-3:] == [
        "work: 20 of 40, 50%",
        f"work: 30 of 40, 75%, about {text} left",
        "work: 40 of 40, 100%",
    ]
