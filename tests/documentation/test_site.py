"""The documentation is built as a site, strictly: no page is left out, no link is broken."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(root, tmp_path):
    for module in ("material", "mkdocs", "mkdocs_jupyter", "latex2mathml"):
        pytest.importorskip(module, reason="the site needs pip install 'recseg_d2[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    result = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    metrics = (tmp_path / "docs" / "metrics" / "index.html").read_text()
    assert "<math" in metrics
    assert "arithmatex" not in metrics
    extending = (tmp_path / "docs" / "extending" / "index.html").read_text()
    assert "StepNetwork" in extending  # the example itself, not a link to it
    for page in ("index.html", "RESULTS/index.html", "projects/ris/index.html"):
        assert (tmp_path / page).is_file()
