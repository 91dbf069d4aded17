"""Explorers show numbers of the metrics, and the browser paints what these numbers say."""

import base64
import json
import re
import shutil
import subprocess
from html import unescape
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from book.builder.pages import ROOT, pages
from sadefect.figures.explorers.markup import webp
from sadefect.figures.explorers.slider import comparison, live, steps
from sadefect.figures.explorers.threshold import Levels, segmentations
from sadefect.figures.panels import Panel
from sadefect.metrics import roc_curve
from sadefect.paper.experiment import Experiment
from sadefect.paper.inspection import Inspection
from sadefect.provenance import BUILDING
from sadefect.segmentation import segment

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
GENERATOR = np.random.default_rng(0)
IMAGE = GENERATOR.random((24, 31))
MASK = np.zeros((24, 31), bool)
MASK[5:12, 20:29] = True
RESIDUAL = (GENERATOR.random((24, 31)) + 0.5 * MASK).astype("float32")
WORDS = {"alt": 'What is "seen"', "caption": "A <caption>"}


def inspected(method, residual, threshold, mask=MASK):
    result = SimpleNamespace(
        experiment=Experiment(dataset="synthetic/weave", method=method),
        metrics={"thresholds": {"0.05": threshold}},
    )
    return Inspection(result, "0", "cut", IMAGE, IMAGE, residual, mask, residual >= threshold)


def of_both_methods():
    both = [inspected("l2", RESIDUAL**2, 0.4), inspected("ssim", RESIDUAL, 0.7)]
    return segmentations("one", both, 0.05, **WORDS)


def in_two_steps():
    rows = {
        name: ([Panel(IMAGE, name)], {"AUROC": area}) for name, area in (("a", 0.5), ("b", 0.75))
    }
    return steps("two", "Size", rows, **WORDS)


def inside(explorer):
    """The data that an explorer carries."""
    found = re.search(r'<script type="application/json">(.*?)</script>', explorer.html, re.DOTALL)
    return json.loads(found.group(1))


def test_levels_have_the_rates_of_the_roc_curve():
    cut = Levels.of(MASK, RESIDUAL, 0.7)
    curve = roc_curve([MASK], [RESIDUAL])
    for i, wanted in enumerate(cut.thresholds):
        near = np.flatnonzero(curve.thresholds >= wanted)[-1]  # Bins are 0.01 % wide.
        assert cut.fpr[i] == pytest.approx(curve.fpr[near], abs=2 / MASK.size)
        assert cut.tpr[i] == pytest.approx(curve.tpr[near], abs=2 / MASK.sum())
    assert (cut.fpr[0], cut.tpr[0]) == (1, 1)
    assert (cut.fpr[-1], cut.tpr[-1]) == (0, 0)
    assert (np.diff(cut.thresholds) > 0).all()
    assert np.array_equal(cut.levels > 40, cut.thresholds[40] <= RESIDUAL)


def test_a_pixel_at_a_threshold_is_flagged():
    value = RESIDUAL[7, 22]
    cut = Levels.of(MASK, RESIDUAL, float(value))
    found = cut.levels > np.flatnonzero(cut.thresholds == value)[0]
    assert found[7, 22] and np.array_equal(found, segment(RESIDUAL, value, 0))


def test_a_threshold_beyond_the_map_and_a_constant_map():
    cut = Levels.of(MASK, RESIDUAL, 9.0)
    assert cut.thresholds[-1] == 9
    assert (cut.fpr[-1], cut.tpr[-1]) == (0, 0)
    flat = Levels.of(MASK, np.zeros_like(RESIDUAL), 0.5)
    assert set(zip(flat.fpr, flat.tpr, strict=True)) == {(0, 0), (1, 1)}


def test_the_page_carries_what_it_shows():
    explorer = of_both_methods()
    data = inside(explorer)
    assert json.dumps(data)
    for method, residual in (("ℓ²", RESIDUAL**2), ("SSIM", RESIDUAL)):
        one, cut = data["methods"][method], Levels.of(MASK, residual, {"ℓ²": 0.4}.get(method, 0.7))
        levels = np.frombuffer(base64.b64decode(one["levels"]), "uint8").reshape(MASK.shape)
        assert np.array_equal(levels, cut.levels)
        start = one["start"]
        assert one["fpr"][start] == pytest.approx(cut.fpr[start], abs=1e-5)
        assert f"{100 * cut.tpr[start]:.1f} % of defective pixels" in one["texts"][start]
    bits = np.frombuffer(base64.b64decode(data["mask"]), "uint8")
    assert np.array_equal(np.unpackbits(bits)[: MASK.size].reshape(MASK.shape), MASK)
    for part in ('data-explorer="one"', 'type="range"', "data-readout", "data-picture", "<svg"):
        assert part in explorer.html
    assert 'alt="What is &#34;seen&#34;"' in explorer.html
    assert "A &lt;caption&gt;" in explorer.html
    assert "hidden" in re.search(r'<div class="explorer-controls"[^>]*>', explorer.html).group()


