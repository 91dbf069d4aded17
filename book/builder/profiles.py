"""Reads the profiles that hold the parameters of pages, and checks them against the pages."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from book.builder.pages import ROOT, BookError, Page, choices, pages
from book.builder.parameters import check_parameters


@dataclass(frozen=True)
class Profile:
    """Hold parameters of all pages for one purpose, from ``notebooks/profiles/NAME.yaml``."""

    name: str
    cell_timeout: int  # Seconds that one cell may take.
    common: dict[str, Any] = field(default_factory=dict)  # For each page that declares them.
    pages: dict[str, dict[str, Any]] = field(default_factory=dict)  # For one page.

    def values_for(self, page: Page) -> dict[str, Any]:
        """Return the parameters that are passed to a page, all of them declared by it.

        Raises `BookError` if the page's part has a parameter that the page does not declare, or one
        of another type, or one that names no data set or method.
        """
        declared = page.parameters()
        values = {name: value for name, value in self.common.items() if name in declared}
        values |= self.pages.get(page.name, {})
        check_parameters(page, values, self.name)
        return values


def read_profile(name: str, root: Path = ROOT) -> Profile:
    """Read a profile and check it against the pages.

    Raises `BookError` if there is no such profile, it has a part for a page that does not exist, or
    a common parameter that no page declares.
    """
    path = root / "notebooks" / "profiles" / f"{name}.yaml"
    if not path.is_file():
        known = sorted(file.stem for file in path.parent.glob("*.yaml"))
        raise BookError(f"no profile {name!r}; {choices(name, known)}")
    content = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    settings = {key: value for key, value in content.items() if value is not None}
    unknown = set(settings) - {"cell_timeout", "common", "pages"}
    if unknown or not isinstance(settings.get("cell_timeout"), int):
        raise BookError(
            f"{path.name}: expected cell_timeout (seconds), common and pages, found "
            f"{', '.join(content) or 'nothing'}"
        )
    profile = Profile(name, **settings)
    declared = {page.name: page.parameters() for page in pages(root)}
    for page in set(profile.pages) - set(declared):
        raise BookError(
            f"{path.name}: notebooks/{page}.py does not exist; {choices(page, declared)}"
        )
    parameters = {parameter for page in declared.values() for parameter in page}
    for parameter in set(profile.common) - parameters:
        raise BookError(
            f"{path.name}: no page declares the common parameter {parameter}; "
            f"{choices(parameter, sorted(parameters))}"
        )
    return profile
