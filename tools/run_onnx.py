"""Runs an exported sequential or dense attention model, without this package; writes a label map.

Usage: python run_onnx.py MODEL.onnx IMAGE LABELS.png. Needs numpy, pillow and onnxruntime. Channels
are in RGB order here; swap them for a model that was trained with INPUT.FORMAT BGR.
"""

import sys

import numpy as np
import onnxruntime
from PIL import Image

model, image_file, labels_file = sys.argv[1:]
session = onnxruntime.InferenceSession(model)
height, width = session.get_inputs()[0].shape[2:]
image = Image.open(image_file).convert("RGB")
pixels = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR), np.float32)
outputs = session.run(None, {"image": pixels.transpose(2, 0, 1)[None]})
found = dict(zip([o.name for o in session.get_outputs()], outputs, strict=True))
labels = found.get("labels", np.zeros((height, width))).astype(np.uint16)  # dense attention's
for number in reversed(range(len(found.get("masks", ())))):  # or those of a sequence ...
    if (found["scores"][: number + 1] >= 0.5).all():  # ... which ends below 0.5
        labels[found["masks"][number] > 0.5] = number + 1
Image.fromarray(labels).resize(image.size, Image.Resampling.NEAREST).save(labels_file)
