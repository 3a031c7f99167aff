"""No file of the package's is written in place: what sees it, and what the sources say."""

from __future__ import annotations

import ast
from pathlib import Path

import own_writes
import pytest

import recseg_d2

PACKAGE = Path(recseg_d2.__file__).parent
OPEN_FILES = {"files.py", "engine/journal.py"}  # writes whole files; appends


def opened_for_writing(source: str) -> list[int]:
    """Lines with a call that opens a file for writing by itself."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else ""
        name = node.func.id if isinstance(node.func, ast.Name) else name
        given = [*node.args, *(k.value for k in node.keywords if k.arg == "mode")]
        modes = [a.value for a in given if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        writing = any(set(mode) <= set("rwaxbt+") and set(mode) & set("wax+") for mode in modes)
        if name in ("write_text", "write_bytes", "tofile") or (name == "open" and writing):
            lines.append(node.lineno)
    return lines


def test_no_source_opens_a_file_for_writing_by_itself():
    found = [
        f"{path.relative_to(PACKAGE)}:{line}"
        for path in sorted(PACKAGE.rglob("*.py"))
        if "_embedded" not in path.parts and str(path.relative_to(PACKAGE)) not in OPEN_FILES
        for line in opened_for_writing(path.read_text())
    ]
    assert not found


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("open(p)\np.open('rb')\nopen(p, mode='r')\nf.write('w')", []),
        ("open(p, 'w')\np.open('ab')\nPathManager.open(p, mode='wb')", [1, 2, 3]),
        ("p.write_text('x')\np.write_bytes(b'')", [1, 2]),
    ],
)
def test_opening_for_writing_is_found(source, lines):
    assert opened_for_writing(source) == lines


def code_of_the_package(source):
    """A function's namespace as if it stood in a file of the package."""
    space = {}
    exec(compile(source, str(PACKAGE / "made_up.py"), "exec"), space)
    return space


def test_what_the_package_writes_in_place_is_seen(tmp_path):
    write = code_of_the_package("def write(save, path):\n    save(path)")["write"]
    library = {"save": lambda path: None}
    exec(compile("def save(path):\n    open(path, 'w').close()", "library.py", "exec"), library)
    write(library["save"], tmp_path / "labels.png")
    assert own_writes.found == [
        "made_up.py:2 writes labels.png in place; use recseg_d2.files.write_whole"
    ]
    own_writes.found.clear()
    for name in (".labels.png.part", "metrics.json"):
        write(library["save"], tmp_path / name)
    write(lambda path: path.write_text(""), tmp_path / "by_the_test.png")
    library["save"](tmp_path / "by_a_library.png")
    assert not own_writes.found
