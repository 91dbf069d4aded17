"""The page on your own images, run in a live kernel as a reader does: its sliders move pictures."""

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient

from sadefect.pages import ROOT, pages, read_profile
from sadefect.provenance import BUILDING

SHOWN = """
pictures.append([output["data"]["image/png"] for output in look.widget.children[-1].outputs])
"""
MOVES = ("", "share.value = 0.1", "window.value = 21", "share.value = share.value")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_its_sliders_move_the_picture(tmp_path, monkeypatch):
    monkeypatch.setenv("SADEFECT_CACHE", str(tmp_path))
    monkeypatch.delenv(BUILDING, raising=False)
    (page,) = (one for one in pages() if one.name == "your_own_images")
    notebook = jupytext.read(page.script)
    values = read_profile("smoke").of(page)
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source += "".join(f"\n{name} = {value!r}" for name, value in values.items())
    cells = ["share, window, _ = look.widget.children; pictures = []"]
    for move in MOVES:
        cells += [move, SHOWN]  # What a cell shows is known to the kernel in the next one.
    cells += ["print([len(one) for one in pictures], len({one[0] for one in pictures}))"]
    notebook.cells += map(nbformat.v4.new_code_cell, cells)
    client = NotebookClient(
        notebook, timeout=200, resources={"metadata": {"path": str(ROOT / "notebooks")}}
    )
    client.execute()
    said = "".join(one.get("text", "") for one in notebook.cells[-1].outputs)
    # One picture at a time; the last is that before, because nothing was moved.
    assert said.strip() == "[1, 1, 1, 1] 3"
