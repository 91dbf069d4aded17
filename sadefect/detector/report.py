"""A report in one HTML file: no network, no script, light and dark."""

import base64
import html
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from sadefect.files import whole

SHOWN = 6  # Images at either end of the ranking, and around the threshold.
THUMBNAIL = 420  # Pixels.
BINS = 30
COLOURS = {"good": "#0072B2", "defective": "#D55E00", "held out": "#009E73"}
STYLE = """
:root { color-scheme: light dark; --ink: #222; --paper: #fff; --line: #ccc; --faint: #f4f4f4; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ddd; --paper: #1b1b1d; --line: #555; --faint: #28282b; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
  max-width: 66rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
table { border-collapse: collapse; } th, td { text-align: left; padding: .2rem .8rem .2rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
.row { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; width: min(100%, 32.4rem); } figure div { display: flex; gap: .3rem; }
figure img { width: 50%; min-width: 0; border-radius: 3px; } figcaption { font-size: .85rem; }
svg text { fill: var(--ink); font-size: 12px; } svg .axis { stroke: var(--ink); }
.scroll { overflow-x: auto; } details { margin: .6rem 0; }
"""


def write(output, detector, fpr, image_fpr, *, title, truth=None, metrics=None, curves=None):
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
    rows = [row for row in output.rows if "score" in row]
    rows.sort(key=lambda row: (-row["score"], -row["peak"]))
    limit = detector.image_threshold(image_fpr, fpr)
    parts = [
        f"<h1>{html.escape(title)}</h1>",
        _summary(output.rows, limit, detector.threshold(fpr)),
    ]
    if metrics:
        parts += ["<h2>Against the masks</h2>", _metrics(metrics), _roc(curves)]
    if rows:
        held_out = detector.calibration_.scores(fpr).tolist()
        parts += ["<h2>Scores</h2>", _scores(rows, held_out, limit.value, truth or {})]
        parts += [
            "<h2>Pictures</h2><p>Left the image with what was found outlined in orange"
            + (" and what is true in blue" if truth else "")
            + "; right its anomaly map, brighter where more anomalous.</p>"
        ]
        for name, chosen in _chosen(rows, limit.value):
            if chosen:
                parts += [f"<h3>{name}</h3>", _gallery(output, chosen, truth or {})]
    parts += ["<h2>All images</h2>", _list(output.rows), "<h2>Where this comes from</h2>"]
    parts += [_provenance(detector)]
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )
    path = output.folder / "report.html"
    with whole(path, within=output.partial) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _chosen(rows, limit):
    """The rows to show pictures of, in three groups; no row twice."""
    highest, rest = rows[:SHOWN], rows[SHOWN:]
    nearest = sorted(rest, key=lambda row: abs(np.log1p(row["score"]) - np.log1p(limit)))[:SHOWN]
    rest = [row for row in rest if not any(row is one for one in nearest)]
    nearest = [row for row in rows if any(row is one for one in nearest)]
    titles = ("Highest scores", "Nearest to the threshold", "Lowest scores")
    return zip(titles, (highest, nearest, rest[-SHOWN:]), strict=True)


def _summary(rows, limit, pixels):
    counts = {name: sum(row["verdict"] == name for row in rows) for name in ("defect", "good")}
    unread = len(rows) - sum(counts.values())
    return (
        f"<p><strong>{counts['defect']} of {len(rows) - unread} images judged defective</strong>"
        + (f", {unread} unreadable" if unread else "")
        + ".</p><p>A pixel is flagged if its map reaches "
        f"{pixels.value:.4g}, as {pixels.fpr:.4g} of all pixels of held-out good images do. An "
        "image's score is the area of its largest flagged region; it is judged defective if that "
        f"has {limit.value:,} pixels or more. This was set for a share of {limit.fpr:.4g} of good "
        f"images; {html.escape(limit.sentence())}.</p>"
    )


def _table(pairs, header=()):
    head = "".join(f"<th>{html.escape(str(name))}</th>" for name in header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(_say(cell))}</td>" for cell in row) + "</tr>"
        for row in pairs
    )
    return f'<div class="scroll"><table>{f"<tr>{head}</tr>" if head else ""}{body}</table></div>'


def _say(value):
    if isinstance(value, dict):
        return ", ".join(f"{name} {_say(one)}" for name, one in value.items())
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


def _metrics(metrics):
    image = metrics["image_auroc"]
    pairs = [
        ("AUROC of pixels", metrics["auroc"]),
        ("AUPRO up to a false positive rate of 0.3", metrics["aupro"]),
        ("AUROC of images", "no defect-free test images" if image is None else image),
        ("true defect regions", metrics["regions"]),
    ]
    kinds = [
        (kind, f"{one['defect']} of {one['images']} judged defective")
        for kind, one in metrics["verdicts"].items()
    ]
    return _table([*pairs, *kinds])


def _list(rows):
    columns = ("image", "verdict", "score", "peak of the map", "share of the image", "regions")
    lines = [
        [
            row["image"],
            row["verdict"],
            row.get("score"),
            row.get("peak"),
            f"{row['area']:.2%}" if "area" in row else row.get("error"),
            len(row["regions"]) if "regions" in row else None,
        ]
        for row in rows
    ]
    return f"<details><summary>{len(rows)} images</summary>{_table(lines, columns)}</details>"


