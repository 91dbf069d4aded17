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
TICKS = 9  # At most, of an axis that is not logarithmic.
GROUP_COLOURS = {
    "good": "#0072B2", "defective": "#D55E00", "held out": "#009E73", "images": "#CC79A7",
}  # fmt: skip


def write_report(output, detector, fpr, image_fpr, *, title, truth=None, metrics=None, curves=None):
    """Write the table and ``report.html`` of an `Output` that has its rows; return the page's path.

    The shares are those that masks and verdicts are for; ``truth`` is a dict of an image's name to
    whether it is defective; metrics and curves are of `Detector.evaluate`.
    """
    truth, limit = truth or {}, detector.image_threshold(image_fpr, fpr)
    output.write_table(limit.value)
    rows = [row for row in output.rows if "score" in row]
    rows.sort(key=lambda row: (-row["score"], -row["peak"]))
    made_of = {**detector.get_params(), **detector.provenance_}
    if len(detector.history_):
        made_of["mean loss at the end of training"] = float(detector.history_[-1, 1])
    groups = {"held out": detector.calibration_.scores(fpr).tolist()}
    for row in rows:
        known = truth.get(row["image"])
        name = "images" if known is None else "defective" if known else "good"
        groups.setdefault(name, []).append(row["score"])
    text = _page().render(
        title=title,
        limit=limit,
        larger=any(row.get("threshold", 0) > limit.value for row in rows),
        notes=detector.notes(),
        pixels=detector.threshold(fpr),
        metrics=metrics,
        roc=curves and zip(curves["fpr"], curves["tpr"], strict=True),
        histogram=rows
        and _histogram(
            groups, limit.value, by_height=detector.calibration_.image_score == "height"
        ),
        chosen=_choose(rows, limit.value),
        picture=output.picture,
        truth=truth,
        rows=output.rows,
        made_of=made_of,
        image_score=detector.calibration_.image_score,
        unit=detector.calibration_.unit,
    )
    path = output.folder / "report.html"
    with whole(path, within=output.partial) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


def _page():
    templates = Environment(
        loader=PackageLoader("sadefect.detector"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    templates.filters |= {
        "readable": _readable,
        "embedded": _embedded,
        "short": lambda name: "/".join(Path(name).parts[-2:]),
    }
    return templates.get_template("report.html")


def _readable(value):
    """Write a value of a table: numbers with commas or four digits, a dict as a list."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {_readable(item)}" for name, item in value.items())
    if isinstance(value, list):
        return "; ".join(map(_readable, value))
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


def _embedded(path):
    with Image.open(path) as picture:
        # Our own pictures; the reader has checked the size of the image that they are of.
        picture.thumbnail((THUMBNAIL, THUMBNAIL))
        file = BytesIO()
        picture.convert("RGB").save(file, "jpeg", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _axis(largest, *, by_height):
    """Return where scores lie on an axis, a function into [0, 1], and the scores of its ticks.

    The axis of areas and masses is logarithmic, from a pixel on, and none is shown as one pixel.
    """
    if not by_height:
        high = int(np.ceil(np.log10(max(largest, 10)) + 0.005))
        return lambda scores: np.log10(np.maximum(scores, 1)) / high, [
            10**power for power in range(high + 1)
        ]
    power = 10 ** int(np.log10(largest))
    step = next(s for s in (power // 2, power, 2 * power) if s and largest / s < TICKS)
    high = step * (int(largest / step) + 1)
    return lambda scores: np.asarray(scores) / high, list(range(0, high + 1, step))


def _histogram(groups, limit, *, by_height):
    """Lay out a histogram of groups of scores; places are in pixels of the drawing."""
    largest = max(10, limit, *(max(scores) for scores in groups.values()))
    place, ticks = _axis(largest, by_height=by_height)
    groups, edge = {name: place(scores) for name, scores in groups.items()}, float(place(limit))
    # The threshold is an edge, so that no bar stands on both of its sides.
    edges = edge + np.arange(-np.ceil(edge * BINS), BINS + 1) / BINS
    counts = {name: np.histogram(scores, edges)[0] for name, scores in groups.items()}
    top = max(int(numbers.max()) for numbers in counts.values())
    legend = []
    for name, numbers in counts.items():
        bars = []
        for first, number in zip(edges, numbers, strict=False):
            left, height = 30 + 600 * max(first, 0), 140 * number / top
            if number:
                right = 29 + 600 * min(first + 1 / BINS, 1)
                bars.append((left, 170 - height, max(right - left, 1), height))
        legend.append((name, len(groups[name]), GROUP_COLOURS[name], bars))
    return {
        "ticks": [(30 + 600 * float(place(tick)), tick) for tick in ticks],
        "legend": legend,
        "threshold": 30 + 600 * edge,
        "top": top,
    }
