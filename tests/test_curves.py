"""What python -m diffvs.curves reads from the logs of runs, and where it puts what it makes of them."""

import csv
import json
from dataclasses import replace

import pytest

from diffvs import curves
from diffvs.checkpoint import save
from diffvs.presets import PRESETS
from diffvs.training.log import COLUMNS, LOG, SCORE_COLUMNS, SCORES

PAGE = "before\n<!-- runs: begin -->\nold\n<!-- runs: end -->\nafter\n"


def write_csv(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([*([header] if header else []), *rows])


@pytest.fixture
def run(tmp_path):
    """A run of 40 steps whose loss falls from 4 to 0.1, validated twice on two songs."""
    folder = tmp_path / "first"
    facts = {
        "step": 40,
        "seconds_heard": 7_200.0,
        "seconds_trained": 360.0,
        "machine": "Abacus, 2 logical cores",
    }
    facts |= {"commit": "abc1234", "date": "2026-01-02", "training": {"finetune_sampler": 2}}
    save(folder, PRESETS["tiny"], {}, facts)
    rows = [[n, n / 10, n / 20, 1e-3, 4 - n / 10, 1, 1, 1, "", 20, 0] for n in range(40)]
    write_csv(folder / LOG, COLUMNS, rows)
    scores = []
    for step, hours, plus in ((20, 1.0, 1.0), (40, 2.0, 0.0)):
        for song, sdr in (("A", 2.0), ("B", 4.0)):
            scores += [[step, 0, hours, song, n, sdr + plus + n, 10 * sdr] for n in (1, 2)]
    write_csv(folder / SCORES, SCORE_COLUMNS, scores)
    return folder


def test_the_table_has_a_row_for_each_number_of_steps_at_its_best(run):
    one, two = curves.read_history(run).rows()
    cells = dict(zip(curves.HEADINGS, one, strict=True))
    assert cells["run"] == "first"
    assert cells["preset"] == "tiny"
    assert cells["stage"] == "sampler of 2"
    assert (cells["steps"], cells["minutes"], cells["hours heard"], cells["s of audio/s"]) == (
        "40",
        "6",
        "2.0",
        "20.0",
    )
    assert cells["loss at the end"] == "0.150"  # mean of the last twentieth: 0.2 and 0.1
    assert (cells["validated"], cells["vocals SDR (dB)"]) == (
        "1 step",
        "5.00",
    )  # mean of two songs at step 20
    assert cells["accompaniment SDR (dB)"] == "30.00"
    assert cells["machine"] == "Abacus, 2 logical cores"
    assert cells["commit, date"] == "abc1234, 2026-01-02"
    assert two[-5:-3] == ("2 steps", "6.00")


def test_it_writes_between_the_markers_and_a_picture_beside(run, tmp_path, capsys):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    assert curves.main([str(run), "--write", str(page)]) == 0
    text = page.read_text()
    command = f"python -m diffvs.curves {run} --write {page}"
    assert text.startswith(f"before\n<!-- runs: begin -->\n\nWritten by `{command}`")
    assert text.endswith("![Loss and SDR](page.png)\n\n<!-- runs: end -->\nafter\n")
    assert "old" not in text
    assert (tmp_path / "page.png").read_bytes().startswith(b"\x89PNG")
    assert curves.main([str(run), "--write", str(page)]) == 0
    assert page.read_text() == text  # nothing piles up


def test_the_picture_names_each_run_once_beside_its_curves(run):
    history = curves.read_history(run)
    figure = curves.picture([history, replace(history, name="second")])
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["first", "second"]
    figure.draw_without_rendering()  # where things are is laid out only now
    box = legend.get_window_extent()
    assert not any(axes.get_window_extent().overlaps(box) for axes in figure.axes)
    assert [len(axes.lines) for axes in figure.axes] == [2, 4]  # losses; one and two steps of each


def test_logs_of_before_there_was_a_header_are_read(run):
    (run / SCORES).unlink()
    rows = [[n, n / 10, n / 20, 1e-3, 1.0, 1, 1, 1, 0.5 * n if n in (2, 4) else ""] for n in range(1, 5)]
    write_csv(run / LOG, None, [*rows, [3, 0.3, 0.15, 1e-3, 2.0, 1, 1, 1, ""]])  # resumed at step 3
    history = curves.read_history(run)
    assert history.loss.tolist() == [[0.05, 1.0], [0.1, 1.0], [0.15, 1.0], [0.15, 2.0]]
    (row,) = history.rows()
    assert row[-5:-2] == ("1 step", "1.00", "")


def test_what_is_missing_is_named(run, tmp_path, capsys):
    assert curves.main([str(tmp_path / "nowhere")]) == 2
    assert "nowhere is not the folder of a run" in capsys.readouterr().err
    page = tmp_path / "page.md"
    page.write_text("no markers")
    assert curves.main([str(run), "--write", str(page)]) == 2
    assert "<!-- runs: begin -->" in capsys.readouterr().err
    assert page.read_text() == "no markers"
    assert not (tmp_path / "page.png").exists()
    (run / LOG).write_text(json.dumps({}))
    assert curves.main([str(run)]) == 2
    assert "holds no step" in capsys.readouterr().err