def _provenance(detector):
    made = detector.provenance_
    history = detector.history_
    pairs = [*detector.get_params().items(), *made.items()]
    if len(history):
        pairs.append(("mean loss at the end of training", float(history[-1, 1])))
    return _table(pairs)


def _gallery(output, rows, truth):
    figures = []
    for row in rows:
        pictures = "".join(
            f'<img alt="{kind} of {html.escape(row["image"])}" '
            f'src="{_embedded(output.picture(row["stem"], kind))}">'
            for kind in ("overlay", "map")
        )
        defect, known = row["verdict"] == "defect", truth.get(row["image"])
        name = "/".join(Path(row["image"]).parts[-2:])  # The list below has the whole path.
        said = f"{html.escape(name)}: judged {'defective' if defect else 'good'}"
        said += f", {row['score']:,} pixels"
        if known is not None and known != defect:
            said += f" <strong>({'missed' if known else 'false alarm'})</strong>"
        figures.append(f"<figure><div>{pictures}</div><figcaption>{said}</figcaption></figure>")
    return f'<div class="row">{"".join(figures)}</div>'


def _embedded(path):
    with Image.open(path) as picture:
        # Our own pictures; the reader has checked the size of the image that they are of.
        picture.thumbnail((THUMBNAIL, THUMBNAIL))
        file = BytesIO()
        picture.convert("RGB").save(file, "jpeg", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _frame(width, height, body, label):
    return (
        f'<svg role="img" aria-label="{html.escape(label)}" viewBox="0 0 {width} {height}" '
        f'style="max-width:{width}px;width:100%">{body}</svg>'
    )


def _scores(rows, held_out, limit, truth):
    """A histogram of scores by what the images are, as far as it is known."""
    groups = {"held out": list(held_out)}
    for row in rows:
        known = truth.get(row["image"])
        name = "images" if known is None else "defective" if known else "good"
        groups.setdefault(name, []).append(row["score"])
    # From a pixel to the whole image: the axis is logarithmic, and none is shown as one pixel.
    groups = {name: np.log10(np.maximum(one, 1)) for name, one in groups.items()}
    limit = float(np.log10(max(limit, 1)))
    high = int(np.ceil(max(1, limit + 0.01, *(one.max() + 0.01 for one in groups.values()))))
    width, unit, parts = high / BINS, 600 / high, []
    # The threshold is an edge, so that no bar stands on both of its sides.
    edges = limit + width * np.arange(-np.ceil(limit / width), BINS + 1)
    counts = {name: np.histogram(one, edges)[0] for name, one in groups.items()}
    top = max(int(one.max()) for one in counts.values())
    for power in range(high + 1):
        place = 30 + unit * power
        anchor = "middle" if power < high else "end"
        parts.append(
            f'<line class="axis" x1="{place:.1f}" x2="{place:.1f}" y1="170" y2="175"/>'
            f'<text x="{place:.1f}" y="188" text-anchor="{anchor}">{10**power:,}</text>'
        )
    for number, (name, values) in enumerate(counts.items()):
        colour = COLOURS.get(name, "#CC79A7")
        for edge, count in zip(edges, values, strict=False):
            if count:
                tall, left = 140 * count / top, 30 + unit * max(edge, 0)
                wide = 29 + unit * (edge + width) - left
                parts.append(
                    f'<rect x="{left:.1f}" y="{170 - tall:.1f}" width="{wide:.1f}"'
                    f' height="{tall:.1f}" fill="{colour}" fill-opacity=".6"/>'
                )
        parts.append(
            f'<rect x="{40 + 150 * number}" y="222" width="12" height="12" fill="{colour}" '
            f'fill-opacity=".6"/><text x="{56 + 150 * number}" y="233">{html.escape(name)} '
            f"({len(groups[name])})</text>"
        )
    at = 30 + unit * limit
    anchor = "end" if at > 330 else "start"
    parts.append(
        f'<line class="axis" x1="{at:.1f}" x2="{at:.1f}" y1="6" y2="170" stroke-dasharray="4 3"/>'
        f'<text x="{at + (-5 if at > 330 else 5):.1f}" y="16" text-anchor="{anchor}">threshold '
        f'{10**limit:,.0f}</text><line class="axis" x1="30" x2="630" y1="170" y2="170"/>'
        f'<text x="330" y="204" text-anchor="middle">largest flagged region, pixels</text>'
        f'<text x="24" y="40" text-anchor="end">{top}</text>'
    )
    return _frame(660, 240, "".join(parts), "Histogram of the images' scores")


def _roc(curves):
    points = " ".join(
        f"{40 + 260 * x:.1f},{280 - 260 * y:.1f}"
        for x, y in zip(curves["fpr"], curves["tpr"], strict=True)
    )
    body = (
        '<rect x="40" y="20" width="260" height="260" fill="none" class="axis"/>'
        '<line class="axis" x1="40" y1="280" x2="300" y2="20" stroke-dasharray="4 3"/>'
        f'<polyline points="{points}" fill="none" stroke="#D55E00" stroke-width="2"/>'
        '<text x="170" y="312" text-anchor="middle">false positive rate of pixels</text>'
        '<text transform="translate(14 150) rotate(-90)" text-anchor="middle">true positive rate'
        '</text><text x="40" y="296">0</text><text x="300" y="296" text-anchor="end">1</text>'
        '<text x="34" y="26" text-anchor="end">1</text>'
    )
    return _frame(330, 320, body, "ROC curve of all pixels")
