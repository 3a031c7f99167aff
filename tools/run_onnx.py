"""Runs an exported sequential model on an image, without this package, and writes a label map.

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
masks, scores = session.run(["masks", "scores"], {"image": pixels.transpose(2, 0, 1)[None]})
found = int(np.argmin(np.append(scores, 0.0) >= 0.5))  # the sequence ends below 0.5
labels = np.zeros((height, width), np.uint8)
for number in reversed(range(found)):
    labels[masks[number] > 0.5] = number + 1
Image.fromarray(labels).resize(image.size, Image.Resampling.NEAREST).save(labels_file)
