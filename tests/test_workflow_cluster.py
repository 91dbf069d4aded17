"""A small paper on a real SLURM, started on loopback; `make test-cluster`."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from test_workflow import ROOT, TINY, empty_store, trained  # noqa: F401

from sadefect.files import store_folder
from sadefect.paper.engine import has_engine
from sadefect.paper.jobs import as_argument
from sadefect.paper.store import find, training_folder

PROGRAMS = ("munged", "mungekey", "slurmctld", "slurmd", "sbatch")
# Debian installs daemons where users have no programs.
PATH = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
# Where jobs look: Snakemake's plugin takes SLURM's variables from them, SLURM_CONF included.
INSTALLED = Path("/etc/slurm/slurm.conf")
MISSING = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.timeout(2400),
    pytest.mark.skipif(bool(MISSING), reason="needs apt-get install slurm-wlm munge"),
    pytest.mark.skipif(INSTALLED.exists(), reason=f"this machine has a cluster: {INSTALLED}"),
    pytest.mark.skipif(os.geteuid() != 0, reason="SLURM's daemons run as root here"),
    pytest.mark.skipif(not has_engine(), reason='needs pip install "sadefect[workflow]"'),
]
HOST = socket.gethostname().partition(".")[0]
# No accounting on loopback; and a cluster of one node answers at once.
OPTIONS = (
    *("--slurm-no-account", "--slurm-status-command", "squeue"),
    *("--slurm-init-seconds-before-status-checks", "3", "--seconds-between-status-checks", "3"),
)
CONF = """
ClusterName=loopback
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
KillWait=60
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=16000 State=UNKNOWN
PartitionName=batch Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
# What a job of this kind is worth: enough patches that there is a middle to be cut off in.
LONG = replace(TINY, patches_seen=6400)
SIX = [
    replace(TINY, seed=seed, method=method, residual=method)
    for seed in range(3)
    for method in ("ssim", "l2")
]
PAGES = ("fig02_three_terms", "method_ssim", "tab01_architecture")
SMALL_PAPER = """
import json, sys
from sadefect.paper.engine import How, work
from sadefect.paper.experiment import Experiment
from sadefect.paper.jobs import Costs, page_jobs, scoring_jobs, training_jobs
settings = json.loads(sys.argv[1])
points, costs = [Experiment(**each) for each in settings["points"]], Costs()
jobs = training_jobs(points, costs)
scorings = scoring_jobs(points, jobs, costs)
pages = page_jobs(settings["pages"], scorings) if settings["pages"] else []
how = How("slurm", book_profile="smoke", options=tuple(settings["options"]))
work([*jobs, *scorings, *pages], how)
"""


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=True, **options).stdout


def daemon(name):
    return subprocess.Popen([name, "-D"], stderr=subprocess.DEVNULL)


def restart_last(daemons):
    """Stop the controller, and start it again with what it had saved."""
    controller = daemons.pop()
    controller.terminate()
    controller.wait(60)
    time.sleep(2)
    daemons.append(daemon("slurmctld"))


