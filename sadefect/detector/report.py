"""A report in one HTML file: no network, no script, light and dark.

The page and its charts are Jinja2 templates, in ``templates/``; what they show is computed here.
"""

import base64
from io import BytesIO
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image

from sadefect.files import whole

SHOWN = 6  # Images at either end of the ranking, and around the threshold.
THUMBNAIL = 420  # Pixels.
BINS = 30
GROUP_COLOURS = {
    "good": "#0072B2", "defective": "#D55E00", "held out": "#009E73", "images": "#CC79A7",
}  # fmt: skip


def write_report(output, detector, fpr, image_fpr, *, title, truth=None, metrics=None, curves=None):
    """Write ``report.html`` into an `Output`.

    Parameters
    ----------
    output : Output
        With its rows.
    detector : Detector
    fpr, image_fpr : float
        That masks and verdicts are for.
    title : str
    truth : dict, optional
        Name of an image to whether it is defective.
    metrics, curves : dict, optional
        Of `Detector.evaluate`.

    Returns
    -------
    Path
    """
    truth = truth or {}
    rows = [row for row in output.rows if "score" in row]
    rows.sort(key=lambda row: (-row["score"], -row["peak"]))
    limit = detector.image_threshold(image_fpr, fpr)
    verdicts = [row["verdict"] for row in output.rows]
    made_of = {**detector.get_params(), **detector.provenance_}
    if len(detector.history_):
        made_of["mean loss at the end of training"] = float(detector.history_[-1, 1])
    held_out = detector.calibration_.scores(fpr).tolist()
    text = _page().render(
        title=title,
        limit=limit,
        pixels=detector.threshold(fpr),
        defective=verdicts.count("defect"),
        judged=verdicts.count("defect") + verdicts.count("good"),
        metrics=metrics and _metrics(metrics),
        roc=curves and zip(curves["fpr"], curves["tpr"], strict=True),
        histogram=rows and _histogram(_by_truth(rows, held_out, truth), limit.value),
        groups=[
            (name, [_figure(output, row, truth) for row in chosen])
            for name, chosen in _choose(rows, limit.value)
            if chosen
        ],
        truth=truth,
        rows=output.rows,
        made_of=made_of,
    )
    path = output.folder / "report.html"
    with whole(path, within=output.partial) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _page():
    templates = Environment(
        loader=PackageLoader("sadefect.detector"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    templates.filters["readable"] = _readable
    return templates.get_template("report.html")


def _readable(value):
    """Write a value of a table: numbers with commas or four digits, a dict as a list."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_readable(item)}" for name, item in value.items())
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


def _choose(rows, limit):
    """Choose rows to show pictures of, in three groups; no row twice."""
    rest = rows[SHOWN:]
    distances = [abs(np.log1p(row["score"]) - np.log1p(limit)) for row in rest]
    near = set(np.argsort(distances, kind="stable")[:SHOWN].tolist())
    far = [row for number, row in enumerate(rest) if number not in near]
    yield "Highest scores", rows[:SHOWN]
    yield "Nearest to the threshold", [rest[number] for number in sorted(near)]
    yield "Lowest scores", far[-SHOWN:]


def _metrics(metrics):
    image_auroc = metrics["image_auroc"]
    return {
        "AUROC of pixels": metrics["auroc"],
        "AUPRO up to a false positive rate of 0.3": metrics["aupro"],
        "AUROC of images": "no defect-free test images" if image_auroc is None else image_auroc,
        "true defect regions": metrics["regions"],
    } | {
        kind: f"{counts['defect']} of {counts['images']} judged defective"
        for kind, counts in metrics["verdicts"].items()
    }


def _figure(output, row, truth):
    """Prepare the pictures of an image, and whether its verdict is wrong."""
    defect = row["verdict"] == "defect"
    wrong = row["image"] in truth and truth[row["image"]] != defect
    return {
        "row": row,
        "name": "/".join(Path(row["image"]).parts[-2:]),  # The list below has the whole path.
        "verdict": "defective" if defect else "good",
        "mistake": wrong and ("false alarm" if defect else "missed"),
        "pictures": {
            kind: _embedded(output.picture(row["stem"], kind)) for kind in ("overlay", "map")
        },
    }


def _embedded(path):
    with Image.open(path) as picture:
        # Our own pictures; the reader has checked the size of the image that they are of.
        picture.thumbnail((THUMBNAIL, THUMBNAIL))
        file = BytesIO()
        picture.convert("RGB").save(file, "jpeg", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _by_truth(rows, held_out, truth):
    """Group scores by what the images are, as far as it is known."""
    groups = {"held out": held_out}
    for row in rows:
        known = truth.get(row["image"])
        name = "images" if known is None else "defective" if known else "good"
        groups.setdefault(name, []).append(row["score"])
    return groups


def _histogram(groups, limit):
    """Lay out a histogram of groups of scores; places are in pixels of the drawing.

    The axis is logarithmic, from a pixel to the whole image, and none is shown as one pixel.
    """
    groups = {name: np.log10(np.maximum(scores, 1)) for name, scores in groups.items()}
    log_limit = float(np.log10(max(limit, 1)))
    largest = (float(scores.max()) for scores in groups.values())
    high = int(np.ceil(max(1, log_limit + 0.01, *(score + 0.01 for score in largest))))
    width, unit = high / BINS, 600 / high
    # The threshold is an edge, so that no bar stands on both of its sides.
    edges = log_limit + width * np.arange(-np.ceil(log_limit / width), BINS + 1)
    counts = {name: np.histogram(scores, edges)[0] for name, scores in groups.items()}
    top = max(int(numbers.max()) for numbers in counts.values())
    legend = []
    for name, numbers in counts.items():
        bars = []
        for edge, number in zip(edges, numbers, strict=False):
            left, height = 30 + unit * max(edge, 0), 140 * number / top
            if number:
                bars.append((left, 170 - height, 29 + unit * (edge + width) - left, height))
        legend.append((name, len(groups[name]), GROUP_COLOURS[name], bars))
    return {
        "ticks": [(30 + unit * power, 10**power) for power in range(high + 1)],
        "legend": legend,
        "threshold": 30 + unit * log_limit,
        "top": top,
    }
