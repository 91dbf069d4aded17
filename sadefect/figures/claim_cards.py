"""Claims as cards: verdict, claim and numbers in view; the rule and its evidence folded."""

from IPython.display import Markdown

from sadefect.figures.explorers.markup import TEMPLATES
from sadefect.paper.ledger import compared_numbers
from sadefect.paper.rules import listed, named
from sadefect.paper.verdicts import VERDICTS, count_verdicts


def counted(verdicts) -> str:
    """Say how many claims have each verdict.

    Examples
    --------
    >>> counted([])
    '0 claims: 0 reproduced, 0 not reproduced, 0 undecided and 0 not testable here'
    """
    verdicts = list(verdicts)
    counts = [f"{count} {name}" for name, count in count_verdicts(verdicts).items()]
    return f"{len(verdicts)} claims: {listed(counts)}"


def claim_cards(verdicts) -> Markdown:
    """Show verdicts as cards, those of one kind together: reproduced first, untestable last."""
    ranked = sorted(verdicts, key=lambda verdict: VERDICTS.index(verdict.verdict))
    return Markdown("\n".join(map(_card, ranked)))


def _card(verdict):
    claim, place = verdict.claim, verdict.claim.place
    return TEMPLATES.get_template("claim.md").render(
        verdict=verdict, claim=claim, place=place, numbers=_numbers(verdict)
    )


def _numbers(verdict):
    """Return the paper's numbers beside ours in a line, where a claim compares at most two runs."""
    numbers = compared_numbers(verdict)
    if not verdict.values or len(numbers) > 2:
        return ""
    parts = []
    for need, number in zip(verdict.claim.needs, numbers, strict=True):
        paper = f", paper {number['paper']:g}" if number["paper"] is not None else ""
        label = named(need, verdict.claim.needs)
        parts.append(f"{label} {number['ours']:.3f}{paper}")
    return f"{verdict.claim.measure.name}: {'; '.join(parts)}"
