from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recseg_d2.app.correcting import CorrectedImage
from recseg_d2.app.finder import Finder
from recseg_d2.cli.model_options import load_model_config
from recseg_d2.data.synthetic.rosettes import draw_rosette

SIZE = 96


@pytest.fixture(scope="session")
def finder() -> Finder:
    """The trained model of rosettes that comes with the package."""
    asked = Namespace(weights="recseg://rosettes", config_file=None, opts=[], score_thresh=None)
    return Finder(load_model_config(asked))


@pytest.fixture
def truth() -> np.ndarray:
    """The label map of the image at ``path``."""
    return draw_rosette(3, SIZE)[1]


@pytest.fixture
def path(tmp_path) -> Path:
    """An image of a rosette."""
    file = tmp_path / "upload" / "plant.png"
    file.parent.mkdir()
    Image.fromarray(draw_rosette(3, SIZE)[0]).save(file)
    return file


@pytest.fixture
def image(path, finder) -> CorrectedImage:
    return CorrectedImage(path, finder.read(path))
