"""Synthetic streets: road users of the eight classes of Cityscapes.

A pinhole camera at a car's height looks along a road between houses. Road users of known size
stand on the ground and hide what is behind them, so that size, place and disparity agree. Drawn
beside them is what loaders and evaluators have to tell from objects: groups that are not taken
apart, a class whose instances are not evaluated, the own car's bonnet and a rim (void), holes in
the disparity. Classes are label ids of Cityscapes.

Letters: H W pixels; X to the right, Y up from the ground, Z away from the camera, metres.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from recseg_d2.data.synthetic.drawing import photograph, smooth_noise
from recseg_d2.data.synthetic.road_users import SHAPES, Shape

MIN_HEIGHT = 32  # of an image, pixels; below it road users are only a few pixels
BASELINE, CAMERA_HEIGHT = 0.209313, 1.22  # metres, those of Cityscapes' car
FOCAL_LENGTH = 2.21  # in image heights, as in Cityscapes
INSTANCE_DIVISOR = 1000  # id of an instance: class * 1000 + its number in the class, from 0
DISPARITY_SCALE = 256  # a disparity d is stored as d * 256 + 1; 0 is "unknown"

EGO_VEHICLE, OUT_OF_ROI = 1, 3  # label ids: void ...
ROAD, SIDEWALK, BUILDING, VEGETATION, TERRAIN, SKY = 7, 8, 11, 21, 22, 23  # ... and surroundings

_ROAD_HALF_WIDTH, _SIDEWALK_EDGE = 5.0, 8.0  # metres
_HORIZON, _MIDDLE = 0.45, 0.52  # of the image's height and width
_FARTHEST = 40.0  # metres; of objects
_HOUSES_AT = 60.0
_GROUPS = ("person", "car", "bicycle")
_GROUP_CHANCE, _CARAVAN_CHANCE = 0.6, 0.3
_OBJECTS = (4, 11)  # beside one car, which is in every image
_MIX = {
    "person": 0.3, "car": 0.28, "rider": 0.12, "bicycle": 0.1, "motorcycle": 0.06, "truck": 0.06,
    "bus": 0.05, "train": 0.03,
}  # fmt: skip
_HOLES = 0.05  # share of pixels without disparity

_GEOMETRY_STREAM, _LOOK_STREAM = 0, 1  # independent random streams of one seed


@dataclass(frozen=True)
class StreetScene:
    """A drawn street.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        ids: (H, W) uint16, instance ids as in Cityscapes' files.
        disparity: (H, W) uint16, as in Cityscapes' files.
        camera: the calibration, as in Cityscapes' files, "extrinsic" (metres, radians) and
            "intrinsic" (pixels).
    """

    image: np.ndarray
    ids: np.ndarray
    disparity: np.ndarray
    camera: dict[str, dict[str, float]]


@dataclass(frozen=True)
class _Placed:
    """A road user: what it is, where it stands, and the id of its pixels."""

    shape: Shape
    width: float
    x: float
    z: float
    id: int


@dataclass(frozen=True)
class _Camera:
    size: tuple[int, int]

    @property
    def focal(self) -> float:
        return FOCAL_LENGTH * self.size[0]

    @property
    def centre(self) -> tuple[float, float]:
        """Row and column of the optical axis."""
        return _HORIZON * self.size[0], _MIDDLE * self.size[1]

    def rays(self) -> tuple[np.ndarray, np.ndarray]:
        """(H, 1) down and (1, W) right, per metre of distance, at the pixels' centres."""
        rows = (np.arange(self.size[0])[:, None] + 0.5 - self.centre[0]) / self.focal
        columns = (np.arange(self.size[1])[None, :] + 0.5 - self.centre[1]) / self.focal
        return rows, columns

    def as_dict(self) -> dict[str, dict[str, float]]:
        """The contents of a camera file."""
        row, column = self.centre
        extrinsic = {"baseline": BASELINE, "pitch": 0.0, "roll": 0.0, "yaw": 0.0}
        return {
            "extrinsic": {**extrinsic, "x": 1.7, "y": 0.1, "z": CAMERA_HEIGHT},
            "intrinsic": {"fx": self.focal, "fy": self.focal, "u0": column, "v0": row},
        }


