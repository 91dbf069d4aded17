"""The HTML of explorers: what ``book/_static/explorers.js`` finds in a built page."""

import base64
import json
from html import escape
from io import BytesIO

from PIL import Image

from sadefect.figures.panels import INK

SIZE, LEFT, BOTTOM, TOP = 220, 44, 40, 8  # Of the square of an ROC plot, and around it.


def base64_of(content):
    """Bytes as text."""
    return base64.b64encode(content).decode()


def uri(content):
    """A WebP file as an address that carries it."""
    return f"data:image/webp;base64,{base64_of(content)}"


def image_tag(content, alt):
    """The picture of an explorer, which says how large it is."""
    width, height = Image.open(BytesIO(content)).size
    return (
        f'<img data-picture src="{uri(content)}" alt="{escape(alt)}" '
        f'width="{width}" height="{height}">'
    )


def figure_tag(name, label, data, start, body, caption, choice="", step=None):
    """The markup that the script expects; controls are hidden until it runs."""
    value, text = step[::2] if step else (data["values"][start], data["texts"][start])
    last = data.pop("positions", len(data.get("values", ()))) - 1
    inside = json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
    spoken, rest = (f"{value}: {text}", f": {text}") if text else (value, "")
    return f"""<figure class="explorer explorer-{data["kind"]}" data-explorer="{name}">
{body}
<div class="explorer-controls" hidden>{choice}
<label for="{name}-slider">{escape(label)}</label>
<input type="range" id="{name}-slider" min="0" max="{last}" step="1" value="{start}"
 aria-valuetext="{escape(spoken)}">
</div>
<output class="explorer-readout" data-readout aria-live="off" for="{name}-slider"><b>{
        escape(value)
    }</b>{escape(rest)}</output>
<figcaption>{escape(caption)}</figcaption>
<script type="application/json">{inside}</script>
</figure>"""


def roc_tag(name, curves, first):
    """ROC curves as SVG on white, with a marker for the script to move."""

    def place(fpr, tpr):
        return f"{LEFT + SIZE * fpr:.1f},{TOP + SIZE * (1 - tpr):.1f}"

    bottom = TOP + SIZE
    ticks = "".join(
        f'<text x="{LEFT + SIZE * tick:g}" y="{bottom + 15}" text-anchor="middle">{tick:g}</text>'
        f'<text x="{LEFT - 6}" y="{bottom - SIZE * tick + 4:g}" text-anchor="end">{tick:g}</text>'
        f'<path d="M{LEFT},{bottom - SIZE * tick:g}h{SIZE}M{LEFT + SIZE * tick:g},{TOP}v{SIZE}" '
        'stroke="#dddddd"/>'
        for tick in (0, 0.5, 1)
    )
    gaps = (' stroke-dasharray="6 4"', ' stroke-dasharray="2 3"')  # Of all but the method shown.
    others = dict(zip((method for method in curves if method != first), gaps, strict=False))
    dashes = {first: "", **others}
    lines = "".join(
        f'<polyline points="{" ".join(place(*point) for point in zip(fpr, tpr, strict=True))}" '
        f'fill="none" stroke="{colour}" stroke-width="2"{dashes[method]}/>'
        for method, (fpr, tpr, colour) in curves.items()
    )
    legend = "".join(
        f'<path d="M{LEFT + SIZE - 84},{bottom - 16 * row - 14}h22" stroke="{colour}" '
        f'stroke-width="2"{dashes[method]}/>'
        f'<text x="{LEFT + SIZE - 56}" y="{bottom - 16 * row - 10}">{escape(method)}</text>'
        for row, (method, (*_, colour)) in enumerate(curves.items())
    )
    return f"""<svg class="explorer-roc" viewBox="0 0 {LEFT + SIZE + 12} {bottom + BOTTOM}"
 role="img" aria-labelledby="{name}-roc-title" data-left="{LEFT}" data-top="{TOP}"
 data-size="{SIZE}"><title id="{name}-roc-title">ROC curves of the part shown, for
 {escape(" and ".join(curves))}: share of defective pixels found against share of the others
 flagged</title>
<rect width="100%" height="100%" fill="#ffffff"/><g font-size="11" fill="{INK}">{ticks}
<text x="{LEFT + SIZE / 2}" y="{bottom + 32}" text-anchor="middle">false positive rate</text>
<text transform="translate(13 {TOP + SIZE / 2}) rotate(-90)" text-anchor="middle">true positive
 rate</text>
<path d="M{place(0, 0)}L{place(1, 1)}" stroke="#888888"/>{lines}{legend}</g>
<circle data-marker r="5" cx="-20" cy="-20" fill="{INK}" stroke="#ffffff"
 stroke-width="1.5"/><circle data-hover r="5" cx="-20" cy="-20" fill="none"
 stroke="{INK}" stroke-width="1.5"/></svg>"""
