"""The pipeline from notebook scripts to the built book."""

import json
import os
import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import papermill
import pytest
from bs4 import BeautifulSoup
from links import broken_links
from PIL import Image

from book.builder import execution, inputs
from book.builder.build import build, warn_if_not_publishable
from book.builder.execution import execute
from book.builder.inputs import input_digests
from book.builder.pages import PROFILES, ROOT, BookError, Page, pages, select, write_twins
from book.builder.profiles import Profile, read_profile
from book.builder.render import render
from book.ext import webpage
from sadefect.figures.data import MEDIA_TYPE
from sadefect.paper import numbers as paper
from sadefect.paper.store import FRESH

EXAMPLE = "https://github.com/example/fork"
DRAWN = {"lines", "areas", "bars", "levels"}  # A panel has at least one of them.
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
HEADER = """\
# %% [markdown]
# # Title of NAME
#
# A description.
#
# - **The paper shows**: something.
# - **Minutes**: smoke 0.1, quick 0.1, paper 0.1

# %% tags=["parameters"]
count: int = 1  # How often.
rate: float = 0.5  # How fast.
"""
GOOD = f"""
# %%
# | figure: fig-dot
# | caption: >
# |   A dot: it is
# |   black.
# | alt: One black dot
from base64 import b64decode

from IPython.display import Image

Image(b64decode("{PIXEL}"), format="png")
"""
BAD = """
# %%
print("before")

# %%
# A comment.
raise KeyError("the cause")
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout with two pages that need no framework, and a package that nobody edits now."""
    (tmp_path / "package").mkdir()
    monkeypatch.setattr(inputs, "PACKAGE", tmp_path / "package")
    monkeypatch.setenv("SADEFECT_CACHE", str(tmp_path / "cache"))  # Others may add to the user's.
    for folder in ("notebooks/profiles", "book"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(ROOT / "_config.yml", tmp_path)
    shutil.copytree(ROOT / "book" / "_static", tmp_path / "book" / "_static")
    (tmp_path / "book" / "references.bib").write_text("")
    (tmp_path / "book" / "index.md").write_text("# Preface\n\nSee {numref}`fig-dot`.\n")
    shutil.copy(ROOT / "book" / "gallery.md", tmp_path / "book")
    (tmp_path / "book" / "_toc.yml").write_text(
        "format: jb-book\nroot: index\nchapters:\n  - file: gallery\n"
        "  - file: notebooks/first\n  - file: notebooks/second\n"
    )
    (tmp_path / "notebooks/first.py").write_text(HEADER.replace("NAME", "first") + GOOD)
    (tmp_path / "notebooks/second.py").write_text(HEADER.replace("NAME", "second"))
    write_profile(tmp_path, "cell_timeout: 60\ncommon: {count: 2}\n")
    return tmp_path


def write_profile(project: Path, text: str) -> None:
    (project / "notebooks/profiles/quick.yaml").write_text(text)


# The pages of the book


def test_twins_equal_their_scripts() -> None:
    assert write_twins(check=True) == [], "run `make notebooks`"


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_each_page_has_a_header_and_parameters_that_papermill_understands(page: Page) -> None:
    assert page.header()["title"]
    assert all(page.minutes(profile) > 0 for profile in PROFILES)
    seen = papermill.inspect_notebook(str(page.twin))
    assert list(seen) == list(page.parameters())
    for name, parameter in seen.items():
        assert parameter["help"], f"{page.name}: say in a comment what {name} is"


@pytest.mark.parametrize("name", PROFILES)
def test_each_profile_fits_the_pages(name: str) -> None:
    profile = read_profile(name)
    for page in pages():
        assert set(profile.values_for(page)) <= set(page.parameters())


def test_the_paper_profile_asks_for_the_papers_budget_on_every_page() -> None:
    profile, budgets = read_profile("paper"), {}
    for page in pages():
        values = {name: default for name, (_, default) in page.parameters().items()}
        values |= profile.values_for(page)
        if "patches_seen" in values:
            budgets[page.name] = values["patches_seen"]
        assert values.get("compute", True) is True, page.name
        assert values.get("patch_size", paper.PATCH_SIZE.value) == paper.PATCH_SIZE.value, page.name
    own = {"fig03_checkerboard"}  # It trains on pictures of ours.
    assert own < set(budgets) and {"gap", "ambiguities", "tab02_sensitivity"} < set(budgets)
    assert {budgets[name] for name in set(budgets) - own} == {paper.BUDGET}


# Results, shares and counts as they stand in a text: 0.966, 54 %, 640,000.
TYPED = re.compile(r"(?<![\w.])(?:0?\.\d{2,}|\d+(?:\.\d+)? ?%|\d{1,3}(?:,\d{3})+)(?!\w)")
# What is no prose: code, formulas, where links lead.
NO_PROSE = re.compile(r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$|\]\([^)]*\)", re.DOTALL)


