"""The verbs of the shell."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sadefect.cli import checkout
from sadefect.cli.checkout import find_checkout, run_builder
from sadefect.cli.main import app
from sadefect.errors import StoreError

ROOT = Path(__file__).resolve().parents[1]


def sadefect(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "sadefect", *arguments],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"} | environment,
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_help_names_the_verbs():
    done = sadefect("--help")
    assert done.returncode == 0 and "results" in done.stdout and "record" in done.stdout


def test_no_framework_is_imported_for_help_or_results():
    script = (
        "import sys, sadefect, sadefect.cli.main, sadefect.paper.store; "
        "sys.exit(any(name in sys.modules for name in ('keras', 'tensorflow', 'torch')))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_results_as_json(tmp_path):
    done = sadefect("results", "--json", SADEFECT_CACHE=str(tmp_path))
    rows = json.loads(done.stdout)
    columns = {"dataset", "method", "latent_dim", "window_size", "patch_size", "seed",
               "patches_seen", "auroc", "aupro", "variant", "schedule", "seconds", "source",
               "key", "numerics_version"}  # fmt: skip
    assert all(columns <= row.keys() and row["source"] == "recorded" for row in rows)


def test_data_list_says_what_is_here(tmp_path):
    done = sadefect("data", "list", "--json", SADEFECT_DATA=str(tmp_path))
    found = {row["name"]: row["files"] for row in json.loads(done.stdout)}
    assert found["nanotwice"] == "not here" and found["synthetic/fibres"] == "here"


def test_reproduce_names_the_pages(capfd, monkeypatch, tmp_path):
    (tmp_path / "book").mkdir()
    (tmp_path / "book/__init__.py").write_text("raise ImportError('not the book')")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match=r"^no page begins with fig99; there .*fig07_region_over"):
        run_builder("execute", "fig99")
    assert capfd.readouterr().err == ""
    assert find_checkout() == ROOT


def test_reproduce_without_a_checkout_says_where_to_get_one(tmp_path, monkeypatch):
    monkeypatch.setattr(checkout, "PACKAGE", tmp_path / "site-packages/sadefect")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StoreError, match="expected a checkout.*git clone"):
        run_builder("build")
    (tmp_path / "clone/book/builder").mkdir(parents=True)
    (tmp_path / "clone/notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "clone/notebooks")
    assert find_checkout() == tmp_path / "clone"


def test_reproduce_passes_its_options_on(monkeypatch):
    calls = []
    monkeypatch.setattr(checkout, "run_builder", lambda *arguments: calls.append(arguments))
    shell = CliRunner()
    shell.invoke(app, ["reproduce", "--jobs", "3"])
    shell.invoke(app, ["reproduce", "--only", "fig07", "--only", "tab", "--profile", "smoke"])
    assert calls == [
        ("build", "--profile", "quick", "--jobs", "3"),
        ("execute", "fig07", "tab", "--profile", "smoke"),
    ]


def test_the_builder_ends_with_who_started_it(tmp_path):
    script = (
        "import time; from book.builder.execution import end_after; import sys; "
        "end_after(sys.stdin.read); print('begun', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as builder:
        assert builder.stdout.readline() == b"begun\n"
        builder.stdin.close()
        assert builder.wait(timeout=20) == 1


def test_the_package_imports_nothing_of_the_book():
    for path in (ROOT / "sadefect").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s*(from|import) book\b", text, re.MULTILINE), path


@pytest.mark.parametrize("arguments", [["data", "fetch", "fabric1"], ["data", "fetch", "folder"]])
def test_errors_are_one_message(arguments, tmp_path):
    done = sadefect(*arguments, SADEFECT_DATA=str(tmp_path))
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.startswith("sadefect: ")
