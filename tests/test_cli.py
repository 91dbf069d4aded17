"""The verbs of the shell."""

import json
import os
import subprocess
import sys

import pytest


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


@pytest.mark.parametrize("arguments", [["data", "fetch", "fabric1"], ["data", "fetch", "folder"]])
def test_errors_are_one_message(arguments, tmp_path):
    done = sadefect(*arguments, SADEFECT_DATA=str(tmp_path))
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.startswith("sadefect: ")
