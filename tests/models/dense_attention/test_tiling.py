import itertools

import numpy as np
import pytest
import torch
from models.dense_attention.oracle import Oracle, same_partition, scattered_labels
from models.dense_attention.test_search import OPTIONS, run, separate

from recseg_d2.models.dense_attention.tiling import search_tiles, tiles_of


def tiled(labels: np.ndarray, side: int, overlap: int) -> np.ndarray:
    image = torch.from_numpy(labels).float()[None]
    return search_tiles(Oracle(), image, OPTIONS, side, overlap).labels.numpy()


def test_tiles_cover_the_image_and_overlap():
    tiles = tiles_of((100, 250), 96, 32)
    assert {(t.rows.start, t.rows.stop) for t in tiles} == {(0, 96), (4, 100)}
    columns = sorted({(t.columns.start, t.columns.stop) for t in tiles})
    assert columns[0][0] == 0
    assert columns[-1][1] == 250
    assert all(b[0] <= a[1] - 32 for a, b in itertools.pairwise(columns))


def test_a_small_image_is_one_tile():
    assert len(tiles_of((50, 60), 96, 32)) == 1


def test_tiles_must_advance():
    with pytest.raises(ValueError, match="cannot overlap"):
        tiles_of((500, 500), 64, 64)


@pytest.mark.parametrize("seed", range(4))
def test_tiles_find_what_the_whole_image_has(seed):
    labels = separate(scattered_labels(np.random.default_rng(seed), (300, 340), 60))
    whole = run(labels).drawing.found(4).labels.numpy()
    assert same_partition(tiled(labels, 128, 48), whole, 0.8)


def test_an_object_larger_than_the_overlap_is_put_together():
    labels = np.zeros((96, 400), np.int32)
    labels[30:60, 20:380] = 1
    found = tiled(labels, 160, 64)
    assert len(np.unique(found)) == 2
    assert (found > 0)[30:60, 20:380].mean() > 0.9


def test_two_objects_that_meet_at_a_seam_stay_two():
    labels = np.zeros((96, 192), np.int32)
    labels[30:60, 60:96], labels[30:60, 96:130] = 1, 2
    assert same_partition(tiled(labels, 128, 64), labels, 0.8)
