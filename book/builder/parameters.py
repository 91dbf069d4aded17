"""Checks parameters that are passed to a page against those that it declares."""

from typing import Any

from book.builder.pages import BookError, Page, choices
from sadefect.datasets import dataset_names
from sadefect.methods import METHODS


def check_parameters(page: Page, values: dict[str, Any], profile: str) -> None:
    """Check names, types and, where a default names data sets or methods, such names.

    papermill itself only warns of a name that a page does not declare, and checks no type.

    Raises
    ------
    BookError
        What was expected, what came, and what may have been meant.
    """
    declared = page.parameters()
    for name, value in values.items():
        if name not in declared:
            raise BookError(
                f"profile {profile}: {page.name} declares no parameter {name}; "
                f"{choices(name, declared)}"
            )
        annotation, default = declared[name]
        kind = annotation.partition("[")[0]
        if not _is_a(kind, value):
            fits = f"a list, as in {name}: {default!r}" if kind == "list" else f"a value of {kind}"
            raise BookError(
                f"profile {profile}: {page.name} declares {name}: {annotation}, received "
                f"{value!r}; give {fits} (YAML reads 5e-4 as text and 5.0e-4 as a number)"
            )
        _check_members(f"profile {profile}: {page.name}, parameter {name}", default, value)


def _is_a(kind: str, value: Any) -> bool:
    """Return whether a value is of a type, given by its name; whole numbers are floats too."""
    return type(value).__name__ in (kind, "int" if kind == "float" else kind)


def _check_members(where: str, default: Any, value: Any) -> None:
    """Check the members of a list by those of its default; text, as if it were its only member."""
    usual = default if isinstance(default, list) else [default]
    members = value if isinstance(value, list) else [value]
    kinds = {type(member).__name__ for member in usual}
    for member in members if usual else ():
        if not any(_is_a(kind, member) for kind in kinds):
            raise BookError(
                f"{where}: expected a list of {' or '.join(sorted(kinds))}, received {member!r} "
                f"in {value!r}; give one like its default, {default!r}"
            )
    for thing, known in (("data set", dataset_names()), ("method", list(METHODS))):
        if usual and all(name in known for name in usual):
            for member in members:
                category = thing == "data set" and member.startswith("mvtec_ad/")  # Any of them.
                if member not in known and not category:
                    raise BookError(f"{where}: no {thing} {member!r}; {choices(member, known)}")