def state_of_node(*wanted):
    """Wait for a state; whatever it is, after a minute."""
    for _ in range(60):
        time.sleep(1)
        asked = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True)
        if (state := asked.stdout.strip()) in wanted:
            break
    return state


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """A cluster of this machine alone, that nothing else on it knows of."""
    folder = tmp_path_factory.mktemp("slurm")
    folder.chmod(0o755)
    for parent in list(folder.parents)[:3]:
        parent.chmod(0o755)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    conf = folder / "slurm.conf"
    conf.write_text(CONF.format(folder=folder, host=HOST, ports=free_ports(2)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", PATH)
        INSTALLED.symlink_to(conf)
        run("mungekey", "--create", f"--keyfile={folder}/munge.key")
        daemons = [
            subprocess.Popen(
                ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket",
                 f"--key-file={folder}/munge.key", f"--pid-file={folder}/munged.pid",
                 f"--log-file={folder}/munged.log", f"--seed-file={folder}/munged.seed"],
                stderr=subprocess.DEVNULL,
            )
        ]  # fmt: skip
        try:
            time.sleep(1)
            daemons += [daemon("slurmd"), daemon("slurmctld")]
            if state_of_node("idle") != "idle":
                logs = [path.read_text()[-2000:] for path in folder.glob("*.log")]
                pytest.fail("SLURM did not start:\n" + "\n".join(logs))
            yield SimpleNamespace(restart_controller=partial(restart_last, daemons))
        finally:
            subprocess.run(["scancel", "--user=root"], check=False, timeout=30)
            INSTALLED.unlink()
            for running in reversed(daemons):
                running.terminate()
                running.wait(60)


def start(points, pages=None, checkout=ROOT, **options):
    """Start a workflow in a process of its own; its snakemake is a child of it."""
    settings = {
        "points": [json.loads(as_argument(point)) for point in points],
        "pages": pages or {},
        "options": OPTIONS,
    }
    return subprocess.Popen(
        [sys.executable, "-c", SMALL_PAPER, json.dumps(settings)],
        env=os.environ | {"PYTHONPATH": str(checkout)}, cwd=checkout,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        **options,
    )  # fmt: skip


def finish(workflow):
    said = workflow.communicate(timeout=2000)[0]
    assert workflow.returncode == 0, said[-6000:]
    return said


def wait_for(condition, workflow, seconds=600):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert workflow.poll() is None, workflow.communicate()[0][-6000:]
        assert time.monotonic() < end
        time.sleep(0.2)
    return value


def job_of(experiment):
    """The id of the SLURM job that trains an experiment, once it does."""
    listed = run("squeue", "-h", "-t", "R", "-o", "%i %k").splitlines()
    at_work = [line.split()[0] for line in listed if experiment.training_key in line]
    return at_work[0] if at_work and (training_folder(experiment) / "settings.json").exists() else 0


@pytest.fixture(scope="module")
def by_hand(tmp_path_factory):
    """The weights and metrics of one process after another."""
    expected = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SADEFECT_CACHE", str(tmp_path_factory.mktemp("by-hand")))
        patch.setenv("SADEFECT_RECORDED", str(tmp_path_factory.mktemp("recorded")))
        for name in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
            patch.setenv(name, "1")
        for experiment in (*SIX, LONG):
            command = [sys.executable, "-m", "sadefect", "run-one", as_argument(experiment)]
            subprocess.run(command, check=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
            expected[experiment] = dict(trained(experiment)), find(experiment).metrics
    return expected


def check(experiments, by_hand):
    for experiment in experiments:
        weights, metrics = by_hand[experiment]
        assert find(experiment).metrics == metrics
        got = trained(experiment)
        assert all(np.array_equal(got[name], weights[name]) for name in weights)


def copy_of_checkout(folder):
    for name in run("git", "ls-files", cwd=ROOT).splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    return folder


def test_a_small_paper_gives_the_numbers_of_one_process_after_another(
    slurm, by_hand, tmp_path, monkeypatch
):
    checkout = copy_of_checkout(tmp_path / "checkout")
    # Pages on speed show what was measured; of these six experiments nothing is recorded.
    monkeypatch.setenv("SADEFECT_RECORDED", str(checkout / "recorded"))
    said = finish(start(SIX, dict.fromkeys(PAGES, 0.2), checkout))
    assert "16 of 16 steps" in said or "(100%) done" in said
    check(SIX, by_hand)
    for page in PAGES:
        executed = json.loads((checkout / f"book/_build/executed/{page}.ipynb").read_text())
        assert executed["metadata"]["sadefect"]["failed"] is False
        assert (checkout / f"book/_build/html/notebooks/{page}.html").exists()


def test_a_training_that_is_cancelled_goes_on_from_its_state(slurm, by_hand):
    workflow = start([LONG])
    job = wait_for(lambda: job_of(LONG), workflow)
    run("scancel", job)
    said = finish(workflow)
    assert "Trying to restart" in said
    check([LONG], by_hand)


def test_after_a_kill_the_message_names_what_to_do_and_nothing_is_lost(slurm, by_hand):
    workflow = start([LONG])
    wait_for(lambda: job_of(LONG), workflow)
    os.killpg(workflow.pid, signal.SIGKILL)
    workflow.communicate()
    again = start([LONG])
    said = again.communicate(timeout=300)[0]
    assert again.returncode and "--unlock" in said
    unlock = said.strip().splitlines()[-1]
    subprocess.run(unlock, shell=True, check=True)
    finish(start([LONG]))  # Its job of before may be at work still: the next one waits.
    check([LONG], by_hand)


def test_two_workflows_on_one_store_train_nothing_twice(slurm, by_hand):
    both = [start([LONG, TINY]), start([LONG])]
    said = [finish(workflow) for workflow in both]
    check([LONG, TINY], by_hand)
    assert all("Error" not in text for text in said)
    state = np.load(training_folder(LONG) / "state.npz")
    assert int(state["patches_seen"]) == LONG.patches_seen


def test_a_node_that_is_drained_and_a_controller_that_restarts_cost_no_patch(slurm, by_hand):
    workflow = start([LONG])
    job = wait_for(lambda: job_of(LONG), workflow)
    run("scontrol", "update", f"nodename={HOST}", "state=drain", "reason=test")
    run("scontrol", "requeue", job)  # As a node that is taken away would do.
    wait_for(lambda: not job_of(LONG), workflow)
    slurm.restart_controller()
    assert state_of_node("drained", "draining").startswith("drain")
    run("scontrol", "update", f"nodename={HOST}", "state=resume")
    finish(workflow)
    check([LONG], by_hand)


def test_a_full_disk_ends_one_job_and_says_so(slurm, by_hand, tmp_path):
    other = replace(TINY, seed=1)
    folder = training_folder(other)
    folder.mkdir(parents=True)
    run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder))
    try:
        full = start([other, TINY])
        said = full.communicate(timeout=1200)[0]
        logs = [path.read_text() for path in store_folder().rglob("*.log")]
        assert full.returncode
        assert "the disk is full; free some room" in "\n".join([said, *logs])
    finally:
        run("umount", str(folder))
    check([TINY], by_hand)  # Other jobs went on.
    finish(start([other, TINY]))
    check([other], by_hand)
