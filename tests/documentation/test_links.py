"""Links of the pages lead to files and headings that are there."""

from __future__ import annotations

import re

import pytest
from pages import ROOT, pages

LINK = re.compile(r"\[[^\]]*\]\((?!https?:)([^)\s]+)\)")
PAGES = [pytest.param(path, id=path.relative_to(ROOT).as_posix()) for path in pages()]


def without_code(text):
    return re.sub(r"^[ ]*```.*?^[ ]*```$", "", text, flags=re.S | re.M)


def anchors(path):
    """The headings of a page, as they are linked to."""
    headings = re.findall(r"^#+ (.+)$", without_code(path.read_text()), re.M)
    words = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {text.strip().replace(" ", "-") for text in words}


@pytest.mark.parametrize("path", PAGES)
def test_links_lead_somewhere(path):
    for target in LINK.findall(without_code(path.read_text())):
        file, _, anchor = target.partition("#")
        place = (path.parent / file).resolve() if file else path
        assert place.is_relative_to(ROOT), target
        assert place.exists(), target
        if anchor:
            assert anchor in anchors(place), target


@pytest.mark.parametrize("path", PAGES)
def test_files_of_the_package_that_are_named_are_there(path):
    for name in re.findall(
        r"`((?:recseg_d2|configs|docs|projects)/[\w/.]+\.\w+)`", path.read_text()
    ):
        assert (ROOT / name).exists(), name
