"""The recurrent attention model: image in, one object a step out.

Source: Ren & Zemel 2017, "End-to-End Instance Segmentation with Recurrent Attention", section 2,
eq. 1 to 20. Letters as in ``recseg_d2.structures``.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import nn

from recseg_d2.layers.boxes import window_corners
from recseg_d2.layers.gaussian_attention import (
    GaussianFilters,
    read_patch,
    rows_first,
    write_patch,
)
from recseg_d2.layers.recompute import recomputed
from recseg_d2.layers.step_norm import norm_maker
from recseg_d2.losses.ignored import NEVER
from recseg_d2.models.recurrent_attention.box_network import BoxNetwork, LSTMState
from recseg_d2.models.recurrent_attention.conv_stack import draw_weights
from recseg_d2.models.recurrent_attention.feeding import Feeder
from recseg_d2.models.recurrent_attention.options import RecurrentAttentionOptions
from recseg_d2.models.recurrent_attention.segmentation_network import SegmentationNetwork
from recseg_d2.models.recurrent_attention.steps import (
    AttentionSequence,
    Running,
    SharedInput,
    Step,
    spread,
    trace_of,
)
from recseg_d2.models.recurrent_attention.windows import Window, WindowDecoder


class RecurrentAttention(nn.Module):
    """Box network, segmentation network, scores and canvas, unrolled over steps.

    Either network can be left out. Without the box network the window is the whole image. Without
    the segmentation network boxes stand for masks: so the box network is trained alone.

    Args:
        image_size: H and W, the working resolution in pixels.
        steps: number of steps that are run at most.
        options: MODEL.RIS: the networks, the windows and the canvas; their stage is box or full.
        num_classes: C; with 1 there is no class head.
        image_width: channels of the image.
        map_width: channels that the pre-processor made of it; 0 is none.

    Attributes:
        recompute_steps: compute each step anew for its gradient, which saves memory.
        packs_inference: leave images that have ended out of the later steps of inference too.
    """

    recompute_steps = False
    packs_inference = True
    score_head: nn.Linear
    box_score_head: nn.Linear

    def __init__(
        self,
        image_size: tuple[int, int],
        steps: int,
        options: RecurrentAttentionOptions,
        num_classes: int,
        image_width: int = 3,
        map_width: int = 0,
    ) -> None:
        super().__init__()
        box, canvas = options.box, options.canvas
        self.canvas = canvas
        self.canvas_gradient = options.canvas_gradient
        self.box_sees_all = box.sees_image or not map_width
        self.carry_state = box.carry_state
        self.windows = WindowDecoder(image_size, options.patch.size, options.window)
        make_norm = norm_maker(options.norm, steps)
        everything = image_width + map_width
        self.box_network = self.segmentation = self.log_gains = None
        self.class_head: nn.Linear | None = None
        if box.enabled:
            seen = everything if self.box_sees_all else map_width
            self.box_network = BoxNetwork(
                seen, canvas, image_size, self.windows.num_inputs, box, make_norm
            )
        else:
            self.log_gains = nn.Parameter(torch.zeros(self.windows.num_gains))
        if options.stage == "full":
            self.segmentation = SegmentationNetwork(everything + canvas, options.patch, make_norm)
        self._build_heads(box.hidden_width if box.enabled else 0, num_classes)
        draw_weights(self, options.init_std)

    def _build_heads(self, width: int, num_classes: int) -> None:
        """Eq. 20. The box stage's score has a name of its own: it sees less and is not kept."""
        if self.segmentation is None:
            self.box_score_head = nn.Linear(width, 1)
            return
        width += self.segmentation.bottleneck_width
        self.score_head = nn.Linear(width, 1)
        self.class_head = nn.Linear(width, num_classes) if num_classes > 1 else None

    def forward(
        self,
        image: torch.Tensor,
        maps: torch.Tensor | None,
        steps: int,
        stop_threshold: float | None = None,
        feeder: Feeder | None = None,
        with_trace: bool = False,
        lengths: Sequence[int] | None = None,
    ) -> AttentionSequence:
        """Emit one object a step.

        A batch takes as many steps as its longest sequence. Each step is run for those images only
        that have not ended, as packed sequences of any recurrent network are. What an image gives
        depends on the others through batch norms in training alone: there, ``lengths`` that differ
        leave ended images out of their statistics too.

        Args:
            image: (B, image_width, H, W).
            maps: (B, map_width, H, W), or None where that is 0.
            steps: T, how many to run.
            stop_threshold: where given, an image ends with the first step whose score lies under
                it. That step is in the result; in later ones the image has score and masks of
                probability 0, unless ``packs_inference`` is off.
            feeder: gives ground truth in place of what was predicted, in training; None gives none.
            with_trace: whether to keep what figures show in the sequence's ``trace``.
            lengths: steps that each image needs, the longest first; later ones are filled as those
                after the end.
        """
        batch, device = len(image), image.device
        alive = torch.ones(batch, dtype=torch.bool, device=device)
        canvas = torch.zeros_like(image[:, 0]) if self.canvas else None
        shared = self._prepare(image, maps)
        running = Running(torch.arange(batch, device=device), alive, shared, canvas, None, feeder)
        taken: list[Step] = []
        scores: list[torch.Tensor] = []
        for t in range(steps):
            if lengths is not None:
                running = running.take(slice(sum(length > t for length in lengths)))
            step, score = self._advance(running, t)
            taken.append(step.spread(running.numbers, batch))
            scores.append(spread(score, running.numbers, batch, NEVER))
            if stop_threshold is not None:
                running = self._without_ended(running, score, stop_threshold)
                if not len(running):
                    break
        return self._emit(taken, torch.stack(scores, dim=1), with_trace)

    def _advance(self, running: Running, t: int) -> tuple[Step, torch.Tensor]:
        """Run step t, note what it found; the step, and the logits of its score (b,)."""
        # of the feeder as it is now: a step that is computed anew is to be fed the same objects
        feeder = copy.copy(running.feeder)
        parts = (running.shared, running.canvas, t, running.state, feeder)
        step = recomputed(self.recompute_steps, self._step, *parts)
        if self.carry_state and step.glance is not None:
            running.state = step.glance.state
        if running.canvas is not None:
            running.canvas = self._paint(running.canvas, step, t, running.feeder)
        head = self.box_score_head if self.segmentation is None else self.score_head
        return step, head(step.features)[:, 0]

    def _without_ended(self, running: Running, score: torch.Tensor, threshold: float) -> Running:
        """Those that go on after a step; none where all have ended, whatever is kept otherwise."""
        running.alive = running.alive & ~(score.sigmoid() < threshold)
        left = running.alive.nonzero()[:, 0]  # the one time that a step waits for the device
        return running.take(left) if self.packs_inference or not len(left) else running

    def _prepare(self, image: torch.Tensor, maps: torch.Tensor | None) -> SharedInput:
        everything = image if maps is None else torch.cat([image, maps], dim=1)
        prepared = None
        if self.box_network is not None:
            seen = everything if self.box_sees_all or maps is None else maps
            prepared = self.box_network.prepare(seen)
        return SharedInput(rows_first(everything), prepared)

    def _step(
        self,
        shared: SharedInput,
        canvas: torch.Tensor | None,
        t: int,
        state: LSTMState | None,
        feeder: Feeder | None,
    ) -> Step:
        """Parts B and C."""
        if self.box_network is None:
            assert self.log_gains is not None
            window = self.windows.whole_image(self.log_gains, len(shared.rows))
            return self._segment(shared, canvas, t, window, self.windows.filters(window))
        assert shared.prepared is not None
        seen = None if canvas is None else canvas[:, None]
        glance = self.box_network(shared.prepared, seen, t, state)
        window = self.windows(glance.raw)
        filters = self.windows.filters(window)
        box_logits = self.windows.box_logits(window, filters)
        if self.segmentation is None:
            return Step(box_logits, glance.state[0], window, box_logits, glance)
        used = window
        if feeder is not None and feeder.feeds_boxes:
            used = feeder.window(self.windows, window, box_logits, t)
            filters = self.windows.filters(used)
        step = self._segment(shared, canvas, t, used, filters)
        features = torch.cat([glance.state[0], step.features], dim=1)
        return Step(step.mask_logits, features, window, box_logits, glance, step.heat)

    def _segment(
        self,
        shared: SharedInput,
        canvas: torch.Tensor | None,
        t: int,
        window: Window,
        filters: GaussianFilters,
    ) -> Step:
        """Eq. 15 to 19."""
        assert self.segmentation is not None
        patch = read_patch(shared.rows, filters)
        if canvas is not None:
            patch = torch.cat([patch, read_patch(canvas[:, :, None], filters)], dim=1)
        features, heat = self.segmentation(patch * window.patch_gain[:, None, None, None], t)
        written = write_patch(heat, filters)
        logits = window.mask_gain[:, None, None] * written - self.windows.options.beta
        return Step(logits, features, window, heat=heat)

    def _paint(
        self, canvas: torch.Tensor, step: Step, t: int, feeder: Feeder | None
    ) -> torch.Tensor:
        """Eq. 1, with the ground truth in the mask's place where that is fed."""
        mask = step.mask_logits.sigmoid()
        if not self.canvas_gradient:
            mask = mask.detach()
        if feeder is not None and feeder.feeds_masks:
            mask = feeder.mask(step.window, step.box_logits, mask, t)
        return torch.maximum(canvas, mask)

    def _emit(
        self, taken: Sequence[Step], scores: torch.Tensor, with_trace: bool
    ) -> AttentionSequence:
        boxes = box_logits = classes = None
        if self.box_network is not None:
            box_logits = torch.stack([s.box_logits for s in taken if s.box_logits is not None], 1)
            height, width = self.windows.image_size
            corners = [window_corners(s.window.centre, s.window.size) for s in taken]
            x, y = torch.stack(corners, dim=1).unflatten(-1, (2, 2)).unbind(-1)
            boxes = torch.stack([x / width, y / height], dim=-1).flatten(-2)
        if self.class_head is not None:
            classes = self.class_head(torch.stack([s.features for s in taken], dim=1))
        return AttentionSequence(
            mask_logits=torch.stack([s.mask_logits for s in taken], dim=1),
            score_logits=scores,
            class_logits=classes,
            boxes=boxes,
            trace=trace_of(taken, self.windows) if with_trace else {},
            box_logits=box_logits,
        )
