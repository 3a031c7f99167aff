"""What every evaluator of this package does: go image by image, gather from processes, save."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from detectron2.evaluation import DatasetEvaluator
from detectron2.structures import Instances
from detectron2.utils import comm

from recseg_d2.errors import UserError
from recseg_d2.evaluation.ground_truth import GroundTruth
from recseg_d2.files import save_scores
from recseg_d2.postprocess import masks_of

logger = logging.getLogger(__name__)

Part = TypeVar("Part")


class ImageEvaluator(DatasetEvaluator, ABC):
    """Compares predictions with a registered data set, image by image; a subclass says how.

    What ``compare`` returns of an image is all that is kept of it, in each process of its own
    images; an image that several processes saw counts once.

    Attributes:
        kind: names the results, and the files in the output folder.

    Args:
        dataset_name: a name in ``DatasetCatalog``.
        output_dir: folder that files are written to; None writes nothing.
        distributed: whether results are gathered from all processes; else only this process's
            images count.

    Raises:
        UserError: the data set has no image, or two with the same ``image_id``.
    """

    kind: str

    def __init__(
        self, dataset_name: str, output_dir: str | Path | None = None, distributed: bool = True
    ) -> None:
        self.dataset_name = dataset_name
        self.output_dir = None if output_dir is None else Path(output_dir)
        self._distributed = distributed
        self.truth = GroundTruth(dataset_name)
        self.reset()

    @abstractmethod
    def compare(self, record: dict[str, Any], output: dict[str, Any]) -> Any:
        """What is kept of an image.

        Args:
            record: Detectron2's standard dict of the image, with the ground truth.
            output: the model's, "instances" or "proposals" at the image's native size.

        Returns:
            anything that can be pickled; None leaves the image out.

        Raises:
            UserError: the prediction is not of the image's size.
        """

    @abstractmethod
    def summarize(self, images: dict[Any, Any]) -> dict[str, float]:
        """Scores by name, of what was kept, by ``image_id`` in the data set's order; saves files.

        Called in the main process alone.
        """

    def reset(self) -> None:
        """Forget all predictions."""
        self._images: dict[Any, Any] = {}

    def process(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> None:
        """Compare a batch with the ground truth.

        Args:
            inputs: dicts with "image_id", as the data loader yields them.
            outputs: what the model gave for each of them, see ``compare``.

        Raises:
            UserError: an image is not of the data set; and as ``compare``.
        """
        for given, output in zip(inputs, outputs, strict=True):
            # by id and not by position: loaders may shuffle and skip
            record = self.truth.record(given["image_id"])
            kept = self.compare(record, output)
            if kept is not None:
                self._images[record["image_id"]] = kept

    def evaluate(self) -> dict[str, dict[str, float]]:
        """``{kind: scores}`` of all images in the main process; {} in the others."""
        parts = gather_parts(self._images, self._distributed)
        if not parts:
            return {}
        # a sampler may give an image to two processes, to make their shares equal
        images = {image_id: kept for part in parts for image_id, kept in part.items()}
        if len(images) < len(self.truth):
            logger.warning(
                "%s: found predictions for %d of %d images; the others are left out.",
                self.dataset_name, len(images), len(self.truth),
            )  # fmt: skip
        # in the data set's order, as ties between scores of images break by it: the number of
        # processes must not change a score
        ids = [record["image_id"] for record in self.truth.records]
        scores = self.summarize({i: images[i] for i in ids if i in images})
        return {self.kind: scores} if scores else {}

    def save(self, scores: Any) -> None:
        """Write ``<kind>_<data set>.json`` into the output folder, where there is one."""
        if self.output_dir is not None:
            path = self.output_dir / f"{self.kind}_{self.dataset_name}.json"
            logger.info("All scores: %s", save_scores(path, scores))


def gather_parts(part: Part, distributed: bool) -> list[Part]:
    """What each process has, in the order of ranks in the main process; nothing in the others.

    Args:
        part: what this process collected; it has to be picklable.
        distributed: whether to ask the others; all processes have to call then.
    """
    if not distributed:
        return [part]
    comm.synchronize()
    return comm.gather(part, dst=0)


def masks_of_size(instances: Instances, record: dict[str, Any]) -> Iterator[np.ndarray]:
    """Each predicted mask as (H, W) bool, of the size of their image.

    Args:
        instances: predictions on the CPU, with "pred_masks".
        record: Detectron2's standard dict of the image.

    Raises:
        UserError: a mask is of another size than the image.
    """
    shape = (record["height"], record["width"])
    for mask in masks_of(instances):
        if mask.shape != shape:
            raise UserError(
                f"{record['file_name']}: found predicted masks of {mask.shape[1]}x{mask.shape[0]} "
                f"pixels, expected the image's {shape[1]}x{shape[0]}; let the model return masks "
                'at the dict\'s "height" and "width".'
            )
        yield mask
