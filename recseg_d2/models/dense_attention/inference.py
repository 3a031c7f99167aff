"""The search: look at the maxima of the heat map until nothing is left."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F

from recseg_d2.models.dense_attention.canvas import canvas_channels
from recseg_d2.models.dense_attention.model import DenseAttention, boxes_at, place_of
from recseg_d2.models.dense_attention.options import SearchOptions
from recseg_d2.models.dense_attention.windows import write_window


@dataclass
class Found:
    labels: torch.Tensor
    scores: list[float] = field(default_factory=list)
    looks: int = 0
    rounds: int = 0


@torch.no_grad()
def search(model: DenseAttention, image: torch.Tensor, options: SearchOptions, most_looks: int = 32) -> Found:
    """Draft: rounds of independent looks. image (C, H, W) normalised."""
    H, W = image.shape[1:]
    s = model.stride
    x = F.pad(image[None], (0, -W % s, 0, -H % s), mode="replicate") if (W % s or H % s) else image[None]
    HH, WW = x.shape[2:]
    e = model.encode(x)
    labels = torch.zeros(HH, WW, dtype=torch.int32)
    best = torch.zeros(HH, WW)
    allowed = torch.ones(HH // 2, WW // 2)
    allowed[(H + 1) // 2 :] = 0
    allowed[:, (W + 1) // 2 :] = 0
    out = Found(labels)
    while True:
        canvas = canvas_channels(labels[None])
        heat = model.heat(e.heat, canvas)[0].sigmoid() * allowed
        around = F.max_pool2d(heat[None, None], 7, 1, 3)[0, 0]
        rows, cols = torch.nonzero((heat == around) & (heat > options.heat_threshold), as_tuple=True)
        if not len(rows):
            break
        v = heat[rows, cols]
        order = v.argsort(descending=True, stable=True)
        rows, cols, v = rows[order], cols[order], v[order]
        boxes = boxes_at(e.boxes[0], rows, cols)
        keep = independent(boxes, place_of(rows, cols), most_looks)
        rows, cols, v, boxes = rows[keep], cols[keep], v[keep], boxes[keep]
        places = place_of(rows, cols)
        seen = model.look(e, 0, canvas, places, boxes)
        o = model.segment(seen)
        wins = model.windows(boxes).long().tolist()
        probs, scores = o.masks.sigmoid(), o.scores.sigmoid()
        out.rounds += 1
        for j in range(len(rows)):
            out.looks += 1
            r, c = int(rows[j]), int(cols[j])
            allowed[max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2] = 0
            w = write_window(probs[j], wins[j], (HH, WW))
            if w is None:
                continue
            ys, xs, p = w
            score = float((v[j] * scores[j]).sqrt())
            inside = p > 0.5
            mine = inside & (p > best[ys, xs])
            area = int(mine[: max(H - ys.start, 0), : max(W - xs.start, 0)].sum())
            ok = score >= options.score_threshold and area >= options.min_area
            if ok and area < 0.3 * int(inside.sum()):
                ok = False
            if not ok:
                q = F.max_pool2d(F.pad(inside.float()[None, None], (xs.start % 2, (inside.shape[1] + xs.start) % 2, ys.start % 2, (inside.shape[0] + ys.start) % 2)), 2)[0, 0]
                allowed[ys.start // 2 : ys.start // 2 + q.shape[0], xs.start // 2 : xs.start // 2 + q.shape[1]] *= 1 - q
                continue
            out.scores.append(score)
            labels[ys, xs][mine] = len(out.scores)
            best[ys, xs] = torch.maximum(best[ys, xs], p * inside)
            if len(out.scores) >= options.max_objects:
                break
    out.labels = labels[:H, :W]
    return out


def independent(boxes: torch.Tensor, places: torch.Tensor, most: int) -> list[int]:
    keep: list[int] = []
    b = boxes.tolist()
    for i in range(len(b)):
        x1, y1, x2, y2 = b[i]
        m = 0.25 * max(x2 - x1, y2 - y1) + 2
        if all(x1 - m > b[k][2] or x2 + m < b[k][0] or y1 - m > b[k][3] or y2 + m < b[k][1] for k in keep):
            keep.append(i)
            if len(keep) == most:
                break
    return keep
