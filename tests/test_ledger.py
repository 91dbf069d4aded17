"""The ledger of claims and the hashes of results say what `recorded/` holds."""

import hashlib
import json

import pytest
import yaml

from book.builder.pages import ROOT
from sadefect.figures.claim_cards import claim_cards, counted
from sadefect.files import load_json
from sadefect.paper import numbers as paper
from sadefect.paper.claims import CLAIMS, OVERLAP, ROC_AREA, SECONDS
from sadefect.paper.experiment import Experiment
from sadefect.paper.ledger import CRATE, LEDGER, claim_ledger, crate, reported_number
from sadefect.paper.store import recorded_folder
from sadefect.paper.verdicts import (
    NOT_REPRODUCED,
    NOT_TESTABLE,
    REPRODUCED,
    UNDECIDED,
    Verdict,
    decide,
)

STALE = "run `make ledger`: what is recorded, or a rule, has changed"


def test_the_ledger_is_what_recorded_results_give():
    written = load_json(recorded_folder() / LEDGER)
    assert written == json.loads(json.dumps(claim_ledger())), STALE
    claims = written["claims"]
    assert claims.keys() == CLAIMS.keys()
    counts = [sum(kind.values()) for kind in written["counts"].values()]
    assert len(counts) == 2 and sum(counts) == len(CLAIMS)
    named = {key for claim in claims.values() for key in claim.get("results", ())}
    assert named == written["sha256"].keys()
    key = claims["ssim_auroc"]["results"][0]
    content = (recorded_folder() / "evaluations" / key / "result.json").read_bytes()
    assert written["sha256"][key]["result.json"] == hashlib.sha256(content).hexdigest()


def test_metadata_hash_each_recorded_file():
    written = load_json(recorded_folder() / CRATE)
    assert written == json.loads(json.dumps(crate(recorded_folder()))), STALE
    entities = {entity["@id"]: entity for entity in written["@graph"]}
    assert len(entities) == len(written["@graph"])
    assert {part["@id"] for part in entities["./"]["hasPart"]} <= entities.keys()
    for key in ("name", "description", "datePublished", "license"):  # The specification's must.
        assert entities["./"][key]
    assert entities[CRATE]["about"] == {"@id": "./"} and LEDGER in entities


@pytest.mark.parametrize(
    ("settings", "measure", "number"),
    [
        ({}, ROC_AREA, paper.AUROC["nanotwice", "ssim"]),
        ({"method": "l2"}, ROC_AREA, paper.AUROC["nanotwice", "l2"]),
        ({"window_size": 3}, ROC_AREA, paper.TABLE_2["window_size"][3]),
        ({"window_size": 3, "latent_dim": 50}, ROC_AREA, None),
        ({"method": "vae"}, ROC_AREA, None),
        ({}, OVERLAP, paper.OVERLAP_MEDIAN),
        ({"method": "l2"}, OVERLAP, None),
        ({}, SECONDS, paper.SECONDS_PER_IMAGE),
    ],
)
def test_the_papers_number_is_that_of_the_run(settings, measure, number):
    assert reported_number(Experiment(dataset="nanotwice", **settings), measure) == number


def test_cards_show_verdicts_and_numbers():
    claim, untested = CLAIMS["ssim_beats_l2"], CLAIMS["pins"]
    verdicts = [
        decide(untested, []),
        Verdict(claim, UNDECIDED, "Evidence.", values=(0.9, 0.6)),
        Verdict(claim, NOT_REPRODUCED, "Evidence.", values=(0.9, 0.6)),
        Verdict(claim, REPRODUCED, "Evidence.", values=(0.9, 0.6)),
    ]
    text = claim_cards(verdicts).data
    order = (REPRODUCED, NOT_REPRODUCED, UNDECIDED, NOT_TESTABLE)
    places = [text.index(f'class="claim {name.replace(" ", "-")}"') for name in order]
    assert places == sorted(places)
    assert text.count("AUROC: SSIM 0.900, paper 0.966; ℓ² 0.600, paper 0.688") == 3
    assert claim.sentence in text and untested.rule.reason in text
    assert counted(verdicts).startswith("4 claims: 1 reproduced, 1 not reproduced, 1 undecided")


def test_what_a_codecheck_reproduces_is_there():
    manifest = yaml.safe_load((ROOT / "codecheck.yml").read_text(encoding="utf-8"))["manifest"]
    files = [entry["file"] for entry in manifest]
    files.remove("book/_build/article.pdf")  # `make article` makes it of article/.
    scripts = [name.removeprefix("book/_build/html/").removesuffix(".html") for name in files]
    for name, script in zip(files, scripts, strict=True):
        assert (ROOT / (f"{script}.py" if name.endswith(".html") else name)).is_file(), name
    pages = {path.stem for pattern in ("fig0*.py", "tab0*.py")
             for path in (ROOT / "notebooks").glob(pattern)}  # fmt: skip
    assert pages <= {script.removeprefix("notebooks/") for script in scripts}