def test_no_result_is_typed_into_prose() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "book").glob("*.md")}
    for page in pages():
        cells = page.notebook().cells
        captions = [str(cell.metadata.get("mystnb", "")) for cell in cells]
        prose = [cell.source for cell in cells if cell.cell_type == "markdown"]
        texts[page.name] = "\n".join([*prose, *captions])
    typed = {name: TYPED.findall(NO_PROSE.sub("", text)) for name, text in texts.items()}
    assert {name: found for name, found in typed.items() if found} == {}


# Twins, headers and profiles of any book


def test_twins_are_made_found_stale_and_never_differ(project: Path) -> None:
    first, second = (project / f"notebooks/{name}.ipynb" for name in ("first", "second"))
    assert write_twins(project) == [first, second]
    once = first.read_bytes()
    assert write_twins(project) == []
    first.unlink()
    assert write_twins(project) == [first]
    assert first.read_bytes() == once
    ids = [cell["id"] for cell in json.loads(once)["cells"]]
    assert ids == ["cell-00", "install", "cell-01", "cell-02"]
    orphan = project / "notebooks/nobody.ipynb"
    orphan.write_text("{}")
    assert write_twins(project, check=True) == [orphan]


def test_line_ends_of_windows_change_nothing(project: Path) -> None:
    page = Page(project / "notebooks/first.py")
    header, parameters, notebook = page.header(), page.parameters(), page.notebook()
    write_twins(project)
    for file in (page.script, page.twin):
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert (page.header(), page.parameters(), page.notebook()) == (header, parameters, notebook)
    assert write_twins(project) == []


def test_contents_and_scripts_must_agree(project: Path) -> None:
    shutil.copy(project / "notebooks/second.py", project / "notebooks/third.py")
    with pytest.raises(BookError, match=r"notebooks/third is not in book/_toc.yml"):
        pages(project)
    (project / "notebooks/third.py").unlink()
    (project / "notebooks/second.py").unlink()
    with pytest.raises(BookError, match=r"notebooks/second names no script"):
        pages(project)
    with pytest.raises(BookError, match="a checkout of the repository"):
        pages(project / "book")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("# # Title", "# Title", "missing: title"),
        ("**The paper shows**", "The paper shows", "missing: The paper shows"),
        ("# A description.\n#\n", "", "missing: description"),
    ],
)
def test_an_incomplete_header_is_named(project: Path, old: str, new: str, message: str) -> None:
    script = project / "notebooks/first.py"
    script.write_text(script.read_text().replace(old, new))
    if "description" in message:  # The list would be taken for it.
        script.write_text(re.sub(r"#\n# - \*\*(.|\n)*?\n\n", "\n", script.read_text(), count=1))
    with pytest.raises(BookError, match=message):
        Page(script).header()


