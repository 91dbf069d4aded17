"""A page in JupyterLab, opened and run as a reader would."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, Page, expect

from book.builder.pages import ROOT

PLAIN, LIVE = "fig02_three_terms", "your_own_images"
# Of the second page: as little as its sliders need.
SMALL = {"good: int = 24": "good: int = 6"}
SECONDS = 240  # Until the figure is there: a server, a kernel and a framework have to start.


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[str]:
    """Address of a JupyterLab set up as `make lab` does it, with two scripts in its folder."""
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for name in (PLAIN, LIVE):
        shutil.copy(ROOT / "notebooks" / f"{name}.py", folder)
    script = folder / f"{LIVE}.py"
    text = script.read_text()
    for found, small in SMALL.items():
        assert text.count(found) == 1, f"{found!r} stands {text.count(found)} times in {script}"
        text = text.replace(found, small)
    script.write_text(text)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)  # jupytext's settings.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    here = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "run",
    }
    environment = os.environ | {name: str(tmp_path / path) for name, path in here.items()}
    programs = Path(sys.executable).parent
    viewer = [programs / "jupytext-config", "set-default-viewer", "python"]
    subprocess.run(viewer, env=environment, check=True, capture_output=True)
    options = [
        *("--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"),
        *("--ServerApp.port_retries=0", "--IdentityProvider.token=", f"--notebook-dir={tmp_path}"),
        "--LabApp.news_url=",
    ]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [programs / "jupyter", "lab", *options], env=environment, stdout=log, stderr=log
        )
        address = f"http://127.0.0.1:{port}"
        try:
            await_server(f"{address}/api", server, tmp_path / "log")
            yield address
        finally:
            server.kill()  # What it has to tidy up lies in a folder of this test.
            server.wait()


def await_server(address, server, log):
    """Wait until a server answers; fail with what it said if it ends, or takes too long."""
    end = time.monotonic() + SECONDS
    while server.poll() is None and time.monotonic() < end:
        try:
            with urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(1)
    pytest.fail(f"no answer from {address}: {log.read_text()[-2000:]}")


def run_all(lab: str, browser: Browser, name: str) -> Page:
    """The page of a script after "Run All Cells", when its last cell is done."""
    page = browser.new_page(viewport={"width": 1280, "height": 1200})
    page.set_default_timeout(SECONDS * 1000)
    page.goto(f"{lab}/lab/tree/notebooks/{name}.py")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    page.locator(".jp-Dialog .jp-mod-accept").click()  # A script does not say which kernel.
    # What is run before the kernel is there would not run at all.
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=SECONDS * 1000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    # The last cell says where the numbers come from.
    expect(page.get_by_text("Where this comes from").last).to_be_visible(timeout=SECONDS * 1000)
    assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
    return page


@pytest.mark.slow
@pytest.mark.timeout(2 * SECONDS)
def test_a_script_runs_from_top_to_bottom_in_jupyterlab(lab: str, browser: Browser) -> None:
    page = run_all(lab, browser, PLAIN)
    figure = page.locator(".jp-OutputArea-output img").first
    figure.wait_for()
    assert figure.evaluate("(image) => image.decode().then(() => image.naturalWidth)") > 300
    page.close()


@pytest.mark.slow
@pytest.mark.timeout(2 * SECONDS)
def test_sliders_in_jupyterlab_draw_the_figure_again(lab: str, browser: Browser) -> None:
    page = run_all(lab, browser, LIVE)
    page.set_default_timeout(30_000)  # Of a kernel that is there.
    drawn = page.locator(".widget-interact .widget-output img")
    sliders = page.locator(".widget-interact .noUi-handle").all()
    assert len(sliders) == 2
    for slider in sliders:
        before = drawn.get_attribute("src")
        slider.press("ArrowRight")
        expect(drawn).not_to_have_attribute("src", before)
    assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
    page.close()
