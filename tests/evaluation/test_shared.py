from __future__ import annotations

import logging

import numpy as np
import pytest

from recseg_d2.errors import UserError
from recseg_d2.evaluation.ground_truth import GroundTruth
from recseg_d2.evaluation.shared import gather_parts, masks_of_size, warn_of_gaps

RECORD = {"file_name": "a.png", "height": 2, "width": 3}


@pytest.mark.parametrize("distributed", [True, False])
def test_a_process_alone_gathers_its_own(distributed):
    assert gather_parts({"a": 1}, distributed) == [{"a": 1}]


def test_gaps_are_told_of_and_completeness_is_not(register, caplog):
    truth, logger = GroundTruth(register()), logging.getLogger("recseg_d2.test")
    warn_of_gaps(logger, "leaves", 3, truth)
    assert not caplog.records
    warn_of_gaps(logger, "leaves", 2, truth)
    assert "leaves: found predictions for 2 of 3 images" in caplog.text


def test_masks_have_the_size_of_their_image():
    masks = masks_of_size(np.ones((2, 2, 3), np.uint8), RECORD)
    assert masks.dtype == bool
    assert masks.shape == (2, 2, 3)
    assert masks_of_size(np.zeros((0, 5, 7)), RECORD).shape == (0, 2, 3)
    with pytest.raises(UserError, match=r"a.png: found predicted masks of 2x3 .* image's 3x2"):
        masks_of_size(np.ones((1, 3, 2)), RECORD)
