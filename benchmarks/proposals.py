"""Time InstanceFCN's inference as a whole beside its literal form, from an image to pasted masks.

The literal form slides a window over every cell of every scale and assembles, boxes, suppresses and
pastes its mask one value at a time, as the loops of ``tests/reference`` do; the network's
convolutions are PyTorch's in both. It is run once, and ours before and after it. Weights are random
and the image is noise; the last convolution is scaled so that masks are neither full nor empty.

Examples:
    python benchmarks/proposals.py --image-size 125 167 \
        MODEL.INSTANCE_FCN.TEST.SCALES "(40, 59, 89, 133, 200, 300)"
    python benchmarks/proposals.py --config-file instancefcn_synthetic.yaml --image-size 96 96
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # for tests/reference
sys.path.insert(0, str(ROOT))

import recseg_d2  # noqa: F401  (comes before any detectron2 import)

# isort: split
import torch
from detectron2.modeling import build_model
from reference.instance_fcn_literal import assemble
from reference.proposals_literal import greedy_nms, paste_mask, tight_box
from tabulate import tabulate

from benchmarks.models import interleaved_seconds
from benchmarks.run import benchmark_config
from recseg_d2.cli import run
from recseg_d2.cli.model_options import add_config_options, parse_arguments
from recseg_d2.errors import UserError
from recseg_d2.files import save_scores
from recseg_d2.layers.assembling import OUTSIDE_LOGIT
from recseg_d2.meta_arch.instance_fcn_proposal import InstanceFCNProposal, to_proposals
from recseg_d2.models.instance_fcn.branches import AssemblingMaskBranch
from recseg_d2.models.instance_fcn.options import InstanceFCNOptions
from recseg_d2.models.instance_fcn.proposals import build_pyramid, propose, rank_windows

OFF_GRID = 7e-4  # added to the threshold of suppression


@dataclass
class Found:
    """Proposals of an image, the best first.

    Attributes:
        scores: (P,) float logits.
        masks: (P, H, W) bool.
    """

    scores: torch.Tensor
    masks: torch.Tensor


def build_parser() -> argparse.ArgumentParser:
    """The script's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--config-file", default="instancefcn_voc.yaml", metavar="FILE")
    parser.add_argument(
        "--image-size", nargs=2, type=int, default=[375, 500], metavar=("H", "W"), help="in pixels"
    )
    parser.add_argument("--repeats", type=int, default=3, metavar="N", help="of ours")
    parser.add_argument("--output", metavar="FILE", help="write the numbers as JSON")
    add_config_options(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a table."""
    args = parse_arguments(build_parser(), argv)
    if min(*args.image_size, args.repeats) < 1:
        raise UserError(
            f"--image-size is {args.image_size} and --repeats {args.repeats}; expected 1 or more."
        )
    torch.manual_seed(0)
    built = build_model(benchmark_config(args.config_file, args.opts))
    model = assembling_model(built.eval())
    model.options = off_grid(model.options)
    height, width = args.image_size
    image = torch.randn(model.in_channels, height, width, device=model.device)
    with torch.inference_mode():
        spread_masks(model, image)
        rows = whole_rows(model, image, args.repeats)
    print(tabulate(rows, headers="keys", floatfmt=".2f", missingval="-"))
    if args.output:
        save_scores(args.output, rows)
    return 0


def assembling_model(model: torch.nn.Module) -> InstanceFCNProposal:
    """The model that was given, if it is one that assembles masks.

    Raises:
        UserError: it is not.
    """
    if not isinstance(model, InstanceFCNProposal):
        raise UserError(
            f"--config-file is of {type(model).__name__}; expected InstanceFCNProposal."
        )
    if not isinstance(model.network.mask_branch, AssemblingMaskBranch):
        raise UserError("MODEL.INSTANCE_FCN.HEAD.MASK_HEAD is deepmask; expected assembling.")
    return model


def off_grid(options: InstanceFCNOptions) -> InstanceFCNOptions:
    """Windows are on a grid: many overlaps equal a round threshold, and rounding would decide."""
    test = replace(options.test, nms_thresh=options.test.nms_thresh + OFF_GRID)
    return replace(options, test=test)


def spread_masks(model: InstanceFCNProposal, image: torch.Tensor) -> None:
    """Let score maps have mean 0 and variance 1."""
    maps = torch.cat(
        [
            x.maps.mask_maps.flatten()
            for x in build_pyramid(model.network, image, model.options.test)
        ]
    )
    branch = model.network.mask_branch
    assert isinstance(branch, AssemblingMaskBranch)
    layer = branch.score_maps
    assert layer.bias is not None
    layer.weight.div_(maps.std())
    layer.bias.sub_(maps.mean()).div_(maps.std())


def whole_rows(
    model: InstanceFCNProposal, image: torch.Tensor, repeats: int
) -> list[dict[str, Any]]:
    """A row of a table for each form."""
    size = (image.shape[1], image.shape[2])
    ours = lambda: our_proposals(model, image, size)  # noqa: E731
    before = interleaved_seconds({"": ours}, repeats, model.device)[""]
    started = time.perf_counter()
    expected, windows = literal_proposals(model, image, size)
    literal = time.perf_counter() - started
    after = interleaved_seconds({"": ours}, repeats, model.device)[""]
    found, seconds = ours(), (before + after) / 2
    same = found.masks.shape == expected.masks.shape and torch.equal(found.scores, expected.scores)
    differ = (found.masks != expected.masks).float().mean() if same else float("nan")
    shared = {"scales": len(model.options.test.scales), "windows": windows}
    return [
        {
            **shared,
            "version": "this package",
            "proposals": len(found.scores),
            "seconds": seconds,
            "times literal": literal / seconds,
            "pixels that differ": float(differ),
        },
        {
            **shared,
            "version": "literal",
            "proposals": len(expected.scores),
            "seconds": literal,
            "times literal": 1.0,
        },
    ]


def our_proposals(model: InstanceFCNProposal, image: torch.Tensor, size: tuple[int, int]) -> Found:
    """As the model's inference makes them."""
    options = model.options.test
    found, _ = propose(model.network, image, size, options)
    proposals = to_proposals(found, options.mask_thresh)
    return Found(proposals.objectness_logits, proposals.pred_masks)


def literal_proposals(
    model: InstanceFCNProposal, image: torch.Tensor, size: tuple[int, int]
) -> tuple[Found, int]:
    """One window and one value at a time; also the number of windows."""
    options, network = model.options.test, model.network
    levels = build_pyramid(network, image, options)
    ranked = rank_windows(levels, options.pre_nms_topk)
    masks, windows, boxes, scores = [], [], [], []
    jobs = zip(ranked.level.tolist(), ranked.windows.cpu(), ranked.objectness.tolist(), strict=True)
    for index, window, score in jobs:
        level = levels[index]
        maps = level.maps.mask_maps.cpu()
        mask = assemble(maps, window[None], network.window, OUTSIDE_LOGIT)[0].double().numpy()
        zoom = torch.tensor([size[1] / level.size[1], size[0] / level.size[0]]).repeat(2)
        place = (network.geometry.boxes(window[None])[0] * zoom).double().numpy()
        box = tight_box(mask, place, size, options.mask_thresh)
        if box is not None:
            masks.append(mask)
            windows.append(place)
            boxes.append(box)
            scores.append(score)
    kept = greedy_nms(boxes, scores, options.nms_thresh)[: options.topk]
    pasted = [paste_mask(masks[k], windows[k], size, options.mask_thresh) for k in kept]
    filled = [n for n, mask in enumerate(pasted) if mask.any()]
    result = Found(
        torch.tensor([scores[kept[n]] for n in filled]),
        torch.stack([torch.from_numpy(pasted[n]) for n in filled]),
    )
    return result, len(ranked.objectness)


if __name__ == "__main__":
    sys.exit(run(main))
