"""Processes that are killed, disks that are full: the next run gives what one run would have."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from test_detector import broken, texture, write_set
from test_detector_verbs import contents

from book.builder.pages import ROOT
from sadefect.detector import saving as detector_files

QUICK = ("--patch-size", "32", "--latent-dim", "8", "--window-size", "7", "--patches")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def start(store, *arguments, path=ROOT, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "sadefect", *map(str, arguments)],
        env=os.environ | {"SADEFECT_CACHE": str(store), "PYTHONPATH": str(path)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


def finish(process):
    said, error = process.communicate()
    return process.returncode, said, error


def kill_when(process, happened):
    while process.poll() is None and not happened():
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)  # Whoever outlives it may hold its streams open.
    assert process.returncode == -signal.SIGKILL


def ends_within(process, seconds):
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faults")
    for place, make in (("good", texture), ("new", broken)):
        (folder / place).mkdir()
        for number in range(12):
            image = np.uint8(make(number) * 255)
            Image.fromarray(image).save(folder / place / f"{number:02d}.png")
    return folder


@pytest.fixture(scope="module")
def model(folder):
    path = folder / "straight.sadefect"
    code, _, error = finish(
        start(folder / "a", "train", folder / "good", "-o", path, *QUICK, 10_800)
    )
    assert code == 0, error
    return path


def test_a_killed_training_goes_on(folder, model):
    """Before anything is saved, after a checkpoint, and at the end."""
    store, path = folder / "b", folder / "parts.sadefect"
    arguments = ("train", folder / "good", "-o", path, *QUICK, 10_800)
    for pattern in ("detectors/*/settings.json", "detectors/*/checkpoints/*.npz"):
        kill_when(start(store, *arguments), lambda glob=pattern: any(store.glob(glob)))
        assert not path.exists()
    code, _, error = finish(start(store, *arguments))
    assert code == 0, error
    (_, one), (_, other) = (detector_files.read_file(each) for each in (model, path))
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def test_a_killed_segment_goes_on(folder, model, tmp_path):
    assert finish(start(folder, "segment", model, folder / "new", "-o", tmp_path / "one"))[0] == 0
    out = tmp_path / "other"
    for count in (1, 5):
        process = start(folder, "segment", model, folder / "new", "-o", out)
        kill_when(process, lambda least=count: len([*out.glob("pictures/*_map.png")]) >= least)
        for path in out.glob("pictures/*"):
            Image.open(path).load()  # Whole, or not there.
    assert finish(start(folder, "segment", model, folder / "new", "-o", out))[0] == 0
    assert contents(out) == contents(tmp_path / "one")


def test_a_killed_evaluate_goes_on(folder, model, tmp_path):
    data, out = write_set(tmp_path / "set"), tmp_path / "other"
    for number in range(1, 8):
        for name in ("test/cut/{}.png", "ground_truth/cut/{}_mask.png"):
            shutil.copy(data / name.format(0), data / name.format(number))
    assert finish(start(folder, "evaluate", model, data, "-o", tmp_path / "one"))[0] == 0
    for count in (1, 4):
        process = start(folder, "evaluate", model, data, "-o", out)
        kill_when(process, lambda least=count: len([*out.glob("pictures/*_map.png")]) >= least)
        assert not (out / "results.csv").exists()
    assert finish(start(folder, "evaluate", model, data, "-o", out))[0] == 0
    assert contents(out) == contents(tmp_path / "one")


def test_files_that_may_not_grow(folder, model, tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    segment = ("segment", model, folder / "new", "-o", tmp_path / "out")
    train = ("train", folder / "good", "-o", tmp_path / "no.sadefect", *QUICK, 160)
    for arguments in (train, segment):
        code, _, error = finish(start(tmp_path / "c", *arguments, preexec_fn=limit))
        assert code == 1 and "may not grow" in error and "Traceback" not in error
    assert not (tmp_path / "no.sadefect").exists()
    code, _, error = finish(
        start(tmp_path, "segment", model, folder / "new", "-o", tmp_path / "out")
    )
    assert code == 0, error


def test_two_trainings_of_the_same_wait_for_each_other(folder, tmp_path):
    arguments = ("train", folder / "good", *QUICK, 800)
    both = [start(tmp_path / "d", *arguments, "-o", tmp_path / name) for name in ("1.s", "2.s")]
    for process in both:
        code, _, error = finish(process)
        assert code == 0, error
    (_, one), (_, other) = (detector_files.read_file(tmp_path / name) for name in ("1.s", "2.s"))
    np.testing.assert_array_equal(one["weights.000"], other["weights.000"])


PAGE = "fig02_three_terms"


def still_running(store):
    """Processes that were started with a store, however they came to be."""
    found, wanted = [], f"SADEFECT_CACHE={store}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if wanted in path.read_bytes().split(b"\0"):
                found.append(path.parent.name)
        except OSError:
            continue  # It ended meanwhile, or is somebody else's.
    return found


def cells(folder):
    """What a reader sees of the executed page: sources and outputs."""
    page = json.loads((folder / "executed" / f"{PAGE}.ipynb").read_text(encoding="utf-8"))
    assert page["metadata"]["sadefect"]["failed"] is False
    return [(cell["source"], cell.get("outputs")) for cell in page["cells"]]


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
def test_a_killed_reproduce_goes_on(tmp_path):
    """At random moments; no process outlives it, and the next run gives what one run would have."""
    root, built = tmp_path / "checkout", tmp_path / "checkout/book/_build"
    for name in ("sadefect", "notebooks", "book"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("_build", "__py*"))
    for name in ("pyproject.toml", "_config.yml", "recorded"):
        (root / name).symlink_to(ROOT / name)
    arguments = ("reproduce", "--only", PAGE, "--profile", "smoke")

    def run(store):
        return start(store, *arguments, path=root, cwd=root)

    def start_again():
        for path in (built / "executed").glob("[!.]*.ipynb"):
            json.loads(path.read_text(encoding="utf-8"))  # Whole, or not there.
            path.unlink()

    began = time.monotonic()
    code, _, error = finish(run(tmp_path / "one"))
    seconds = time.monotonic() - began
    assert code == 0, error
    straight, files = cells(built), {path.name for path in (built / "executed").iterdir()}
    shutil.rmtree(built)
    moments = np.random.default_rng(time.time_ns()).uniform(0.1, 0.9, 4) * seconds
    print("killed after", moments)
    for moment in moments:
        while ends_within(process := run(tmp_path / "other"), moment):
            moment /= 2  # The machine had more to do when the first run was timed.
            start_again()
        kill_when(process, lambda: True)
        start_again()
        until = time.monotonic() + 20
        while still_running(tmp_path / "other"):
            assert time.monotonic() < until, "a process outlives the run that started it"
            time.sleep(0.1)
    code, _, error = finish(run(tmp_path / "other"))
    assert code == 0, error
    assert cells(built) == straight
    assert {path.name for path in (built / "executed").iterdir()} == files
