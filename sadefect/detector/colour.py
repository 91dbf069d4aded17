"""Colour images, judged by luminance or by each channel: chosen by the loss of held-out images.

A network sees one gray image at a time. Of a colour image that is its luminance, or red, green and
blue in turn, which takes three times as long and sees stains that are as bright as what is around
them.
"""

from sadefect.detector.defaults import LEAST_TRIAL, TRIAL
from sadefect.detector.learning import AGREE, LEARNT
from sadefect.detector.region import continued
from sadefect.detector.stack import stacked

COLOUR_MODES = ("luminance", "channels")


def stacked_planes(folder, prepared, colours, margin=0):
    """Write images to a file, one in memory at a time; return their planes and a fingerprint.

    Parameters
    ----------
    folder : Path
    prepared : iterable of Downscaled
    colours : sequence of str
        Those of `COLOUR_MODES` that are needed; a gray image is its own luminance and only channel.
    margin : int
        As in `continued`.

    Returns
    -------
    planes : dict
        For each of ``colours`` a list with a list of float32 arrays ``(H, W)`` for each image.
    fingerprint : str
        As `stacked` gives it.
    """
    layout = []

    def written():
        for image in prepared:
            channels = image.channels() if "channels" in colours else [image]
            own = [*([image] if "luminance" in colours else []), *channels]
            own = own if len(channels) > 1 else channels
            layout.append((len(own), len(channels)))
            yield from (continued(plane[:, :], margin) for plane in own)

    views, fingerprint = stacked(folder, written())
    planes, start = {colour: [] for colour in colours}, 0
    for count, channels in layout:
        own, start = views[start : start + count], start + count
        for colour in colours:
            planes[colour].append(own[:1] if colour == "luminance" else own[count - channels :])
    return planes, fingerprint


def all_planes(images):
    """List the planes of all images, one after the other."""
    return [plane for planes in images for plane in planes]


def choose_colour(learnings, budget):
    """Choose one of `COLOUR_MODES` by the loss of held-out images after a tenth of the budget each.

    It is channels where their loss is no higher than that of luminance: what they see more costs
    nothing then. It is luminance where a trial is too short to tell.

    Parameters
    ----------
    learnings : dict of str to Learning
    budget : int

    Returns
    -------
    str
    dict
        The losses of the trials, by colour; empty without any.
    """
    trial = budget // TRIAL
    if len(learnings) < 2 or trial < LEAST_TRIAL:
        return next(iter(learnings)), {}
    losses = {
        colour: learning.training("none", f"trying {colour}").best(trial)[1]
        for colour, learning in learnings.items()
    }
    luminance, channels = (losses[colour] for colour in COLOUR_MODES)
    learnt = all(losses[c] <= LEARNT * learnings[c].flat_loss() for c in COLOUR_MODES)
    agrees = channels <= luminance + (AGREE - 1) * abs(luminance)
    return "channels" if learnt and agrees else "luminance", losses


def colour_sentence(record):
    """Say what was chosen for colour images, in words, from a detector's record of training."""
    if not record or not record.get("colour trials"):
        return ""
    losses = ", ".join(f"{name} {loss:.3f}" for name, loss in record["colour trials"].items())
    return f"Colour images are judged by {record['colour']} (held-out loss in trials: {losses})"
