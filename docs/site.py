"""Hooks of MkDocs: pages stand at their places in the checkout, and formulas are MathML.

The site's tree is the checkout's, so that a link works on the site as it does in the files.
"""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
# What of the checkout is on the site, beside the pages of docs/.
PLACES = (
    *(
        "*.md",
        "docs/*.md",
        "docs/*.css",
        "docs/images/*",
        "docs/examples/*.py",
        "docs/notebooks/*.ipynb",
    ),
    *("projects/*/*.md", "projects/*/*.png"),
)

_CODE = re.compile(r"(?<=\n\n)\[[^\]]*\]\(([\w/]+\.py)\)(?=\n\n)")
_FORMULA = re.compile(r'<(div|span) class="arithmatex">\\[\[(](.*?)\\[\])]</\1>', re.S)


@event_priority(100)  # before the plugin of notebooks looks for them
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """All files of the site, each at its place in the checkout."""
    theme = [file for file in files if file.src_dir != config.docs_dir]
    paths = {path for place in PLACES for path in ROOT.glob(place)}
    names = (path.relative_to(ROOT).as_posix() for path in sorted(paths))
    own = [File(n, str(ROOT), config.site_dir, config.use_directory_urls) for n in names]
    return Files([*theme, *own])


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """A link to a Python file that is a paragraph of its own becomes the file's text."""
    folder = Path(page.file.abs_src_path or "").parent
    return _CODE.sub(lambda link: f"```python\n{(folder / link[1]).read_text()}```", markdown)


def on_page_content(html: str, **_: object) -> str:
    """Formulas as MathML, which browsers draw without a script."""
    return _FORMULA.sub(_mathml, html)


def _mathml(found: re.Match[str]) -> str:
    display = "block" if found.group(1) == "div" else "inline"
    return convert(unescape(found.group(2)).strip(), display=display)
