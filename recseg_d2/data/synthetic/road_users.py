"""Outlines of what moves in a street, in metres.

A shape is a function of x (metres to the right of its middle) and y (metres above the ground), both
arrays that broadcast to (h, w), and of its width in metres. It returns what it covers, (h, w) bool,
and the brightness of its parts, (h, w) float, 1 for its own colour.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Outline = Callable[[np.ndarray, np.ndarray, float], tuple[np.ndarray, np.ndarray]]

_DARK, _GLASS, _LIGHT = 0.35, 0.55, 1.5  # brightness of wheels and legs, of windows, of skin


@dataclass(frozen=True)
class Shape:
    """What can be drawn of a class.

    Attributes:
        label_id: the label id that Cityscapes gives the class.
        widths: width in metres as seen from the end and from the side.
        height: height of the shape in metres.
        nearest: distance from the camera below which it is not drawn, metres.
        outline: corners of the outline, see the module's docstring.
    """

    label_id: int
    widths: tuple[float, float]
    height: float
    nearest: float
    outline: Outline


def _disc(x: np.ndarray, y: np.ndarray, centre: tuple[float, float], radius: float) -> np.ndarray:
    return (x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius**2


def _box(x: np.ndarray, y: np.ndarray, half_width: float, low: float, high: float) -> np.ndarray:
    return (np.abs(x) < half_width) & (y >= low) & (y < high)


def _merge(*parts: tuple[np.ndarray, float]) -> tuple[np.ndarray, np.ndarray]:
    """Later parts are in front of earlier ones."""
    covered = np.zeros(parts[0][0].shape, bool)
    tone = np.ones(covered.shape)
    for mask, brightness in parts:
        covered |= mask
        tone[mask] = brightness
    return covered, tone


def _person(x: np.ndarray, y: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    torso = (2 * x / width) ** 2 + ((y - 1.05) / 0.42) ** 2 < 1
    legs, head = _box(x, y, 0.36 * width, 0, 0.8), _disc(x, y, (0, 1.58), 0.17)
    return _merge((legs, _DARK), (torso, 1.0), (head, _LIGHT))


def _rider(x: np.ndarray, y: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    torso = (2 * x / width) ** 2 + ((y - 1.25) / 0.42) ** 2 < 1
    legs, head = _box(x, y, 0.3 * width, 0.5, 1.0), _disc(x, y, (0, 1.72), 0.18)
    return _merge((legs, _DARK), (torso, 1.0), (head, _LIGHT))


def _two_wheels(x: np.ndarray, y: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    radius = 0.35
    offset = max(width / 2 - radius, 0.0)
    wheels = _disc(x, y, (-offset, radius), radius) | _disc(x, y, (offset, radius), radius)
    frame = _box(x, y, max(offset, 0.1), 0.45, 0.8) | _box(x, y, 0.12, 0.7, 1.0)
    return _merge((wheels, _DARK), (frame, 1.0))


def _car(x: np.ndarray, y: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    offset, slope = 0.36 * width, np.clip((y - 0.85) / 0.65, 0, 1)
    wheels = _disc(x, y, (-offset, 0.3), 0.3) | _disc(x, y, (offset, 0.3), 0.3)
    body = _box(x, y, width / 2, 0.25, 0.85)
    cabin = (np.abs(x) < width * (0.46 - 0.14 * slope)) & (y >= 0.85) & (y < 1.5)
    windows = cabin & (np.abs(x) < width * (0.4 - 0.14 * slope)) & (y >= 0.9) & (y < 1.4)
    return _merge((wheels, _DARK), (body, 1.0), (cabin, 0.9), (windows, _GLASS))


def _truck(x: np.ndarray, y: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    offset = 0.36 * width
    wheels = _disc(x, y, (-offset, 0.5), 0.5) | _disc(x, y, (offset, 0.5), 0.5)
    chassis, load = _box(x, y, width / 2, 0.5, 1.2), _box(x, y, width / 2, 1.2, 3.4)
    return _merge((wheels, _DARK), (chassis, 0.7), (load, 1.1))


def _bus(x: np.ndarray, y: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    offset = 0.33 * width
    wheels = _disc(x, y, (-offset, 0.45), 0.45) | _disc(x, y, (offset, 0.45), 0.45)
    body, windows = _box(x, y, width / 2, 0.3, 3.0), _box(x, y, 0.46 * width, 1.5, 2.5)
    return _merge((wheels, _DARK), (body, 1.0), (windows, _GLASS))


def _train(x: np.ndarray, y: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    roof = np.clip((y - 3.0) / 0.6, 0, 1)
    body = (np.abs(x) < width / 2 * (1 - 0.25 * roof**2)) & (y >= 0.1) & (y < 3.6)
    windows, stripe = _box(x, y, 0.47 * width, 1.7, 2.7), _box(x, y, width / 2, 0.7, 1.1)
    return _merge((body, 1.0), (windows, _GLASS), (stripe & body, _LIGHT))


SHAPES: dict[str, Shape] = {
    "person": Shape(24, (0.55, 0.55), 1.75, 7.0, _person),
    "rider": Shape(25, (0.5, 0.5), 1.9, 7.0, _rider),
    "car": Shape(26, (1.8, 4.2), 1.5, 7.0, _car),
    "truck": Shape(27, (2.5, 6.5), 3.4, 14.0, _truck),
    "bus": Shape(28, (2.6, 8.0), 3.0, 14.0, _bus),
    "train": Shape(31, (2.8, 12.0), 3.6, 16.0, _train),
    "motorcycle": Shape(32, (0.8, 1.9), 1.0, 7.0, _two_wheels),
    "bicycle": Shape(33, (0.7, 1.7), 1.0, 7.0, _two_wheels),
    "caravan": Shape(29, (2.2, 5.0), 2.9, 14.0, _truck),  # has instances, but is not evaluated
}
