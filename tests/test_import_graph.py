"""Imports between the package's folders go down the floors of CONTRIBUTING.md, in no circle."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "recseg_d2"
APART = "_embedded"  # stands in for another package, which it is imported as
CHECKOUT_ONLY = {"benchmarks", "projects", "reference", "tests", "tools"}


@dataclass(frozen=True)
class Import:
    """One imported name.

    Attributes:
        source: where it is imported, as a path of folders and module below the package.
        target: what is imported, the same way; empty is the package itself.
        place: file:line.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    place: str

    @property
    def folders(self) -> tuple[str, str]:
        """The folders, or modules beside them, that it leads from and to."""
        return (self.source or ("__init__",))[0], (self.target or ("__init__",))[0]


def imports_of(package: Path) -> Iterator[Import]:
    """Every import of the package's own modules, those inside of functions too."""
    known = {module_path(file, package) for file in package.rglob("*.py")}
    known |= {path[:n] for path in known for n in range(len(path))}
    for file in sorted(package.rglob("*.py")):
        source = module_path(file, package)
        if source[:1] == (APART,):
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            for name in imported_names(node, (package.name, *file.relative_to(package).parts[:-1])):
                if name[0] == package.name:
                    target = name[1:]
                    while target not in known:  # a function or class of a module
                        target = target[:-1]
                    place = f"{file.relative_to(package.parent)}:{node.lineno}"
                    yield Import(source, target, place)


def module_path(file: Path, package: Path) -> tuple[str, ...]:
    path = file.relative_to(package).with_suffix("").parts
    return path[:-1] if path[-1] == "__init__" else path


def imported_names(node: ast.AST, here: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Dotted names that a statement imports; ``here`` is the folder that it stands in."""
    if isinstance(node, ast.Import):
        return [tuple(alias.name.split(".")) for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        above = here[: len(here) - node.level + 1] if node.level else ()
        module = tuple(node.module.split(".")) if node.module else ()
        return [(*above, *module, alias.name) for alias in node.names]
    return []


def read_floors(text: str) -> dict[str, int]:
    """The floor of each folder, the highest first, from the list under the heading "Floors"."""
    (block,) = re.findall(r"^## Floors\n.*?^```\w*\n(.*?)^```", text, re.M | re.S)
    lines = enumerate(block.splitlines())
    return {folder: floor for floor, line in lines for folder in line.split()}


def wrong_imports(imports: list[Import], floors: dict[str, int]) -> list[str]:
    """Imports that lead up or stay on a floor, a line each."""
    lines = []
    for found in imports:
        here, there = found.folders
        if here != there and floors[there] <= floors[here]:
            way = "up" if floors[there] < floors[here] else "sideways"
            lines.append(f"{found.place}: {here} imports {'.'.join(found.target)}, {way}")
    return lines


def circle(imports: list[Import]) -> list[str]:
    """Folders that import each other, and the lines that do it; empty where none do."""
    below: dict[str, set[str]] = {}
    for here, there in (found.folders for found in imports):
        below.setdefault(here, set()).update({there} - {here})
    try:
        TopologicalSorter(below).prepare()
    except CycleError as error:
        folders = error.args[1][::-1]
        steps = set(pairwise(folders))
        places = [f.place for f in imports if f.folders in steps]
        return [" -> ".join(folders), *places]
    return []


@pytest.fixture(scope="module")
def imports() -> list[Import]:
    return list(imports_of(PACKAGE))


@pytest.fixture(scope="module")
def floors() -> dict[str, int]:
    return read_floors((ROOT / "CONTRIBUTING.md").read_text())


def test_every_folder_and_module_beside_them_has_its_floor(floors):
    folders = {path.parent.name for path in PACKAGE.glob("*/*.py")}
    assert set(floors) == folders - {APART} | {path.stem for path in PACKAGE.glob("*.py")}


def test_imports_go_down_the_floors(imports, floors):
    wrong = wrong_imports(imports, floors)
    assert not wrong, "\n".join(["", *wrong])


def test_no_folders_import_each_other(imports):
    found = circle(imports)
    assert not found, "\n".join(["", *found])


def test_no_model_imports_another_one(imports):
    wrong = [
        found.place
        for found in imports
        if found.source[:1] == ("models",) == found.target[:1]
        and len(found.target) > 1
        and found.source[1] != found.target[1]
    ]
    assert not wrong, "\n".join(["", *wrong])


def test_the_package_imports_nothing_that_is_not_installed_with_it():
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            for name in imported_names(node, (PACKAGE.name,)):
                assert name[0] not in CHECKOUT_ONLY, f"{file}:{node.lineno}: {name[0]}"


@pytest.fixture
def made(tmp_path) -> list[Import]:
    """A package whose upper floor is imported from within a function of the lower one."""
    sources = {
        "__init__": "from pack import low",
        "errors": "import json",
        "up/__init__": "",
        "up/a": "import pack.low.b as b\nfrom ..low.b import value\nfrom pack.errors import E",
        "low/__init__": "import numpy",
        "low/b": "from .c import x\n\ndef late():\n    from pack import up\n",
        "low/c": "if TYPE_CHECKING:\n    import pack.up.a\n",
        "aside/d": "from pack.low.b import value",
    }
    for name, text in sources.items():
        file = tmp_path / "pack" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return list(imports_of(tmp_path / "pack"))


def test_made_imports_are_all_found(made):
    assert [(found.place, *found.folders) for found in made] == [
        ("pack/__init__.py:1", "__init__", "low"),
        ("pack/aside/d.py:1", "aside", "low"),
        ("pack/low/b.py:1", "low", "low"),
        ("pack/low/b.py:4", "low", "up"),
        ("pack/low/c.py:2", "low", "up"),
        ("pack/up/a.py:1", "up", "low"),
        ("pack/up/a.py:2", "up", "low"),
        ("pack/up/a.py:3", "up", "errors"),
    ]


def test_made_offences_are_named_by_file_and_line(made):
    floors = read_floors("## Floors\n\nText.\n\n```text\n__init__\nup\nlow aside\nerrors\n```\n")
    assert floors == {"__init__": 0, "up": 1, "low": 2, "aside": 2, "errors": 3}
    assert wrong_imports(made, floors) == [
        "pack/aside/d.py:1: aside imports low.b, sideways",
        "pack/low/b.py:4: low imports up, up",
        "pack/low/c.py:2: low imports up.a, up",
    ]


def test_a_made_circle_is_shown(made):
    folders, *places = circle(made)
    assert folders in ("up -> low -> up", "low -> up -> low")
    assert places == [f"pack/{p}" for p in ("low/b.py:4", "low/c.py:2", "up/a.py:1", "up/a.py:2")]
    without = [found for found in made if found.folders != ("low", "up")]
    assert circle(without) == []
