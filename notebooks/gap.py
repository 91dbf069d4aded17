# %% [markdown]
# # What keeps us from the paper's number
#
# What of the distance to the paper's number on nanofibres is the training, what the scoring, and what
# remains? Each bar changes one thing; then one trained network is taken apart to see where its false
# alarms are.
#
# - **Minutes**: smoke 0.5, quick 0.2, paper 1000

# %% tags=["parameters"]
dataset: str = "nanotwice"  # The set to look at.
seeds: list = [0, 1, 2]  # Of the learning curves.
fpr: float = 0.05  # False positive rate of the test set at which alarms are looked at.
compute: bool = False  # Score what is missing instead of leaving it out.
patches_seen: int = 0  # Budget of training; 0 takes the largest that was recorded.
patch_size: int = 128  # Side of a patch in pixels.
latent_dim: int = 0  # d; 0 takes the paper's for the data set.

# %%
from dataclasses import replace

from IPython.display import Markdown

from sadefect.figures import charts
from sadefect.figures.origins import origin
from sadefect.figures.sentences import areas_beside_the_papers, best_first, gap_sentence
from sadefect.figures.style import method_label
from sadefect.figures.tables import percent, scoring_table, table
from sadefect.paper import numbers
from sadefect.paper.comparisons import headline, learning_curve
from sadefect.paper.false_alarms import false_alarms, located
from sadefect.paper.headline import gap_steps, headline_experiment, headline_result, unseen_auroc
from sadefect.paper.open_readings import scorings
from sadefect.paper.store import stored_results

steps = gap_steps(dataset)
gap_sentence(steps, numbers.AUROC.get((dataset, "ssim")))

# %%
# | figure: fig-gap
# | caption: >
# |   From the printed recipe to the headline, one thing changed at a time; one seed. Dotted: the paper's
# |   value after its full training.
# | alt: >
# |   Horizontal bars, each beginning where the one above ends: the area under the ROC curve with the printed
# |   recipe, and how it changes with augmented patches, with a decayed learning rate and with our scoring;
# |   a dotted line marks the paper's value.
reported = numbers.AUROC.get((dataset, "ssim"))
charts.waterfall(steps, reported and reported.value) if steps else None

# %% [markdown]
# ## Beside the paper
#
# - **The paper shows**: one number for its network; it does not say where the false alarms are.
#
# "Our scoring" was chosen by synthetic defects in the held-out good image, see
# `sadefect/scoring_choice.py`, and written down before a test image was scored with it. Findings outside
# this project that had looked at eight of the forty test images (0, 5, ... 35) suggested what the
# candidates should be; the line below is for the other thirty-two.

# %%
ours = headline_experiment(dataset, "ssim", "ours")
unseen = ours and unseen_auroc(ours, compute=compute)
Markdown(
    f"On test images that nobody had looked at, our scoring reaches an AUROC of {unseen:.3f}."
    if unseen
    else "No number is recorded for the test images that nobody had looked at."
)

# %% [markdown]
# ## Loss and area
#
# The printed recipe alone:

# %%
settings = {"patch_size": patch_size, "latent_dim": latent_dim or None}
[longest] = headline([dataset], ["ssim"], patches_seen, **settings)[dataset]
stored = stored_results()
curves = [learning_curve(replace(longest.experiment, seed=seed), stored) for seed in seeds]
areas_beside_the_papers([longest])

# %%
# | figure: fig-loss-auroc
# | caption: >
# |   Area under the ROC curve on test images against the SSIM loss in training, at checkpoints of the same
# |   trainings; numbers of patches beside those of the first.
# | alt: >
# |   One curve for each seed: the area under the ROC curve against the training loss, which falls to the
# |   right, with a point for each checkpoint and the number of patches seen beside it.
charts.loss_and_auroc(curves)

# %% [markdown]
# Each point is a checkpoint of a training, the same network a little later. Where the line rises at its
# right end, a lower loss still brings a larger area, and more training would bring more of both. Numbers of
# patches grow by a factor, so each step costs more than the one before.
#
# ## Where the false alarms are
#
# The threshold is set where the whole test set has the false positive rate of the dashed line. Every
# defect-free pixel belongs to a group by its surroundings, and each group has a rate of its own: bars
# beyond the line are where the method fails more often than elsewhere.