@pytest.mark.parametrize("entry", ["count = 1", "count: int = len('a')", "count: int", "print(1)"])
def test_a_parameter_that_is_not_declared_as_asked_is_an_error(project: Path, entry: str) -> None:
    script = project / "notebooks/first.py"
    script.write_text(script.read_text().replace("count: int = 1  # How often.", entry))
    with pytest.raises(BookError, match="each parameter must read"):
        Page(script).parameters()


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (
            "cell_timeout: 9\npages: {first: {cuont: 1}}",
            "declares no parameter cuont; did you mean count?",
        ),
        ("cell_timeout: 9\ncommon: {cuont: 1}", "no page declares the common parameter cuont"),
        (
            "cell_timeout: 9\npages: {frist: {}}",
            "frist.py does not exist; did you mean first?",
        ),
        ("cell_timeout: 9\npages: {first: {rate: 5e-4}}", "rate: float, received '5e-4'"),
        ("cell_timeout: 9\npages: {first: {count: true}}", "count: int, received True"),
        ("common: {}", "expected cell_timeout"),
        ("cell_timeout: long", "expected cell_timeout"),
        ("cell_timeout: 9\nnotebooks: {}", "expected cell_timeout"),
    ],
)
def test_a_profile_that_does_not_fit_stops(project: Path, profile: str, message: str) -> None:
    write_profile(project, profile)
    with pytest.raises(BookError, match=re.escape(message)):
        execute(root=project)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ("{dims: many}", "dims: list, received 'many'; give a list, as in dims: [4, 8]"),
        ("{dims: [8, m]}", "expected a list of int, received 'm' in [8, 'm']; give one like"),
        ("{dims: [true]}", "expected a list of int, received True"),
        ("{names: [nanotwise]}", "no data set 'nanotwise'; did you mean nanotwice? there are"),
        ("{way: simm}", "first, parameter way: no method 'simm'; did you mean ssim? there are"),
        ("{shifts: [1, 0.5], dims: [], names: [mvtec_ad/tile, fabric1], way: l2}", ""),
    ],
)
def test_values_are_like_the_defaults(project: Path, values: str, message: str) -> None:
    declared = {
        "dims: list = [4, 8]",
        'names: list = ["nanotwice"]',
        'way: str = "ssim"',
        "shifts: list = [0.5, 1.5]",
    }
    script = project / "notebooks/first.py"
    entries = "".join(f"{entry}  # Something.\n" for entry in sorted(declared))
    script.write_text(script.read_text().replace("rate: float", f"{entries}rate: float"))
    write_profile(project, f"cell_timeout: 9\npages: {{first: {values}}}")
    profile = read_profile("quick", project)
    if message:
        with pytest.raises(BookError, match=re.escape(message)):
            profile.values_for(Page(script))
    else:
        assert profile.values_for(Page(script))["way"] == "l2"


def test_unknown_names_are_errors_that_list_the_known(project: Path) -> None:
    with pytest.raises(BookError, match="did you mean quick. there are quick"):
        execute("quikc", root=project)
    with pytest.raises(BookError, match="did you mean first. there are first, second"):
        execute(only=["frist"], root=project)


def test_pages_are_selected_by_name_or_by_how_it_begins() -> None:
    def selected(*names: str) -> list[str]:
        return [page.name for page in select([Page(Path(f"{name}.py")) for name in known], names)]

    known = ["data", "data_more", "fig07_overlap"]
    assert selected() == known
    assert selected("fig07", "data") == ["data", "fig07_overlap"], "a full name is that page alone"
    assert selected("da") == ["data", "data_more"]


# What makes a page run again


def test_inputs_of_a_page(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*execution.PLACES, *FRESH, "KERAS_BACKEND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SADEFECT_CACHE", str(project / "cache"))
    page = Page(project / "notebooks/first.py")
    before = input_digests(page, {}, project)

    def changed(parameters: dict | None = None) -> list[str]:
        after = input_digests(page, parameters or {}, project)
        return [name for name in before if before[name] != after[name]]

    (project / "book/index.md").write_text("# Other prose\n")
    assert changed() == []
    assert changed({"count": 3}) == ["parameters"]
    for folder in ("cli", "figures/cli"):
        (project / "package" / folder).mkdir(parents=True)
    for file in ("cli/main.py", "__main__.py"):
        (project / "package" / file).write_text("Read by no page.")
    assert changed() == []
    for file in ("losses.py", "figures/charts.py", "figures/cli/charts.py"):
        (project / "package" / file).write_text("Read by pages.")
        assert changed() == ["package"]
        (project / "package" / file).unlink()
    (project / "recorded").mkdir()
    (project / "recorded/result.json").write_text("{}")
    assert changed() == ["recorded results"]
    shutil.rmtree(project / "recorded")
    (project / "data/nanotwice").mkdir(parents=True)
    monkeypatch.setenv("SADEFECT_DATA", str(project / "data"))
    assert changed() == ["data"]
    before = input_digests(page, {}, project)
    (project / "data/nanotwice/Normal").mkdir()
    assert changed() == ["data"]
    before = input_digests(page, {}, project)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert changed() == ["backend"]
    before = input_digests(page, {}, project)
    add_result(project / "cache")
    assert changed() == ["results of this machine"]


