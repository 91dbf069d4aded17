"""Figures are whole, and drawn without a warning."""

import io
import warnings
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from PIL import Image, ImageColor

from sadefect import build_autoencoder
from sadefect.detector.overlay import COLOURS, MAGMA, OPACITY, heat_map, outline, overlay, paint
from sadefect.figures.architecture import architecture, outputs_by_layer
from sadefect.figures.origins import origin
from sadefect.figures.panels import Panel, inspection_panels, show_panels
from sadefect.figures.sentences import areas_beside_the_papers, found_by
from sadefect.figures.style import house_style
from sadefect.figures.tables import COLUMNS, augmentation_table, result_table
from sadefect.paper.experiment import Experiment
from sadefect.paper.inspection import Inspection
from sadefect.paper.store import stored_results

PICTURE = np.linspace(0, 1, 256).reshape(16, 16)
MASK = PICTURE > 0.7


def test_panels_have_titles_bars_and_units():
    figure = show_panels(
        [
            [Panel(PICTURE, "input", outline=MASK), Panel(PICTURE, "map", "squared difference")],
            [Panel(2 * PICTURE, "brighter", "1 − SSIM")],
        ]
    )
    assert [axes.get_title() for axes in figure.axes] == ["input", "map", "brighter", ""]
    bars = [bar for axes in figure.axes for bar in axes.child_axes]
    assert [bar.get_xlabel() for bar in bars] == ["squared difference", "1 − SSIM"]
    assert not figure.axes[3].axison


def test_drawing_warns_of_nothing_and_clips_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = show_panels(
            [[Panel(PICTURE, "$\\ell^2$ residual", "1 − $c$ – γ"), Panel(PICTURE, "input")]] * 2
        )
        png = figure._repr_png_()
    pixels = np.asarray(Image.open(io.BytesIO(png)).convert("L"))
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    assert (border == 255).all()  # Opaque white: nothing reaches the rim.
    assert pixels.min() < 80


def test_pictures_of_a_row_are_equally_large():
    figure = show_panels([[Panel(PICTURE, "gray"), Panel(PICTURE, "map", "units")]])
    figure._repr_png_()
    gray, residual = (axes.get_window_extent() for axes in figure.axes[:2])
    assert gray.size == pytest.approx(residual.size)
    assert gray.y0 == pytest.approx(residual.y0)


def test_outlines_of_nothing_and_of_everything_are_left_out():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for mask in (np.zeros_like(MASK), np.ones_like(MASK)):
            show_panels([[Panel(PICTURE, "one", outline=mask)]])._repr_png_()


@pytest.mark.parametrize(
    ("rows", "message"),
    [([], "at least one panel"), ([[Panel(PICTURE[..., None], "one")]], "drop the channel axis")],
)
def test_what_cannot_be_shown(rows, message):
    with pytest.raises(ValueError, match=message):
        show_panels(rows)


def test_a_row_of_an_inspection_has_what_may_be_shown():
    result = SimpleNamespace(experiment=Experiment(dataset="nanotwice", method="l2"))
    private = Inspection(result, "0", "debris", None, None, PICTURE, MASK, PICTURE > 0.5)
    panels = inspection_panels(private)
    assert {name: panel.title for name, panel in panels.items()} == {
        "residual map": "residual map, ℓ²",
        "segmentation": "segmentation, ℓ²",
    }
    assert (panels["segmentation"].image == 1).all()
    shown = Inspection(result, "0", "debris", PICTURE, PICTURE, PICTURE, MASK, PICTURE > 0.5)
    panels = list(inspection_panels(shown, side=8).values())
    assert [panel.title for panel in panels[:2]] == ["input, debris", "reconstruction, ℓ²"]
    assert {panel.image.shape for panel in panels} == {(8, 8)}


def test_sentences_follow_from_their_numbers():
    results = [
        SimpleNamespace(
            experiment=Experiment(dataset="nanotwice", method=method, patches_seen=1_000),
            metrics={"auroc": area},
        )
        for method, area in (("l2", 0.6), ("ssim", 0.9))
    ]
    assert areas_beside_the_papers(results).data == (
        "On `nanotwice`, SSIM reaches an AUROC of 0.900, ℓ² 0.600, after 1,000 patches; the paper "
        "reports 0.688 for ℓ² and 0.966 for SSIM after 2,000,000."
    )
    nothing, all_of_it = (np.full_like(MASK, value) for value in (False, True))
    inspections = [
        Inspection(result, "0", "cut", None, None, PICTURE, MASK, found)
        for result, found in zip(results, (all_of_it, nothing), strict=True)
    ]
    assert found_by(inspections) == "ℓ² finds 100.0 % of the defective pixels, SSIM 0.0 %"


