# %% [markdown]
# # The paper's claims, one by one
#
# Each claim of the paper stands beside a rule that decides it, and the rule beside the numbers. A claim that
# fails is shown as failing; one that nothing here can decide says what is missing.
#
# - **Minutes**: smoke 0.3, quick 0.3, paper 0.3

# %% tags=["parameters"]
only_recorded: bool = False  # Leave out results computed on this machine.

# %%
from IPython.display import Markdown
from myst_nb import glue

from sadefect.baselines import FILTERS
from sadefect.figures.origins import origin
from sadefect.figures.tables import table
from sadefect.paper import numbers
from sadefect.paper.compared import chosen_comparisons
from sadefect.paper.headline import compared_recipes
from sadefect.paper.store import stored_results
from sadefect.paper.verdicts import NOT_TESTABLE, VERDICTS, decide_claims

verdicts = decide_claims(stored_results(["recorded"]) if only_recorded else stored_results())
counts = {name: sum(verdict.verdict == name for verdict in verdicts.values()) for name in VERDICTS}
decided = [verdict for verdict in verdicts.values() if verdict.verdict != NOT_TESTABLE]
budget = max((r.experiment.patches_seen for verdict in decided for r in verdict.used), default=0)
counted = ", ".join(f"**{count} {name}**" for name, count in counts.items())
trained = (
    f"The longest training behind them saw {budget:,} patches, {100 * budget / numbers.BUDGET:.3g} % "
    "of the paper's budget."
    if budget
    else "No claim rests on a training yet: there are no results that the rules need."
)
Markdown(f"Of {len(verdicts)} claims: {counted}. {trained}")

# %% [markdown]
# ## Claim by claim
#
# - **The paper shows**: that SSIM makes an autoencoder's segmentation usable where ℓ² fails, and that
#   other alternatives to comparing pixels do not help.

# %%
rows = []
for verdict in verdicts.values():
    claim, place = verdict.claim, verdict.claim.place
    link = f"[{place.page.split('_')[0]}]({place.page}.ipynb)"
    text = f"{claim.text} *({place.where}; {place.source})*"
    evidence = f"*{claim.sentence}* {verdict.evidence}"
    rows.append((text, f"**{verdict.verdict}**, see {link}", evidence))
table(("the paper claims", "verdict", "the rule, and the numbers"), rows)

# %% [markdown]
# ```{admonition} What a verdict says
# Rules compare runs of one budget, the largest that all of them have, with default settings. After
# little training, "not reproduced" may mean "not trained long enough", and "reproduced" may not last:
# look at the budget in each row. Thresholds are ours, fixed with first results on nanofibres in view.
# ```
#
# The real fabrics could not be obtained for this book. Where synthetic cloth and MVTec AD's grid have
# results, these are mentioned beside a claim, and decide none. Claims on SSIM and on the network are checked
# while this page is built. The claims are in `sadefect/paper/claims.py`, the meaning of their rules in
# `sadefect/paper/rules.py`.

# %% tags=["remove-cell"]
# What the preface says of this page.
told = {f"claims {name}": count for name, count in counts.items()} | {
    "claims": len(verdicts),
    "paper budget": f"{numbers.BUDGET:,}",
}
for method in ("l2", "ssim"):
    told[f"paper {method}"] = f"{numbers.AUROC['nanotwice', method].value:.3f}"
    reached = compared_recipes("nanotwice", method)
    for recipe in ("as printed", "augmented", "augmented, our scoring"):
        result = reached.get(recipe)
        told[f"{recipe} {method}"] = f"{result.metrics['auroc']:.3f}" if result else "-"
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