def test_a_build_with_real_images_is_not_to_be_published(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("SADEFECT_DATA", str(project / "data"))
    warn_if_not_publishable()
    assert capsys.readouterr().out == ""
    for name in ("Normal/one.png", "Anomalous/images/two.png", "Anomalous/gt/two_gt.png"):
        path = project / "data/nanotwice" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (32, 32)).save(path)
    with pytest.warns(UserWarning, match="nanotwice"):  # They are not the known files.
        warn_if_not_publishable()
    assert "images of nanotwice" in capsys.readouterr().out


def add_result(cache: Path) -> None:
    (cache / "evaluations/one").mkdir(parents=True)
    (cache / "evaluations/one/result.json").write_text("{}")


def test_a_page_knows_the_results_that_it_adds(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SADEFECT_CACHE", str(project / "cache"))
    with (project / "notebooks/second.py").open("a") as script:
        script.write(
            "\n# %%\nimport os, pathlib\n"
            'one = pathlib.Path(os.environ["SADEFECT_CACHE"], "evaluations/own")\n'
            'one.mkdir(parents=True)\n(one / "result.json").write_text("{}")\n'
        )
    assert sorted(execute(root=project)) == ["first", "second"]
    assert execute(root=project) == []
    add_result(project / "cache")
    script = project / "notebooks/second.py"
    script.write_text(
        script.read_text().replace("one.mkdir(parents=True)", "one.mkdir(exist_ok=True)")
    )
    assert sorted(execute(root=project)) == ["first", "second"], "there may be a larger budget"


def test_only_what_changed_is_executed(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.delenv("SADEFECT_REEVALUATE", raising=False)
    monkeypatch.chdir(project)
    monkeypatch.setenv("SADEFECT_DATA", "data")  # Kernels work in another folder.
    with (project / "notebooks/second.py").open("a") as script:
        script.write('\n# %%\nimport os\nprint(os.environ["SADEFECT_DATA"])\n')
    assert sorted(execute(root=project)) == ["first", "second"]
    assert re.search(r"\[2/2\] \w+ executed in", capsys.readouterr().out)
    executed = project / "book/_build/executed"
    notebook = json.loads((executed / "first.ipynb").read_text())
    assert any("count = 2" in "".join(cell["source"]) for cell in notebook["cells"])
    assert str(project) not in json.dumps(notebook), "a path of this machine would be published"
    assert str(project / "data") in (executed / "second.ipynb").read_text()
    assert not list(executed.glob(".*.ipynb"))

    assert execute(root=project) == []
    (project / "book/index.md").write_text("# Other prose\n")
    assert execute(root=project) == []

    # Asked to take nothing recorded, all run; and what they computed will do for a plain build.
    monkeypatch.setenv("SADEFECT_REEVALUATE", "1")
    assert execute(root=project, only=["second"]) == ["second"]
    assert execute(root=project) == ["first"], "goes on where it was cut short"
    monkeypatch.delenv("SADEFECT_REEVALUATE")
    assert execute(root=project) == []


def test_a_failed_page_is_named_kept_and_gone_on_from(project: Path) -> None:
    script = project / "notebooks/second.py"
    script.write_text(HEADER.replace("NAME", "second") + BAD)
    script.write_text(script.read_text().replace("quick 0.1", "quick 0.2"))  # So it comes first.
    with pytest.raises(BookError) as caught:
        execute(root=project, workers=1)
    message = str(caught.value)
    assert not (project / "book/_build/executed/first.ipynb").exists(), "none is started after it"
    copy = project / "book/_build/executed/second.ipynb"
    for part in ("second", 'raise KeyError("the cause")', "KeyError: 'the cause'", str(copy)):
        assert part in message
    assert "code cell 4 of 4" in message  # The injected values are one of them.
    outputs = [
        output
        for cell in json.loads(copy.read_text())["cells"]
        for output in cell.get("outputs", [])
    ]
    assert [output["output_type"] for output in outputs] == ["stream", "error"]
    with pytest.raises(BookError, match="was not executed to its end"):
        render(project)

    script.write_text(HEADER.replace("NAME", "second"))
    assert execute(root=project, only=["second"]) == ["second"]
    assert execute(root=project) == ["first"]


def test_a_cell_that_takes_too_long_or_kills_its_kernel_is_red(project: Path) -> None:
    write_profile(project, "cell_timeout: 3")
    slow = '\n# %%\nprint("on my way", flush=True)\nimport time\ntime.sleep(60)\n'
    deadly = "\n# %%\nimport os\nos._exit(1)\n"
    (project / "notebooks/first.py").write_text(HEADER.replace("NAME", "first") + slow)
    (project / "notebooks/second.py").write_text(HEADER.replace("NAME", "second") + deadly)
    with pytest.raises(BookError) as caught:
        execute(root=project, workers=2)
    assert 'first: code cell 2 of 2, `print("on my way"' in str(caught.value)
    assert "took longer than 3 s" in str(caught.value)
    assert "second: code cell 2 of 2, `import os`" in str(caught.value)
    copy = (project / "book/_build/executed/first.ipynb").read_text()
    assert "on my way" in copy
    assert "CellTimeout" in copy


@pytest.mark.parametrize("spec", ['{"argv": ["false"], "display_name": "x"}', "no JSON", None])
def test_pages_run_in_this_python_whatever_kernels_there_are(
    project: Path, monkeypatch: pytest.MonkeyPatch, spec: str | None
) -> None:
    foreign = project / "jupyter/kernels/python3"
    foreign.mkdir(parents=True)
    if spec:
        (foreign / "kernel.json").write_text(spec)
    monkeypatch.setenv("JUPYTER_PATH", str(project / "jupyter"))
    code = f"\n# %%\nimport sys\nassert sys.executable == {sys.executable!r}\n"
    (project / "notebooks/first.py").write_text(HEADER.replace("NAME", "first") + code)
    assert execute(root=project, only=["first"]) == ["first"]


@pytest.mark.parametrize("times", [1, 2])
def test_a_kernel_that_does_not_start_is_tried_twice(
    project: Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    really, calls = papermill.execute_notebook, []

    def flaky(*arguments, **options):
        calls.append(arguments)
        if len(calls) <= times:
            raise RuntimeError("Kernel died before replying to kernel_info")
        return really(*arguments, **options)

    monkeypatch.setattr(papermill, "execute_notebook", flaky)
    page = Page(project / "notebooks/second.py")
    job = execution._Job(page, {}, input_digests(page, {}, project), Profile("quick", 60), project)
    _, failure = execution._execute_page(job)
    assert len(calls) == 2
    assert bool(failure) == (times == 2)
    assert job.executed.is_file() == (times == 1)


def test_two_builds_at_once_are_refused(project: Path) -> None:
    with (
        execution.one_build(project / "book/_build/executed"),
        pytest.raises(BookError, match="another process builds"),
    ):
        execute(root=project)


# The HTML


def test_html_has_figures_and_warnings_stop_it(project: Path) -> None:
    index = build(root=project)
    page = (index.parent / "notebooks/first.html").read_text()
    assert 'alt="One black dot"' in page
    assert "A dot: it is black." in page and "caption:" not in page
    assert page.index("One black dot") < page.index("b64decode"), "its result comes before its code"
    assert "Our figure A.1" in index.read_text()
    assert 'loading="lazy"' not in page, "it would stay blank in print"
    gallery = (index.parent / "gallery.html").read_text()
    assert 'alt="One black dot"' in gallery and "notebooks/first.html#fig-dot" in gallery
    assert "Our figure A.1" in gallery or "our figure A.1" in gallery
    assert "Their values in this build" in page

    assert "github.com" not in page, "a button for a repository that has no address"

    (project / "book/index.md").write_text("# Preface\n\nSee {doc}`nowhere`.\n")
    with pytest.raises(BookError, match="nowhere"):
        render(project)
    assert "Our figure A.1" in index.read_text(), "the last build stays"


def test_one_address_makes_all_links_to_the_repository(project: Path) -> None:
    config = project / "_config.yml"
    config.write_text(config.read_text().replace('url: ""', f'url: "{EXAMPLE}"', 1))
    write_twins(project)
    twin = json.loads((project / "notebooks/first.ipynb").read_text())
    install = "".join(twin["cells"][1]["source"])
    assert f"!git clone --quiet --depth 1 --branch main {EXAMPLE} " in install
    index = build(root=project)
    colab, binder = "https://colab.research.google.com", "https://mybinder.org"
    for page, expected in {
        "notebooks/first.html": [
            f"{colab}/github/example/fork/blob/main/notebooks/first.ipynb",
            f"{binder}/v2/gh/example/fork/main?urlpath=lab/tree/notebooks/first.ipynb",
            f"{EXAMPLE}/edit/main/notebooks/first.py",
        ],
        "index.html": [f"{EXAMPLE}/edit/main/book/index.md"],
    }.items():
        soup = BeautifulSoup((index.parent / page).read_text(), "html.parser")
        links = {link.get("href") for link in soup.find_all("a")}
        assert {*expected, EXAMPLE} <= links
        assert any(link and link.startswith(f"{EXAMPLE}/issues/new?title=") for link in links)
        seen = {tag.get("property"): tag.get("content") for tag in soup.find_all("meta")}
        assert seen["og:url"] == f"https://example.github.io/fork/{page}"
        card = seen["og:image"].removeprefix("https://example.github.io/fork/")
        picture = Image.open(index.parent / card).convert("RGB")
        assert picture.width > 1000
        corner = {colour for _, colour in picture.crop((900, 0, 1146, 300)).getcolors(99_999)}
        assert any(r > 200 and g < 110 and b < 20 for r, g, b in corner), "the sign's orange dot"


def test_pages_get_the_smaller_of_two_formats(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "_images").mkdir()
    ramp = Image.linear_gradient("L").convert("RGB").resize((300, 200))
    ramp.save(tmp_path / "_images/ramp.png")
    page = tmp_path / "page.html"
    page.write_text('<img src="_images/ramp.png"> <a href="other.png">', encoding="utf-8")
    webpage.shrink_pictures(tmp_path)
    (file,) = (tmp_path / "_images").iterdir()
    text = page.read_text(encoding="utf-8")
    assert text == f'<img src="_images/{file.name}"> <a href="other.png">'
    assert Image.open(file).convert("RGB").tobytes() == ramp.tobytes(), "nothing is lost"
    photograph = tmp_path / "_images/photograph.png"
    noise = np.random.default_rng(0).integers(0, 99, (400, 400), "uint8")
    Image.fromarray(noise).save(photograph)
    before = photograph.stat().st_size
    webpage.shrink_pictures(tmp_path)
    assert photograph.with_suffix(".webp").stat().st_size < before
    monkeypatch.setattr(webpage, "LARGE", 100)
    Image.fromarray(noise).save(photograph)
    webpage.shrink_pictures(tmp_path)
    assert photograph.with_suffix(".webp").stat().st_size < 0.7 * before


def test_the_bibliography_names_authors_and_years() -> None:
    def entry(year: str, *names: str) -> SimpleNamespace:
        people = [SimpleNamespace(last_names=[name]) for name in names]
        return SimpleNamespace(persons={"author": people}, fields={"year": year})

    entries = [entry("2019", "A", "B", "C"), entry("2019", "A", "D", "E"), entry("2015", "K", "B")]
    labels = list(webpage.AuthorYear().format_labels(entries))
    assert labels == ["A et al. 2019a", "A et al. 2019b", "K and B 2015"]


def test_figures_are_numbered_by_the_page_that_they_are_on() -> None:
    numbers = {
        "index": {},
        "notebooks/data": {"figure": {"fig-a": (1,), "fig-b": (2,)}},
        "notebooks/fig06_roc": {"figure": {"fig-roc": (3,), "fig-learning": (4,)}},
        "notebooks/tab02_sensitivity": {"figure": {"fig-s": (5,)}, "table": {"t": (1,)}},
        "notebooks/gap": {"figure": {"fig-gap": (6,)}},
    }
    webpage.number_by_page(None, SimpleNamespace(toc_fignumbers=numbers))
    assert numbers["notebooks/data"]["figure"] == {"fig-a": ("A", 1), "fig-b": ("A", 2)}
    assert numbers["notebooks/fig06_roc"]["figure"]["fig-learning"] == ("6", 2)
    assert numbers["notebooks/tab02_sensitivity"]["figure"] == {"fig-s": ("T2", 1)}
    assert numbers["notebooks/gap"]["figure"] == {"fig-gap": ("B", 1)}


@pytest.mark.book
@pytest.mark.timeout(1800)
def test_links_lead_somewhere(smoke_book: Path) -> None:
    broken, checked = broken_links(smoke_book / "html")
    assert checked > 1000
    assert not broken


def test_links_that_lead_nowhere_are_named(tmp_path: Path) -> None:
    html = tmp_path / "html"
    html.mkdir()
    (html / "other.html").write_text('<p id="here"></p>')
    (tmp_path / "outside.html").write_text("")
    good = ["other.html", "other.html#here", "#top", "https://example.org", "data:,"]
    bad = ["none.html", "other.html#there", "http://example.org", "../outside.html", "#bottom"]
    anchors = "".join(f'<a href="{target}"></a>' for target in good + bad)
    (html / "index.html").write_text(f'<h1 id="top"></h1>{anchors}')
    broken, checked = broken_links(html)
    assert (broken, checked) == ([f"index.html: {target}" for target in bad], 9)


@pytest.mark.book
@pytest.mark.timeout(1800)
def test_data_behind_each_figure_can_be_downloaded(smoke_book: Path) -> None:
    found = moved = 0
    for page in (smoke_book / "html/notebooks").glob("*.html"):
        soup = BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")
        for figure in soup.select("figure:not(.explorer):has(img)"):
            link = figure.select_one("a.download")
            assert link, f"{page.name}: no data for {figure.get('id')}"
            data = json.loads((page.parent / link["href"]).read_text(encoding="utf-8"))
            assert data["figure"] == figure["id"]
            # A plot may be empty in this profile, for want of results.
            found += any(panel.keys() & DRAWN for panel in data["panels"])
        for explorer in soup.select("figure.explorer[data-explorer]"):
            link = soup.select_one(f".explorer-data a[href$='/{explorer['data-explorer']}.json']")
            assert link, f"{page.name}: no data for {explorer['data-explorer']}"
            data = json.loads((page.parent / link["href"]).read_text(encoding="utf-8"))
            assert data.keys() & {"positions", "panels"}
            moved += 1
    assert found > 10
    assert moved > 4
    for notebook in (smoke_book / "html/_sources/notebooks").glob("*.ipynb"):
        page = smoke_book / f"html/notebooks/{notebook.stem}.html"
        assert f'href="../_sources/notebooks/{notebook.name}"' in page.read_text(encoding="utf-8")
        executed = notebook.read_text(encoding="utf-8")
        assert '"outputs"' in executed
        assert MEDIA_TYPE not in executed, "it makes notebooks large"


@pytest.mark.book
@pytest.mark.timeout(1800)
def test_smoke_book(smoke_book: Path) -> None:
    html = smoke_book / "html"
    written = [path for path in html.rglob("*") if path.suffix in (".html", ".ipynb", ".js")]
    names = {path.relative_to(html).as_posix() for path in written}
    assert {"index.html", *(f"notebooks/{page.name}.html" for page in pages())} <= names
    here = [str(smoke_book), str(ROOT) + os.sep]
    for path in written:
        text = path.read_text(encoding="utf-8")
        assert not any(place in text for place in here), f"{path} has a path of this machine"
        assert "application/vnd.jupyter.widget" not in text, f"{path} has the state of a widget"
