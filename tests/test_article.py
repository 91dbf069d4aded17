"""The replication article: its numbers, its references, its pages."""

import re

import pytest
from bs4 import BeautifulSoup

from book.builder import article
from book.builder.article_facts import title_prefix
from book.builder.pages import ROOT
from book.builder.pdf import chromium, print_page
from sadefect.figures.scale import full_forecast
from sadefect.paper import numbers
from sadefect.paper.headline import compared_recipes
from sadefect.paper.ledger import claim_ledger
from sadefect.paper.store import empty_store

# What may have a digit in the text: places in the paper, and names.
PLACES = re.compile(r"\.l2\b|(?:table|figure|section|eq\.) \d|sadefect\.\w+|ReScience C")


@pytest.fixture(scope="module")
def page():
    """The article from recorded results, without real images."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SADEFECT_DATA", raising=False)
        return article.article_page()


@pytest.fixture(scope="module")
def text(page):
    return " ".join(BeautifulSoup(page, "html.parser").body.get_text(" ").split())


def test_the_text_has_the_recorded_numbers(text):
    with empty_store():
        areas = [
            result.metrics["auroc"]
            for method in ("ssim", "l2")
            for result in compared_recipes("nanotwice", method).values()
        ]
        jobs = full_forecast()[-1]["jobs"]
    assert areas and all(f"{area:.3f}" in text for area in areas)
    assert f"{numbers.AUROC['nanotwice', 'ssim'].value:.3f}" in text and f"{jobs:,} jobs" in text


def test_nothing_is_left_unresolved(page, text):
    assert not re.search(r"\{\{|\{%|\bNone\b|\bnan\b|[Uu]ndefined|<function|\*\*", text)
    assert '<img src="data:image/' in page and not re.search(
        r"(?:src|href)=\"(?!data:|https:)", page
    )


def test_the_title_and_the_table_follow_the_verdicts(text):
    ledger = claim_ledger()
    assert text.split("]")[0].endswith(
        title_prefix(ledger["counts"]["trained networks and data"])[:-1]
    )
    for claim in ledger["claims"].values():
        assert " ".join(claim["claim"].split()) in text
    assert title_prefix({"reproduced": 1, "not reproduced": 1}) == "[¬Re]"


def test_references_and_numbers_of_tables_exist(page, text):
    soup = BeautifulSoup(page, "html.parser")
    listed = len(soup.select(".references li"))
    assert {int(n) for n in re.findall(r"\[(\d+)\]", text)} == set(range(1, listed + 1))
    for kind in ("Table", "Figure"):
        captions = re.findall(rf"\b{kind} (\d+)\.", text)
        mentioned = set(re.findall(rf"\b{kind} (\d+)", text))
        assert captions == [str(number) for number in range(1, len(captions) + 1)]
        assert mentioned == set(captions)
    assert all(image["alt"] for image in soup.select("img"))


@pytest.mark.parametrize("name", ["article.md.j2", "abstract.md.j2"])
def test_no_number_is_typed_in(name):
    source = (ROOT / "article" / name).read_text(encoding="utf-8")
    prose = re.sub(r"\{#.*?#\}|\{%.*?%\}|</?\w[^>]*>", " ", source, flags=re.DOTALL)
    # Captions are in calls: their text counts too, where it is not a key or a format.
    prose = re.sub(
        r"\{\{[^\"{}]*\}\}|\"%[^\"]*\"|cite\(\"\w+\"\)|\[\"[^\]]*\]|\b\w*\[:?-?\d\]", " ", prose
    )
    assert not re.findall(r"\d", PLACES.sub(" ", prose))


@pytest.mark.skipif(not chromium(), reason="needs Chromium: `apt-get install chromium`")
def test_it_has_four_to_six_pages(page, tmp_path):
    source, target = tmp_path / "article.html", tmp_path / "article.pdf"
    source.write_text(page, encoding="utf-8")
    print_page(source, target)
    assert 4 <= len(re.findall(rb"/Type /Page\b", target.read_bytes())) <= 6
