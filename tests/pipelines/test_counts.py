from pipelines.counts import count, counted


def test_one_has_no_plural_and_thousands_have_spaces():
    assert [counted(number, "file") for number in (0, 1, 2, 1234567)] == [
        "0 files",
        "1 file",
        "2 files",
        "1 234 567 files",
    ]
    assert [counted(number, "batch", "batches") for number in (1, 2)] == ["1 batch", "2 batches"]
    assert count(1000) == "1 000"