# %%
settled = headline_result(dataset, "ssim") or longest
network = settled if compute else located(stored, settled.experiment, fpr) or longest
alarms = false_alarms(network.experiment, fpr)
same = network.experiment == settled.experiment
Markdown(
    f"These are false alarms of a network that saw {network.experiment.patches_seen:,} patches, with an AUROC "
    f"of {alarms['auroc']:.3f}: "
    + ("the headline's." if same else "not the headline's, whose false alarms are not recorded.")
)

# %%
# | figure: fig-false-alarms
# | caption: False positive rate by what surrounds a pixel.
# | alt: >
# |   Four panels of bars: the false positive rate in fifths of brightness and of contrast of the
# |   neighbourhood, and by distance to a true defect and to the border of the image, with a dashed line at
# |   the rate of all pixels; the table below has the numbers.
charts.false_alarm_rates(alarms)

# %%
table(
    ("surroundings", "where", "share of defect-free pixels", "share of false alarms", "rate"),
    [
        (
            charts.SURROUNDINGS[name],
            group["where"],
            *(percent(group[share]) for share in ("pixels", "alarms", "rate")),
        )
        for name, groups in alarms["groups"].items()
        for group in groups
    ],
)

# %% [markdown]
# How much of the gap is a matter of where masks end, or of borders? Here pixels are left out of the
# counting.

# %%
table(
    ("left out", "AUROC", "change"),
    [("nothing", alarms["auroc"], "-")]
    + [(name, area, f"{area - alarms['auroc']:+.3f}") for name, area in alarms["without"].items()],
)

# %% [markdown]
# ## What needs no network at all
#
# Where defects are bright and flat, a blurred image is a score of its own, and so is the flatness of a
# neighbourhood: baselines that a network has to beat. Below 0.5, defects are the darker or the busier.

# %%
network_free = alarms["plain"]
baseline, area = max(network_free.items(), key=lambda item: item[1])
Markdown(
    f"The best baseline is the {baseline}, with an AUROC of {area:.3f}. The network is "
    f"{'better' if alarms['auroc'] > area else 'not better'}: {alarms['auroc']:.3f}, "
    f"{alarms['auroc'] - area:+.3f}."
)

# %%
table(
    ("score", "AUROC"),
    [*network_free.items(), ("SSIM autoencoder, as scored in this book", alarms["auroc"])],
)

# %% [markdown]
# ## Other ways to score the same network
#
# ```{admonition} Chosen with the masks in view
# These scorings were tried on test images with their masks. They say what a reader of the paper may
# gain or lose by another reading. None of them replaces ours, which was fixed before.
# ```

# %%
pair = [network.experiment, replace(network.experiment, method="l2", residual=None)]
scored = [scorings(experiment, compute=compute) for experiment in pair]
scoring_table(scored)

# %% [markdown]
# No sentence of the paper that we know mentions smoothing. We expect it to help where defects are larger
# than the structures that the network reconstructs a little off: a window of SSIM sees one crossing of
# fibres, a defect covers several. That holds for ℓ² as well as for SSIM, so both are smoothed.

# %%
plain, smoothed = "as scored in this book", "smoothed by a Gaussian of 8 pixels"
if all(scorings.keys() >= {plain, smoothed} for scorings in scored):
    before, after = (
        {method_label(group[name]): group[name].metrics["auroc"] for group in scored}
        for name in (plain, smoothed)
    )
    changes = {method: after[method] - area for method, area in before.items()}
    text = f"What it changes, {smoothed}: "
    text += best_first("{} {}", changes, "{:+.3f}".format)
    leads = [areas["SSIM"] - areas["ℓ²"] for areas in (before, after)]
    text += f". The lead of SSIM over ℓ² is {leads[0]:+.3f} without it and {leads[1]:+.3f} with it."
else:
    text = "Not both methods were scored with it yet."
Markdown(text)

# %% tags=["hide-input"]
origin(steps, network, curves, scored)