def test_a_build_gets_the_numbers_behind_it(monkeypatch):
    explorer = of_both_methods()
    assert explorer._repr_mimebundle_() == {}, "outside a build notebooks stay small"
    monkeypatch.setenv(BUILDING, "1")
    (data,) = explorer._repr_mimebundle_().values()
    one = json.loads(json.dumps(data))["methods"]["SSIM"]
    cut = Levels.of(MASK, RESIDUAL, 0.7)
    assert one["true_positive_rate"] == pytest.approx(cut.tpr, rel=1e-5)
    png = base64.b64decode(one["thresholds_reached"].removeprefix("data:image/png;base64,"))
    assert np.array_equal(Image.open(BytesIO(png)), cut.levels)
    moved = in_two_steps()
    assert moved.offered["positions"][1] == {"Size": "b", "AUROC": 0.75}
    assert inside(moved)["texts"] == ["AUROC 0.500", "AUROC 0.750"]


def test_what_cannot_be_explored():
    with pytest.raises(ValueError, match="only one kind"):
        segmentations("one", [inspected("l2", RESIDUAL, 0.5, MASK & False)], 0.05, **WORDS)
    with pytest.raises(ValueError, match="at least two steps"):
        steps("one", "K", {"1": ([Panel(IMAGE, "1")], {})}, **WORDS)
    with pytest.raises(ValueError, match="of one shape"):
        comparison("one", IMAGE, IMAGE[:5], names=("a", "b"), **WORDS)


def test_pictures_are_small_files_that_can_be_read():
    import io

    from PIL import Image

    opened = Image.open(io.BytesIO(webp(IMAGE)))
    assert (opened.format, opened.size) == ("WEBP", (31, 24))


def test_a_widget_only_in_a_live_kernel(monkeypatch):
    import IPython

    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(kernel=1))
    monkeypatch.setenv(BUILDING, "1")
    assert not live()
    assert "data-explorer" in of_both_methods()._repr_html_()
    monkeypatch.delenv(BUILDING)
    assert live()
    box = of_both_methods()
    slider, methods, text, shown = box.children
    before = text.value, shown.value
    slider.value = 3
    assert (text.value, shown.value) != before
    methods.value = "ℓ²"
    assert "squared difference" in text.value


def test_text_is_escaped_in_every_kind_of_explorer():
    pair = comparison("three", IMAGE, 1 - IMAGE, names=("a", "</script><b>"), **WORDS)
    for explorer in (of_both_methods(), in_two_steps(), pair):
        assert "A <caption>" not in explorer.html and "</script><b>" not in explorer.html
        assert inside(explorer)["kind"] in explorer.html
    assert "</script><b>" in inside(pair)["values"][0]


@pytest.mark.parametrize("building", ["", "1"])
def test_run_all_gives_widgets_in_a_live_kernel_and_none_in_a_build(
    tmp_path, monkeypatch, building
):
    import papermill

    monkeypatch.setenv(BUILDING, building)
    [page] = [page for page in pages() if page.name == "method_l2"]
    parameters = {"dataset": "synthetic/weave-tiny", "shifts": [0.0, 0.5], "start": 1}
    notebook = papermill.execute_notebook(
        str(page.twin), str(tmp_path / "out.ipynb"), parameters, progress_bar=False
    )
    outputs = [one["data"] for cell in notebook.cells for one in cell.get("outputs", [])]
    widgets = [one for one in outputs if "application/vnd.jupyter.widget-view+json" in one]
    assert bool(widgets) != bool(building)
    assert any("data-explorer" in one.get("text/html", "") for one in outputs) == bool(building)


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium here")
@pytest.mark.parametrize("position", [0, 17, 60, None])
def test_the_browser_paints_what_the_numbers_say(tmp_path, position):
    explorer = of_both_methods()
    data, cut = inside(explorer), Levels.of(MASK, RESIDUAL, 0.7)
    move = "" if position is None else (
        "const s = document.querySelector('input[type=range]');"
        f"s.value = {position}; s.dispatchEvent(new Event('input'));"
    )  # fmt: skip
    script = (ROOT / "book/_static/explorers.js").as_uri()
    page = tmp_path / "page.html"
    page.write_text(
        f'<!doctype html><meta charset="utf-8"><script src="{script}"></script><article>'
        f"{explorer.html}</article><script>addEventListener('load', () => {{{move}}})</script>",
        encoding="utf-8",
    )
    seen = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=3000", "--dump-dom",
            page.as_uri(),
        ],
        capture_output=True, text=True, encoding="utf-8", timeout=120, check=True,
    ).stdout  # fmt: skip
    at = data["methods"]["SSIM"]["start"] if position is None else position
    flagged = cut.thresholds[at] <= RESIDUAL
    painted = re.search(r'data-painted="(\d+) (\d+)"', seen)
    assert painted, "nothing was painted"
    assert [int(one) for one in painted.groups()] == [
        (flagged & MASK).sum(), (flagged & ~MASK).sum(),
    ]  # fmt: skip
    readout = unescape(re.sub("<[^>]+>", "", re.search(r"<output.*?</output>", seen, re.S).group()))
    assert data["methods"]["SSIM"]["texts"][at] in readout
    assert f"{100 * flagged[~MASK].mean():.1f} % of the others" in readout
    assert 'role="img"' in seen
