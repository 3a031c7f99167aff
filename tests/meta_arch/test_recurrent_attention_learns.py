import numpy as np
import pytest
import torch
from detectron2.modeling import build_model
from detectron2.structures import BitMasks, Instances

from recseg_d2.config import get_recseg_cfg
from recseg_d2.data.synthetic.rosettes import draw_rosette
from recseg_d2.metrics import score_image
from recseg_d2.postprocess import label_map_of

SIZE = 64
ITERATIONS = {"box": 100, "full": 240}
LEARNING_RATE = 4e-3


def stage_cfg(stage):
    cfg = get_recseg_cfg()
    cfg.MODEL.META_ARCHITECTURE = "RecurrentAttentionSeg"
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.SEQUENTIAL.IMAGE_SIZE = (SIZE, SIZE)
    cfg.MODEL.SEQUENTIAL.STEPS = 5
    cfg.MODEL.SEQUENTIAL.TEST.EXCLUSIVE = True
    cfg.MODEL.PIXEL_MEAN, cfg.MODEL.PIXEL_STD = [127.5] * 3, [64.0] * 3
    ris = cfg.MODEL.RIS
    ris.STAGE = stage
    ris.FULL_SEQUENCES, ris.INIT_STD = False, 0.0
    ris.WINDOW.VARIANCE, ris.WINDOW.GAMMA, ris.WINDOW.LOG_GAMMA = "box", "area", 2.3
    ris.BOX_IOU.MIN_PADDING = 4.0
    ris.PREPROCESSOR.ENABLED = False
    ris.BOX.WIDTHS, ris.BOX.POOLS = (8, 16, 16, 32), (2, 2, 2, 1)
    ris.BOX.HIDDEN_WIDTH, ris.BOX.COORDINATES = 64, True
    ris.PATCH.SIZE, ris.PATCH.WIDTHS, ris.PATCH.POOLS = (24, 24), (16, 16, 32, 32), (1, 2, 1, 2)
    ris.PATCH.DECODER_WIDTHS, ris.PATCH.SKIPS = (32, 16, 16, 16), (True,) * 4
    ris.PATCH.POSITIVE = False
    ris.SAMPLING.BOX_START, ris.SAMPLING.MASK_START, ris.SAMPLING.DECAY = 40.0, 80.0, 50.0
    return cfg


def rosette(seed):
    image, labels = draw_rosette(seed, SIZE, (2, 4))
    present = [k for k in range(1, labels.max() + 1) if (labels == k).any()]
    masks = torch.stack([torch.from_numpy(labels == k) for k in present])
    instances = Instances((SIZE, SIZE), gt_masks=BitMasks(masks))
    instances.gt_classes = torch.zeros(len(present), dtype=torch.int64)
    return {"image": torch.from_numpy(image).permute(2, 0, 1), "instances": instances}, labels


def train(model, batch, iterations):
    optimizer = torch.optim.Adam(model.parameters(), lr=LEARNING_RATE)
    for i in range(iterations):
        for group in optimizer.param_groups:  # warm up, hold, fall to nearly nothing
            left = 1 - i / iterations
            group["lr"] = LEARNING_RATE * min(1.0, (i + 1) / 10, 2 * left + 0.02)
        model.iteration = i
        losses = model(batch)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


@pytest.mark.slow
def test_it_learns_four_rosettes_by_heart_in_two_stages():
    batch, labels = zip(*[rosette(seed) for seed in range(4)], strict=True)
    weights = {}
    for stage, iterations in ITERATIONS.items():
        torch.manual_seed(0)
        model = build_model(stage_cfg(stage))
        model.load_state_dict(weights, strict=False)
        train(model, batch, iterations)
        weights = model.state_dict()
    model.eval()
    with torch.no_grad():
        found = [result["instances"] for result in model(batch)]
    maps = [label_map_of(i) for i in found]
    assert [len(i) for i in found] == [len(x["instances"]) for x in batch]
    scores = [score_image(m, t, ["sbd"])["SBD"] / 100 for m, t in zip(maps, labels, strict=True)]
    assert np.mean(scores) >= 0.9
