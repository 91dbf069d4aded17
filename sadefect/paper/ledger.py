"""A ledger of the paper's claims as a file, and the metadata of recorded results, with hashes.

``python -m sadefect.paper.ledger`` writes both into ``recorded/``, from what is recorded there.
"""

from sadefect.files import digests, load_json, save_json
from sadefect.paper import numbers as paper
from sadefect.paper.claims import OVERLAP, ROC_AREA, SECONDS
from sadefect.paper.experiment import Experiment
from sadefect.paper.rules import Check, Rule
from sadefect.paper.store import recorded_folder, stored_results
from sadefect.paper.verdicts import count_verdicts, decide_claims

LEDGER = "claims.json"
LICENCE = "https://spdx.org/licenses/MIT"
YEAR = "2026"  # The year of the licence.
CRATE = "ro-crate-metadata.json"
PAPER = "https://doi.org/10.5220/0007364503720380"
TITLE = (
    "Improving Unsupervised Defect Segmentation by Applying Structural Similarity to Autoencoders"
)


def reported_number(experiment, measure):
    """Return the number that the paper reports of an experiment; None where none is known to us.

    Examples
    --------
    >>> reported_number(Experiment(dataset="nanotwice", latent_dim=50), ROC_AREA)
    0.848 (table 2; seen on the paper's last page)
    """
    plain = Experiment(dataset=experiment.dataset, method=experiment.method)
    changed = [name for name in paper.TABLE_2 if getattr(experiment, name) != getattr(plain, name)]
    ssim = (experiment.dataset, experiment.method) == ("nanotwice", "ssim")
    if measure == ROC_AREA and not changed:
        return paper.AUROC.get((experiment.dataset, experiment.method))
    if measure == ROC_AREA and ssim and len(changed) == 1:
        return paper.TABLE_2[changed[0]].get(getattr(experiment, changed[0]))
    if ssim and not changed:
        return {OVERLAP: paper.OVERLAP_MEDIAN, SECONDS: paper.SECONDS_PER_IMAGE}.get(measure)
    return None


def compared_numbers(verdict):
    """Return the numbers that decide a claim, the paper's beside ours.

    There is a dict for each run that the claim compares: its data set, method and settings of table
    2, ``paper`` and ``ours``; None where a number is not known.
    """
    claim = verdict.claim
    rows = []
    for number, run in enumerate(claim.needs):
        reported = reported_number(run, claim.measure)
        settings = {name: getattr(run, name) for name in ("dataset", "method", *paper.TABLE_2)}
        ours = verdict.values[number] if verdict.values else None
        rows.append(
            settings | {"paper": reported and reported.value, "ours": ours and round(ours, 6)}
        )
    return rows


def claim_ledger():
    """Return every claim with the paper's number, ours, the verdict and the results behind it.

    Only results of ``recorded/`` count, so that everybody gets the same ledger. Evidence of claims
    that are checked without results is left out: its last digits are the machine's. The dict has
    ``counts`` by kind of claim, ``claims`` by key, and ``sha256`` of the files of each result that
    a claim names.
    """
    verdicts = decide_claims(stored_results(["recorded"]))
    kinds = {}
    for verdict in verdicts.values():
        kinds.setdefault(verdict.claim.kind, []).append(verdict)
    evaluations = recorded_folder() / "evaluations"
    used = {result.key for verdict in verdicts.values() for result in verdict.used}
    return {
        "paper": PAPER,
        "counts": {kind: count_verdicts(group) for kind, group in kinds.items()},
        "claims": {key: _entry(verdict) for key, verdict in verdicts.items()},
        "sha256": {key: digests(evaluations / key) for key in sorted(used)},
    }


def _entry(verdict):
    claim = verdict.claim
    entry = {
        "claim": claim.text,
        "where": claim.place.where,
        "known": claim.place.source,
        "page": f"notebooks/{claim.place.page}.py",
        "kind": claim.kind,
        "rule": claim.sentence,
        "verdict": verdict.verdict,
    }
    if not isinstance(claim.rule, Check):
        entry["evidence"] = verdict.evidence
    if isinstance(claim.rule, Rule):
        entry["measure"] = claim.measure.name
        entry["numbers"] = compared_numbers(verdict)
    if verdict.used:
        entry["results"] = [result.key for result in verdict.used]
    return entry


def crate(folder):
    """Return RO-Crate 1.1 metadata of a folder of recorded results, with a hash of each file.

    The format is https://w3id.org/ro/crate/1.1.
    """
    files = digests(folder)
    files.pop(CRATE, None)
    described = {
        "@id": CRATE,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
    }
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": "Recorded results of SSIM autoencoders, rebuilt",
        "description": "Metrics, curves, maps and weights of trainings that are too long to "
        "repeat, and the ledger of the paper's claims that they decide.",
        "datePublished": YEAR,
        "license": {"@id": LICENCE},
        "author": {"@id": "#authors"},
        "citation": {"@id": PAPER},
        "hasPart": [{"@id": name} for name in files],
    }
    cited = [
        {"@id": PAPER, "@type": "ScholarlyArticle", "name": TITLE},
        {"@id": LICENCE, "@type": "CreativeWork", "name": "MIT License"},
        {"@id": "#authors", "@type": "Organization", "name": "The sadefect authors"},
    ]
    parts = [_part(folder / name, name, digest) for name, digest in files.items()]
    return {
        "@context": "https://w3id.org/ro/crate/1.1/context",
        "@graph": [described, root, *cited, *parts],
    }


def _part(path, name, digest):
    kind = {".json": "application/json", ".npz": "application/zip", ".png": "image/png"}
    part = {
        "@id": name,
        "@type": "File",
        "contentSize": str(path.stat().st_size),
        "sha256": digest,
    }
    if path.suffix in kind:
        part["encodingFormat"] = kind[path.suffix]
    if path.name == "result.json":  # The commit whose code computed it.
        part["version"] = load_json(path)["provenance"]["commit"]
    return part


def write_ledger():
    """Write the ledger and the metadata into ``recorded/``; return their paths."""
    folder = recorded_folder()
    save_json(folder / LEDGER, claim_ledger())
    save_json(folder / CRATE, crate(folder))
    return [folder / LEDGER, folder / CRATE]


if __name__ == "__main__":
    for path in write_ledger():
        print(f"Wrote {path}")