def draw_street(seed: int, size: tuple[int, int] = (96, 192)) -> StreetScene:
    """Draw the street of a seed.

    Args:
        seed: any integer >= 0.
        size: height (at least ``MIN_HEIGHT``) and width in pixels.
    """
    camera = _Camera(size)
    rng = np.random.default_rng((seed, _GEOMETRY_STREAM))
    look = np.random.default_rng((seed, _LOOK_STREAM))
    ids, depth, canvas = _draw_surroundings(camera, rng, look)
    for placed in sorted(_place(camera, rng), key=lambda p: -p.z):
        _draw_road_user(placed, camera, (ids, depth, canvas), look)
    canvas *= 1 + 0.08 * smooth_noise(look, size, max(8, size[0] // 4))[..., None]
    _draw_void(ids, depth, canvas)
    disparity = _disparity(camera, depth, look)
    return StreetScene(photograph(canvas, look), ids, disparity, camera.as_dict())


def _place(camera: _Camera, rng: np.random.Generator) -> list[_Placed]:
    """What stands where; riders sit on what they ride, just in front of it."""
    numbers: Counter[int] = Counter()
    placed: list[_Placed] = []

    def add(name: str, x: float, z: float, as_group: bool = False) -> None:
        shape = SHAPES[name]
        label = shape.label_id
        width = shape.widths[int(rng.random() < 0.5)]
        number = label if as_group else label * INSTANCE_DIVISOR + numbers[label]
        numbers[label] += not as_group
        placed.append(_Placed(shape, width, x, z, number))

    names = rng.choice(
        list(_MIX), rng.integers(_OBJECTS[0], _OBJECTS[1] + 1), p=list(_MIX.values())
    )
    extra = ["caravan"] if rng.random() < _CARAVAN_CHANCE else []
    for name in ["car", *names.tolist(), *extra]:
        z = float(np.exp(rng.uniform(np.log(SHAPES[name].nearest), np.log(_FARTHEST))))
        x = _somewhere(camera, z, rng)
        if name == "rider":
            add("bicycle" if rng.random() < 0.7 else "motorcycle", x, z)
            z -= 0.1
        add(name, x, z)
    if rng.random() < _GROUP_CHANCE:
        name, z = _GROUPS[rng.integers(len(_GROUPS))], rng.uniform(18, 30)
        x = _somewhere(camera, z, rng)
        for k in range(rng.integers(4, 8)):
            add(name, x + 0.6 * k * SHAPES[name].widths[0], z + rng.uniform(0, 1), as_group=True)
    return placed


def _somewhere(camera: _Camera, z: float, rng: np.random.Generator) -> float:
    """X of a place that can be seen at that distance."""
    _, columns = camera.rays()
    return float(rng.uniform(0.95 * columns[0, 0], 0.95 * columns[0, -1]) * z)


def _draw_surroundings(
    camera: _Camera, rng: np.random.Generator, look: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ids (H, W) uint16, depth (H, W) in metres (infinite for the sky), and colours (H, W, 3)."""
    rows, columns = camera.rays()
    below = rows > CAMERA_HEIGHT / _HOUSES_AT
    ground = CAMERA_HEIGHT / np.where(below, rows, 1)
    side = np.abs(columns * ground)
    ids = np.where(side < _SIDEWALK_EDGE, SIDEWALK, TERRAIN)
    ids = np.where(side < _ROAD_HALF_WIDTH, ROAD, ids)
    corners = np.sort(rng.uniform(0, camera.size[1], 6)).astype(int)
    house = np.searchsorted(corners, np.arange(camera.size[1]))
    heights, kinds = rng.uniform(3, 22, 7), rng.choice([BUILDING, BUILDING, VEGETATION], 7)
    upright = -rows * _HOUSES_AT + CAMERA_HEIGHT < heights[house]
    ids = np.where(below, ids, np.where(upright, kinds[house], SKY)).astype(np.uint16)
    depth = np.where(below, ground, np.where(upright, _HOUSES_AT, np.inf))
    table = np.zeros((SKY + 1, 3))
    table[[ROAD, SIDEWALK, BUILDING, VEGETATION, TERRAIN, SKY]] = (
        (0.35, 0.34, 0.36), (0.5, 0.47, 0.46), (0.46, 0.4, 0.36), (0.25, 0.36, 0.2),
        (0.4, 0.42, 0.28), (0.68, 0.76, 0.86),
    )  # fmt: skip
    shade = np.where(below, 1, look.uniform(0.75, 1.2, 7)[house])
    return ids, depth, table[ids] * shade[..., None]


def _draw_road_user(
    placed: _Placed,
    camera: _Camera,
    layers: tuple[np.ndarray, np.ndarray, np.ndarray],
    look: np.random.Generator,
) -> None:
    """Draw one over ids, depth and colours, in the window that it can cover."""
    ids, depth, canvas = layers
    rows, columns = camera.rays()
    y, x = CAMERA_HEIGHT - rows[:, 0] * placed.z, columns[0] * placed.z - placed.x
    inside = (y > -0.1) & (y < placed.shape.height + 0.1), np.abs(x) < placed.width / 2 + 0.2
    colour = look.uniform(0.15, 0.85, 3) * look.uniform(0.7, 1.1)
    if not (inside[0].any() and inside[1].any()):
        return
    window = tuple(slice(i.argmax(), len(i) - i[::-1].argmax()) for i in inside)
    grid = np.broadcast_arrays(x[None, window[1]], y[window[0], None])
    covered, tone = placed.shape.outline(grid[0], grid[1], placed.width)
    ids[window][covered] = placed.id
    depth[window][covered] = placed.z
    canvas[window][covered] = (colour * tone[..., None])[covered]


def _draw_void(ids: np.ndarray, depth: np.ndarray, canvas: np.ndarray) -> None:
    """The bonnet of the camera's own car, and a rim that is not annotated."""
    height, width = ids.shape
    across = np.linspace(-1, 1, width)[None, :]
    bonnet = np.arange(height)[:, None] > height * (0.94 + 0.1 * across**2)
    ids[bonnet], depth[bonnet], canvas[bonnet] = EGO_VEHICLE, np.inf, (0.12, 0.12, 0.14)
    rim = max(1, height // 100)
    for edge in (np.s_[:rim], np.s_[-rim:], np.s_[:, :rim], np.s_[:, -rim:]):
        ids[edge] = OUT_OF_ROI


def _disparity(camera: _Camera, depth: np.ndarray, look: np.random.Generator) -> np.ndarray:
    """(H, W) uint16 as stored, with holes: some pixels, and what the right camera cannot see."""
    pixels = camera.focal * BASELINE / depth  # 0 where the depth is infinite
    stored = np.rint(pixels * DISPARITY_SCALE + 1).astype(np.uint16)
    hidden = np.arange(depth.shape[1])[None, :] < pixels
    stored[(pixels == 0) | hidden | (look.random(depth.shape) < _HOLES)] = 0
    return stored
