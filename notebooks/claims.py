# %% [markdown]
# # The paper's claims, one by one
#
# Each claim of the paper stands beside the rule that decides it and the numbers that the rule compares. A claim
# that fails is shown as failing. Where training was too short, or the difference is within the spread of seeds,
# it is undecided; a claim that cannot be tested here says what is missing.
#
# - **Minutes**: smoke 0.3, quick 0.3, paper 0.3

# %% tags=["parameters"]
only_recorded: bool = False  # Leave out results computed on this machine.

# %%
from IPython.display import Markdown
from myst_nb import glue

from sadefect.baselines import FILTERS
from sadefect.figures.claim_cards import claim_cards, counted
from sadefect.figures.origins import origin
from sadefect.figures.sentences import area_over_seeds
from sadefect.paper import numbers
from sadefect.paper.claims import FORMULAS, NETWORKS
from sadefect.paper.compared import chosen_comparisons
from sadefect.paper.headline import compared_recipes
from sadefect.paper.store import stored_results
from sadefect.paper.verdicts import NOT_TESTABLE, count_verdicts, decide_claims

stored = stored_results(["recorded"]) if only_recorded else stored_results()
verdicts = decide_claims(stored)
of_kind = {
    kind: [verdict for verdict in verdicts.values() if verdict.claim.kind == kind]
    for kind in (NETWORKS, FORMULAS)
}
decided = [verdict for verdict in verdicts.values() if verdict.verdict != NOT_TESTABLE]
budget = max((r.experiment.patches_seen for verdict in decided for r in verdict.used), default=0)
trained = (
    f"The longest training behind them saw {budget:,} patches, {100 * budget / numbers.BUDGET:.3g} % "
    "of the paper's budget."
    if budget
    else "No claim rests on a training yet: there are no results that the rules need."
)
lines = [f"- On **{kind}**, {counted(group)}." for kind, group in of_kind.items()]
Markdown("\n".join([*lines, "", trained]))

# %% [markdown]
# ## Claims on trained networks
#
# - **The paper shows**: that SSIM makes an autoencoder's segmentation usable where ℓ² fails, and that
#   other alternatives to ℓ² do not help.
#
# Open a card for the rule, the numbers, and where the paper makes the claim.

# %%
claim_cards(of_kind[NETWORKS])

# %% [markdown]
# ## Claims on formulas and tables
#
# They need no training, and are checked while this page is built.

# %%
claim_cards(of_kind[FORMULAS])

# %% [markdown]
# ```{admonition} What a verdict says
# Rules compare runs of one budget, the largest that all of them have, with default settings. A claim is
# undecided if training was shorter than its rule requires, or if another seed could turn the verdict: if the
# margin is smaller than the spread over seeds. If the networks trained as printed leave a claim undecided, those
# trained on augmented patches decide it. Few runs have several seeds; the others
# borrow the spread of the nearest run that does, which the card names. What more training would bring is
# extrapolated on [the page on the gap](gap.ipynb). We set the limits with first results on nanofibres in view.
# ```
#
# The real fabrics could not be obtained for this book. Where synthetic cloth and MVTec AD's grid have
# results, these are mentioned beside a claim, and decide none. The claims are in `sadefect/paper/claims.py`, the
# meaning of their rules in `sadefect/paper/rules.py`; all verdicts by recorded results, with the keys and
# hashes of those results, are in `recorded/claims.json`.

# %% tags=["remove-cell"]
# What the preface says of this page.
told = {f"claims {name}": n for name, n in count_verdicts(verdicts.values()).items()} | {
    "claims": len(verdicts),
    "paper budget": f"{numbers.BUDGET:,}",
}
for method in ("l2", "ssim"):
    told[f"paper {method}"] = f"{numbers.AUROC['nanotwice', method].value:.3f}"
    reached = compared_recipes("nanotwice", method)
    for recipe in ("as printed", "augmented", "augmented, our scoring"):
        result = reached.get(recipe)
        told[f"{recipe} {method}"] = area_over_seeds(result, stored) if result else "-"
        told[f"{recipe} budget"] = f"{result.experiment.patches_seen:,}" if result else "no"
best_filter = chosen_comparisons("nanotwice", FILTERS)[:1]
told["best filter"] = best_filter[0].about.label if best_filter else "not run yet"
told["best filter auroc"] = f"{best_filter[0].metrics['auroc']:.3f}" if best_filter else "-"
for key, text in told.items():
    glue(key, str(text), display=False)

# %% tags=["hide-input"]
origin(
    {
        result.experiment.evaluation_key: result
        for verdict in verdicts.values()
        for result in verdict.used
    },
    best_filter,
)
