"""What a release says of itself in several files is the same, and is there."""

from __future__ import annotations

import re

import pytest
import yaml

import recseg_d2


@pytest.fixture
def version():
    return recseg_d2.__version__


def test_the_changelog_has_the_version_first(root, version):
    headings = re.findall(r"^## \[(.+?)\]", (root / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] in ("Unreleased", version)
    assert version in headings


def test_the_citation_is_complete_and_of_this_version(root, version):
    cited = yaml.safe_load((root / "CITATION.cff").read_text())
    assert cited["version"] == version
    assert {"cff-version", "message", "title", "authors", "license"} <= cited.keys()
    for paper in cited["references"]:
        assert {"type", "title", "authors", "year"} <= paper.keys()
        assert all({"family-names", "given-names"} == author.keys() for author in paper["authors"])


def test_the_image_is_built_from_files_that_are_there(root):
    lines = (root / ".dockerignore").read_text().splitlines()
    taken = {line[1:] for line in lines if line.startswith("!")}
    assert all((root / name).exists() for name in taken)
    used = set(re.findall(r"/src/([\w.]+)", (root / "docker" / "Dockerfile").read_text()))
    assert used
    assert used <= taken
