"""The built smoke book in a real browser, opened from the disk, with the network blocked."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from links import broken_links
from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from book.builder.pages import ROOT
from book.builder.pdf import CHROMIUM_OPTIONS, chromium

pytestmark = [pytest.mark.book, pytest.mark.timeout(1800)]

MOST_BYTES = 3_000_000  # Of a page with all that it loads.
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}
DARK = "document.documentElement.dataset.theme = 'dark'"
# Waits for formulas, and for images that would be loaded only when they come into view.
SETTLED = """async () => {
    if (window.MathJax && MathJax.startup) await MathJax.startup.promise;
    const images = [...document.images];
    for (const image of images) image.loading = 'eager';
    await Promise.all(images.map((image) => image.decode().catch(() => null)));
}"""
AT_ONCE = "*, *::before, *::after { transition: none !important; animation: none !important }"
IMAGES = """() => [...document.images].map((image) => ({
    name: image.currentSrc.slice(-60), width: image.naturalWidth,
    alt: image.getAttribute('alt'), lazy: image.loading, hidden: image.ariaHidden === 'true',
}))"""
# What sticks out of the page at the right, unless a box around it scrolls.
WIDER = """() => {
    const scrolls = (element) => element && element !== document.body && (
        ['auto', 'scroll', 'hidden', 'clip'].includes(getComputedStyle(element).overflowX)
        || getComputedStyle(element).position === 'fixed' || scrolls(element.parentElement));
    const room = document.documentElement.clientWidth;
    const found = document.documentElement.scrollWidth > room ? ['the page itself'] : [];
    for (const element of document.body.querySelectorAll('*')) {
        const box = element.getBoundingClientRect();
        const seen = element.checkVisibility({ visibilityProperty: true });
        if (seen && box.width && box.right > room + 1 && !scrolls(element.parentElement))
            found.push(`${element.tagName}.${element.className} ends at ${box.right}`);
    }
    return found.slice(0, 5);
}"""
EXPLORERS = "[data-explorer]"


@dataclass
class Visit:
    """What was seen of one page."""

    name: str
    requests: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    images: list[dict] = field(default_factory=list)
    headings: list[int] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    wider: list[str] = field(default_factory=list)

    @property
    def outgoing(self) -> list[str]:
        return [url for url in self.requests if urlsplit(url).scheme not in ("file", "data")]

    @property
    def bytes(self) -> int:
        files = {unquote(urlsplit(url).path) for url in self.requests if url.startswith("file:")}
        return sum(Path(file).stat().st_size for file in files if Path(file).is_file())


def open_page(browser: Browser, visit: Visit) -> Page:
    """A new page that has no network, and notes what it asks for and complains about."""
    context = browser.new_context(viewport=DESK, color_scheme="light", offline=True)
    page = context.new_page()
    page.on("request", lambda request: visit.requests.append(request.url))
    page.on("requestfailed", lambda request: visit.console.append(f"failed: {request.url}"))
    page.on("pageerror", lambda error: visit.console.append(f"uncaught: {error}"))
    page.on(
        "console",
        lambda message: (
            visit.console.append(message.text) if message.type in ("error", "warning") else None
        ),
    )
    return page


def violations(page: Page, where: str) -> list[str]:
    """Serious and critical ones, as axe-core sees the page at this moment."""
    options = {"resultTypes": ["violations"], "preload": False}  # It cannot fetch from a disk.
    found = Axe().run(page, options=options).response["violations"]
    return [
        f"{where}: {one['id']} ({one['impact']}), {len(one['nodes'])} times: "
        f"{one['help']}: {one['nodes'][0]['html'][:160]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


def look(browser: Browser, path: Path, html: Path) -> Visit:
    """A page seen light, dark, and dark on a phone."""
    visit = Visit(path.relative_to(html).as_posix())
    page = open_page(browser, visit)
    page.goto(path.as_uri())
    page.evaluate(SETTLED)
    page.add_style_tag(content=AT_ONCE)
    visit.images = page.evaluate(IMAGES)
    visit.headings = page.evaluate(
        "[...document.querySelectorAll('main h1, main h2, main h3, main h4, main h5')]"
        ".filter((heading) => heading.checkVisibility())"
        ".map((heading) => Number(heading.tagName[1]))"
    )
    visit.violations += violations(page, "light")
    page.evaluate(DARK)
    visit.violations += violations(page, "dark")
    page.set_viewport_size(PHONE)
    page.wait_for_timeout(500)  # The theme then looks anew at which boxes can be scrolled.
    visit.wider = page.evaluate(WIDER)
    visit.violations += violations(page, "dark, phone")
    page.context.close()
    return visit


def look_at_all(browser: Browser, html: Path) -> list[Visit]:
    """Each page once, without templates of the theme."""
    paths = (path for path in sorted(html.rglob("*.html")) if "_static" not in path.parts)
    return [look(browser, path, html) for path in paths]


@pytest.fixture(scope="session")
def visits(smoke_book: Path, browser: Browser) -> list[Visit]:
    """All pages of the book."""
    return look_at_all(browser, smoke_book / "html")


def complaints(visits: list[Visit], of) -> str:
    """One line for each page that `of` finds something wrong with."""
    lines = [f"{visit.name}: {wrong}" for visit in visits for wrong in of(visit)]
    return "\n".join(lines)


def test_no_request_leaves_a_page(visits: list[Visit]) -> None:
    assert len(visits) > 10
    assert not complaints(visits, lambda visit: visit.outgoing)


def test_no_page_complains(visits: list[Visit]) -> None:
    assert not complaints(visits, lambda visit: visit.console)


def test_every_image_is_there_and_says_what_it_shows(visits: list[Visit]) -> None:
    assert sum(len(visit.images) for visit in visits) > 10
    assert not complaints(
        visits,
        lambda visit: [
            image
            for image in visit.images
            if not image["width"] or not (image["hidden"] or (image["alt"] or "").strip())
        ],
    )


def test_pages_are_light(visits: list[Visit]) -> None:
    assert not complaints(
        visits, lambda visit: [visit.bytes] if not 0 < visit.bytes < MOST_BYTES else []
    )


def test_headings_are_in_order(visits: list[Visit]) -> None:
    def wrong(visit: Visit) -> list[list[int]]:
        levels = visit.headings
        steps = zip(levels, levels[1:], strict=False)
        good = levels.count(1) == 1 and levels[0] == 1 and all(b - a <= 1 for a, b in steps)
        return [] if good else [levels]

    assert not complaints(visits, wrong)


def test_axe_finds_nothing_serious(visits: list[Visit]) -> None:
    assert not complaints(visits, lambda visit: visit.violations)


def test_a_phone_needs_no_scrolling_to_the_side(visits: list[Visit]) -> None:
    assert not complaints(visits, lambda visit: visit.wider)


@pytest.fixture
def index(smoke_book: Path, browser: Browser) -> Iterator[Page]:
    """The first page of the book."""
    page = open_page(browser, Visit("index.html"))
    page.goto((smoke_book / "html/index.html").as_uri())
    yield page
    page.context.close()


def test_search_finds_a_figure_by_keyboard(index: Page) -> None:
    index.keyboard.press("Control+k")
    index.keyboard.type("ROC curves")
    index.keyboard.press("Enter")
    index.wait_for_url("**/search.html?q=ROC*")
    hit = index.locator("ul.search a[href*='notebooks/fig06_roc.html']").first
    hit.wait_for()
    hit.press("Enter")
    index.wait_for_url("**/fig06_roc.html*")
    assert index.locator("figure img").count() > 0


def test_code_can_be_copied(index: Page, smoke_book: Path) -> None:
    index.goto((smoke_book / "html/how_to_read.html").as_uri())
    button = index.locator("button.copybtn").first
    button.press("Enter")  # By keyboard, as it is hidden until the pointer is over its box.
    index.locator("button.copybtn.success").first.wait_for()


def test_dark_mode_is_dark_and_figures_stay_legible(index: Page, smoke_book: Path) -> None:
    index.goto((smoke_book / "html/notebooks/fig06_roc.html").as_uri())
    index.evaluate(SETTLED)
    figure = index.locator("#fig-roc img")

    def colours() -> tuple[float, np.ndarray]:
        """Mean gray of the text column's left edge, and the figure's gray values."""
        picture = Image.open(BytesIO(figure.screenshot())).convert("L")
        box = index.locator("article").bounding_box()
        clip = {"x": box["x"] - 8, "y": box["y"] + 100, "width": 6, "height": 300}
        ground = Image.open(BytesIO(index.screenshot(clip=clip, full_page=True))).convert("L")
        return float(np.mean(ground)), np.asarray(picture)

    light, _ = colours()
    index.evaluate("window.scrollTo(0, 0)")
    button = index.locator(".theme-switch-button").first
    for _ in range(3):  # It goes through light, dark and what the system has.
        if index.evaluate("document.documentElement.dataset.theme") == "dark":
            break
        button.click()
    dark, picture = colours()
    assert light > 230
    assert dark < 60
    paper, ink = np.quantile(picture, (0.5, 0.005))
    assert paper > 150, "a figure keeps its light ground"
    assert paper - ink > 100, "and dark lines on it"


def test_explorers_change_picture_and_numbers_by_keyboard(smoke_book: Path, browser) -> None:
    found = 0
    for path in sorted((smoke_book / "html").rglob("*.html")):
        if "data-explorer" not in path.read_text(encoding="utf-8"):
            continue
        visit = Visit(path.name)
        page = open_page(browser, visit)
        page.goto(path.as_uri())
        page.evaluate(SETTLED)
        for element in page.locator(EXPLORERS).all():
            name = element.get_attribute("data-explorer")
            slider = element.locator("input[type=range]").first
            picture, readout = (
                element.locator(f"[data-{x}]").first for x in ("picture", "readout")
            )
            before = picture.screenshot(), readout.inner_text()
            slider.focus()
            slider.press("Home" if slider.input_value() != slider.get_attribute("min") else "End")
            page.wait_for_timeout(300)
            after = picture.screenshot(), readout.inner_text()
            assert before[0] != after[0], f"{path.name}: {name}: the picture stays"
            assert before[1] != after[1], f"{path.name}: {name}: the numbers stay"
            found += 1
        assert not visit.console
        page.context.close()
    assert found, "there is no element with data-explorer"


@pytest.fixture
def roc(smoke_book: Path, browser: Browser) -> Iterator[Page]:
    """The page with a threshold to move."""
    page = open_page(browser, Visit("fig06_roc.html"))
    page.goto((smoke_book / "html/notebooks/fig06_roc.html").as_uri())
    page.evaluate(SETTLED)
    yield page
    page.context.close()


def test_roc_answers_to_the_pointer_and_to_the_choice_of_a_method(roc: Page) -> None:
    element = roc.locator("[data-explorer=roc]")
    readout, slider = element.locator("[data-readout]"), element.locator("input[type=range]")
    first = readout.inner_text()
    curve = element.locator("svg")
    curve.scroll_into_view_if_needed()
    box = curve.bounding_box()
    roc.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 0.4 * box["height"])
    under = readout.inner_text()
    assert under != first
    roc.mouse.move(0, 0)
    assert readout.inner_text() == first, "the threshold has not moved"
    curve.click(position={"x": 0.8 * box["width"], "y": 0.4 * box["height"]})
    roc.mouse.move(0, 0)
    assert readout.inner_text() == under
    assert readout.inner_text() == slider.get_attribute("aria-valuetext")
    other = element.locator("input[type=radio]:not(:checked)").first
    other.focus()
    other.press("Space")
    assert "squared difference" in readout.inner_text()


def test_a_figure_opens_enlarged_by_keyboard(roc: Page) -> None:
    button = roc.locator("#fig-roc button.enlarge")
    button.press("Enter")
    dialog = roc.locator("dialog.enlarged")
    image = dialog.locator("img")
    image.wait_for()
    assert image.get_attribute("alt") == roc.locator("#fig-roc img").get_attribute("alt")
    before = image.bounding_box()["width"]
    roc.keyboard.press("+")
    assert image.bounding_box()["width"] == pytest.approx(1.5 * before, rel=0.01)
    assert not violations(roc, "enlarged")
    dialog.get_by_role("button", name="Close").press("Enter")
    dialog.wait_for(state="detached")
    assert button.evaluate("(button) => button === document.activeElement")


def test_escape_closes_the_enlarged_view_wherever_the_focus_is(roc: Page) -> None:
    button, dialog = roc.locator("#fig-roc button.enlarge"), roc.locator("dialog.enlarged")
    away = {
        "nowhere else": "0",
        "to nothing, as after a click": "document.activeElement.blur()",
        "to a button": "document.querySelector('dialog.enlarged button').focus()",
        "to what lies behind": "document.querySelector('article a').focus()",
    }
    for where, how in away.items():
        button.press("Enter")
        dialog.wait_for()
        violations(roc, "enlarged")  # Leaves the focus where it likes.
        roc.evaluate(how)
        roc.keyboard.press("Escape")
        # The dialog goes when its event comes, which is not at once.
        expect(dialog, f"the focus went {where}").to_have_count(0)
        assert button.evaluate("(button) => button === document.activeElement")


def test_without_scripts_explorers_are_plain_figures(smoke_book: Path, browser: Browser) -> None:
    context = browser.new_context(viewport=DESK, offline=True, java_script_enabled=False)
    page = context.new_page()
    for name in ("fig06_roc", "method_l2", "method_ssim", "method_regions"):
        page.goto((smoke_book / f"html/notebooks/{name}.html").as_uri())
        for element in page.locator(EXPLORERS).all():
            assert element.locator("img[data-picture]").is_visible()
            assert not element.locator("input[type=range]").is_visible()
            assert element.locator("figcaption").inner_text().strip()
    context.close()


def main(html: Path) -> None:
    """What all these tests count, of a book that was built: heaviest pages first."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=CHROMIUM_OPTIONS)
        found = look_at_all(browser, html)
        browser.close()
    for visit in sorted(found, key=lambda visit: -visit.bytes):
        print(f"{visit.bytes:>10,} bytes  {visit.name}")
        for wrong in (*visit.violations, *visit.outgoing, *visit.console, *visit.wider):
            print(f"{'':>18}{wrong}")
    broken, checked = broken_links(html)
    print(*broken, sep="\n", end="\n" if broken else "")
    print(
        f"{len(found)} pages: {sum(len(visit.violations) for visit in found)} serious or critical "
        f"findings of axe (light, dark, phone), {sum(len(visit.outgoing) for visit in found)} "
        f"outgoing requests, {len(broken)} of {checked:,} links broken"
    )


if __name__ == "__main__":  # After `make book`: python tests/test_browser.py
    main(Path(*sys.argv[1:] or [ROOT / "book/_build/html"]).resolve())
