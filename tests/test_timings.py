"""What the page on performance reads, and what the benchmarks count and divide."""

import json

import keras
import numpy as np
import pytest

from benchmarks import _measure
from sadefect import StoreError, build_autoencoder
from sadefect.figures.origins import benchmark_origins
from sadefect.figures.timings import Benchmark, benchmark, benchmark_table, line_charts
from sadefect.paper.store import recorded_folder

MADE = {
    "command": "python -m benchmarks one",
    "commit": "abc",
    "versions": {"keras": "3.0"},
    "machine": {"processor": "a chip", "cores": 2},
    "date": "2020-01-01",
}
ONE = Benchmark(
    ["what", "batch", "speed"], [["a", 8, 1.0], ["b", 8, 2.0], ["c", 16, 4.0]], "", MADE
)


def test_cells_of_a_table():
    assert ONE.column("speed") == [1.0, 2.0, 4.0]
    assert ONE.column("speed", batch=8) == [1.0, 2.0]
    assert ONE.value("speed", "b") == 2.0
    with pytest.raises(ValueError):
        ONE.value("speed", "d")
    assert "| b | 8 | 2 |" in benchmark_table(ONE).data


def test_origins_of_benchmarks_name_a_machine_once():
    other = Benchmark([], [], "", MADE | {"command": "python -m benchmarks two"})
    text = benchmark_origins([ONE, other, ONE]).data
    assert text.count("a chip") == 1
    assert "`python -m benchmarks one`, `python -m benchmarks two`: code `abc`" in text


def test_line_charts_draw_what_they_were_given():
    panel = {"curves": {"a": ([1, 2], [3, 4]), "b": ([1, 2], [1, 1])}, "labels": ("x", "y")}
    drawn = line_charts({"left": panel | {"limit": ("top", 5)}, "right": panel | {"log": "xy"}})
    left, right = drawn.axes
    assert [line.get_ydata()[0] for line in left.lines] == [3, 1, 5]
    assert left.get_ylim()[1] > 5
    assert (right.get_xscale(), right.get_yscale(), right.get_xlabel()) == ("log", "log", "x")


def test_a_missing_table_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("SADEFECT_RECORDED", str(tmp_path))
    with pytest.raises(StoreError, match="python -m benchmarks --record training"):
        benchmark("training")


@pytest.mark.parametrize(
    "path", sorted((recorded_folder() / "benchmarks").glob("*.json")), ids=lambda path: path.stem
)
def test_recorded_tables_are_whole(path):
    found = benchmark(path.stem)
    assert found.rows and all(len(row) == len(found.columns) for row in found.rows)
    assert found.provenance["commit"] and found.provenance["versions"]["keras"]


def test_a_report_is_kept_only_where_that_was_asked_for(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("SADEFECT_RECORDED", str(tmp_path))
    monkeypatch.delenv(_measure.RECORD, raising=False)
    _measure.report("a-b", ("what", "value"), [("x", 0.12345)])
    assert "0.123" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
    monkeypatch.setenv(_measure.RECORD, "1")
    _measure.report("a-b", ("what", "value"), [("x", 0.12345)], "note")
    kept = json.loads((tmp_path / "benchmarks/a-b.json").read_text())
    assert kept["rows"] == [["x", 0.12345]]
    assert kept["provenance"]["command"] == "python -m benchmarks a"


def test_ratios_are_of_rounds():
    times = {"a": np.array([1.0, 10.0, 2.0]), "b": np.array([2.0, 20.0, 4.0])}
    assert _measure.ratio(times, "b", "a") == 2.0
    calls = []
    times = _measure.taking_turns({1: lambda: calls.append(1), 2: lambda: calls.append(2)}, 3, 1)
    assert calls == [1, 2] * 4
    assert {name: len(found) for name, found in times.items()} == {1: 3, 2: 3}


def test_operations_of_a_network():
    inputs = keras.Input((8, 8, 1))
    coarse = keras.layers.Conv2D(3, 4, 2, padding="same")(inputs)  # 4x4 places, 48 weights.
    fine = keras.layers.Conv2DTranspose(1, 4, 2, padding="same")(coarse)  # As many.
    assert _measure.gflop(keras.Model(inputs, fine)) == pytest.approx(2 * 2 * 16 * 48 / 1e9)
    # 0.24 was counted by hand for table 1 with a latent vector of 500.
    assert _measure.gflop(build_autoencoder(latent_dim=500)) == pytest.approx(0.245, abs=0.005)