def test_a_table_of_results_has_each_once():
    results = stored_results(["recorded"])[:3]
    lines = result_table([*results, *results], list(COLUMNS)).data.split("\n\n")[0].splitlines()
    assert len(lines) == 5 and all(line.count("|") == len(COLUMNS) + 1 for line in lines)


def test_style_leaves_no_trace():
    before = dict(matplotlib.rcParams)
    with house_style():
        assert matplotlib.rcParams["figure.facecolor"] == "white"
    assert dict(matplotlib.rcParams) == before


def test_the_foot_of_a_page_names_what_made_a_number():
    experiment = Experiment(
        dataset="synthetic/checkerboard", method="l2", patches_seen=12_345, latent_dim=7
    )
    text = origin(experiment).data
    for part in (experiment.training_key, "12,345", "computed by this page", "keras 3"):
        assert part in text
    result = SimpleNamespace(
        experiment=experiment,
        source="recorded",
        outdated=False,
        provenance={
            "commit": "abc123",
            "versions": {"keras": "9.9"},
            "machine": {"processor": "some-processor"},
            "seconds": {"training": 120.0},
        },
    )
    text = origin([result], {"again": result}).data
    for part in ("recorded", "seed 0", "in 2 minutes", "`abc123` with keras 9.9 on some-processor"):
        assert part in text
    assert text.count("abc123") == 1
    assert "keras" in origin().data


def test_one_painter_gives_hits_false_alarms_and_outlines_their_colours():
    flagged, truth = np.zeros((2, 5, 5), bool)
    truth[1:3, 1:3] = flagged[2:4, 2:4] = True
    layers = paint(flagged, truth), outline(truth, "truth")
    opaque = np.uint8(255 * OPACITY + 0.5)
    assert tuple(layers[0][2, 2]) == (*ImageColor.getrgb(COLOURS["hit"]), opaque)
    assert tuple(layers[0][3, 3]) == (*ImageColor.getrgb(COLOURS["false_alarm"]), opaque)
    assert np.array_equal(layers[0][..., 3] > 0, flagged)
    assert not (layers[1][truth] > 0).any(), "an outline lies outside"
    picture = np.asarray(overlay(np.full((5, 5), 0.5), *layers))
    assert tuple(picture[2, 3]) == ImageColor.getrgb(COLOURS["truth"])
    assert tuple(picture[0, 0]) == tuple(picture[4, 4]) == (128, 128, 128)
    alone = paint(flagged)
    assert (alone[flagged] == (*ImageColor.getrgb(COLOURS["flagged"]), opaque)).all()


def test_the_colours_of_maps_are_those_of_matplotlib():
    magma = matplotlib.colormaps["magma"](np.arange(256))[:, :3]
    assert np.array_equal(MAGMA, np.round(255 * magma))
    assert np.asarray(heat_map(np.array([[0.0, 2.0, 9.0]]), 2.0)).tolist() == [
        MAGMA[[0, 255, 255]].tolist()
    ]


def test_augmented_results_stand_beside_those_of_the_printed_recipe():
    lines = augmentation_table(stored_results(["recorded"])).data.splitlines()
    (row,) = [line for line in lines if "| SSIM, augmented | 40,000 |" in line]
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert cells[3] == "constant"
    losses, areas = [float(cell) for cell in cells[4:6]], [float(cells[6]), float(cells[8])]
    assert 0 < losses[0] < 1 and 0 < losses[1] < 1
    assert areas[0] > areas[1]
    assert len(augmentation_table([]).data.splitlines()) == 2


@pytest.mark.parametrize(("patch_size", "latent_dim"), [(128, 100), (32, 8)])
def test_the_network_is_drawn_from_its_layers(patch_size, latent_dim):
    autoencoder = build_autoencoder(patch_size, latent_dim)
    rows = outputs_by_layer(autoencoder)
    names = [f"conv{number}" for number in range(1, 10)]
    assert [row[0] for row in rows] == ["patch", *names, *(f"de{name}" for name in names[::-1])]
    assert rows[-1][1:3] == rows[0][1:3] == (patch_size, 1)
    assert [row[0] for row in rows if row[3] == "latent"] == ["conv9"]
    texts = [text.get_text() for text in architecture(autoencoder).axes[0].texts]
    assert len(texts) == 2 * len(rows) and f"1×1×{latent_dim}" in texts
