# %% [markdown]
# # One machine or many
#
# How long does the whole paper take, at its full number of patches: on a laptop, on a card, on a hundred
# cores? And what breaks first if you want a thousand times as much?
#
# - **Minutes**: smoke 0.2, quick 0.2, paper 0.2

# %% tags=["parameters"]
sweep: int = 100_000  # Experiments of a sweep, each with the paper's number of patches.

# %%
from sadefect.figures import scale
from sadefect.figures.origins import benchmark_origins
from sadefect.figures.timings import benchmark, benchmark_table

names = ("scheduling", "reading", "training-workers")
scheduling, reading, workers = measured = [benchmark(name) for name in names]
jobs = scale.paper_jobs()
scale.forecast_sentence(jobs)

# %%
# | figure: fig-scale
# | caption: >
# |   Days until every training and scoring of the paper is done, against cores (left); processor seconds until
# |   planning, Snakemake's dry run, ends, against the number of experiments (right). Long trainings are jobs of their own, short
# |   ones are put together.
# | alt: >
# |   Two charts on logarithmic axes. Left, days fall as one over the number of cores, until they meet a dashed
# |   line, the longest chain of jobs. Right, seconds of a dry run stay flat up to a hundred experiments and rise
# |   to ten thousand, where long trainings are above short ones; a dashed line is what we ask of it.
scale.growth(jobs, scheduling)

# %% [markdown]
# ## Beside the paper
#
# - **The paper shows**: nothing of what its trainings cost, as far as we know.
#
# The forecast is made of recorded results: seconds a patch by method and size, seconds a scoring. Each job has
# one core, and no time is lost between jobs. `make workflow-plan` prints it for your machine, with the pages of
# the book, and less what your store already has.

# %%
scale.machines_table(jobs)

# %%
scale.card_sentence(jobs)

# %% [markdown]
# How many trainings fit side by side follows from the memory that a job asks for.
#
# ## What planning costs
#
# From a list of experiments to the end of Snakemake's dry run. Results are found by their key, without being read.

# %%
benchmark_table(scheduling)

# %% [markdown]
# Other work shared the machine: CPU time is more reliable than wall-clock time.
#
# ## Two workers

# %%
scale.workers_sentence(workers)

# %% [markdown]
# ## A sweep
#
# The table lists what so many experiments need, from recorded results and measurements, and how many each resource
# allows. What is available is our guess at a well-equipped site; change it to yours in `sadefect/figures/scale.py`.

# %%
needs = scale.sweep_needs(scheduling, reading)
scale.breaks_first(needs, sweep)

# %%
scale.needs_table(needs, sweep)

# %% [markdown]
# What would have to change, in this order:
#
# Index
# : A run finds its result by its key, and needs no index. A page that compares results reads all of them,
#   curves included, to pick a few. A table of settings and metrics, one row a result, would do: written where
#   a result is stored, rebuilt from the folders if it is lost. Curves would be read for what is drawn.
#
# Store
# : One folder a training and one a result, all in two folders. Weights at every milestone, and states that a
#   decay of the rate may branch off, make up nearly all bytes and files. A sweep would keep the last weights
#   alone, and put folders into subfolders by the first digits of their keys.
#
# Plan
# : One file for all jobs, which every job reads when it starts. In a sweep, a plan for each thousand
#   experiments, one after another, keeps both small.
#
# Core-hours
# : No layout helps here. They are spent on trainings, and a sweep that compares settings hardly needs the
#   paper's number of patches for each.
#
# ## Where this was measured
#
# The measurements were recorded; `python -m benchmarks scheduling reading` repeats them.

# %% tags=["hide-input"]
benchmark_origins(measured)
