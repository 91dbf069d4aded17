"""pyproject.toml, the lock, environment.yml and what is imported say the same."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
LOCKED_EXTRAS = ("book", "dev", "engine")
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))


def locked() -> dict[str, set[Version]]:
    """Versions by name; a name may have one for each range of Python versions."""
    versions: dict[str, set[Version]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([\w.+!]+)", LOCK, re.MULTILINE):
        versions.setdefault(canonicalize_name(name), set()).add(Version(version))
    return versions


def direct(*extras: str) -> list[Requirement]:
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in EXTRAS[extra])]
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize("requirement", direct(*LOCKED_EXTRAS), ids=lambda r: r.name)
def test_lock_has_each_direct_dependency(requirement: Requirement) -> None:
    versions = locked().get(canonicalize_name(requirement.name), set())
    assert versions, f"{requirement.name} is not in requirements.lock; compile it again"
    for version in versions:
        assert requirement.specifier.contains(version), (
            f"the lock has {requirement.name} {version}, pyproject.toml asks for {requirement}"
        )


def test_lock_has_hashes_no_addresses_and_covers_what_it_says() -> None:
    pinned = re.split(r"^(?=\S)", LOCK, flags=re.MULTILINE)
    assert all("--hash=sha256:" in entry for entry in pinned if re.match(r"[\w.-]+==", entry))
    assert "://" not in LOCK, "the lock names where packages come from; readers have their own"
    command = LOCK.splitlines()[1]
    assert "--universal" in command
    assert re.findall(r"--extra (\w+)", command) == list(LOCKED_EXTRAS)


def test_torch_is_an_extra_that_is_not_in_the_lock() -> None:
    assert EXTRAS["torch"] == ["torch==2.13.0"]
    assert "torch" not in locked()


def test_conda_environment_installs_the_lock() -> None:
    pip = next(entry["pip"] for entry in CONDA["dependencies"] if isinstance(entry, dict))
    assert pip == ["-r requirements.lock"]
    names = {re.split("[=<>]", entry)[0] for entry in CONDA["dependencies"] if type(entry) is str}
    assert names == {"python", "pip", "make"}, "everything else has to come from the lock"
    python = next(entry for entry in CONDA["dependencies"] if str(entry).startswith("python="))
    version = python.partition("=")[2]
    assert SpecifierSet(PROJECT["requires-python"]).contains(f"{version}.0")
    assert f"--python-version {version}" in LOCK


def test_binder_installs_the_lock_and_the_project() -> None:
    folder = ROOT / "binder"  # repo2docker reads nothing else once it is there.
    lines = (folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["-r ../requirements.lock"]
    python = next(entry for entry in CONDA["dependencies"] if str(entry).startswith("python="))
    runtime = (folder / "runtime.txt").read_text(encoding="utf-8").strip()
    assert runtime == python.replace("=", "-")
    after = folder / "postBuild"
    assert after.stat().st_mode & 0o111, "repo2docker runs it"
    assert "--no-deps" in after.read_text(encoding="utf-8")


def test_everything_imported_is_declared() -> None:
    declared = {canonicalize_name(requirement.name) for requirement in direct(*EXTRAS)}
    distributions = metadata.packages_distributions()
    undeclared = set()
    for folder in ("sadefect", "tests", "notebooks", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                modules = []
                if isinstance(node, ast.Import):
                    modules = [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    modules = [node.module]
                for top in {module.partition(".")[0] for module in modules}:
                    own = {"sadefect", "tests", "benchmarks"} | sys.stdlib_module_names
                    names = {canonicalize_name(name) for name in distributions.get(top, [])}
                    # What is not installed is for an optional backend, and skipped where missing.
                    if top not in own and names and not names & declared:
                        undeclared.add(f"{path.relative_to(ROOT)}: {top}")
    assert not undeclared


def test_citation_and_readme_fit_the_project() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for text in ("README.md", "CONTRIBUTING.md", "book/how_to_read.md"):
        for verb in re.findall(r"^make ([\w-]+)|`make ([\w-]+)", (ROOT / text).read_text(), re.M):
            assert re.search(rf"^{''.join(verb)}:", makefile, re.M), f"{text}: make {verb}"


def test_line_ends_are_lf_and_binary_files_are_left_alone() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--eol"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("needs git and a clone")
    for line in listed.stdout.splitlines():
        about, _, name = line.partition("\t")
        kept, _, *attributes = about.split()
        binary = Path(name).suffix in (".npz", ".png", ".sadefect", ".h5")
        assert attributes == (["attr/-text"] if binary else ["attr/text=auto", "eol=lf"]), name
        assert kept in (("i/-text",) if binary else ("i/lf", "i/none")), name


@pytest.mark.slow
def test_installed_packages_agree_with_each_other() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout
