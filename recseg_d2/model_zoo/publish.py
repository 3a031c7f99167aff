"""Make a trained model part of the package: ``python -m recseg_d2.model_zoo.publish``.

It writes the weights in half precision, with config, classes, metrics, licence and command, into
the package's weights, and their SHA-256 into the index. ``make docs`` then renews MODEL_ZOO.md.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from recseg_d2.config import get_recseg_cfg, load_config
from recseg_d2.files import read_json, save_text
from recseg_d2.model_zoo.card import Card, write_weights
from recseg_d2.model_zoo.registry import INDEX, WEIGHTS, digest

_RUN_ONLY = ("OUTPUT_DIR", "DATASETS")  # of the machine that trained, nobody else's


def build_parser() -> argparse.ArgumentParser:
    """Arguments of the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", metavar="RUN", help="output folder of the training")
    parser.add_argument("name", metavar="NAME", help="of the model: recseg://NAME")
    parser.add_argument("--summary", required=True, help="one sentence on what it finds")
    parser.add_argument("--classes", nargs="+", default=["object"], help="names of its classes")
    parser.add_argument(
        "--metric", nargs="+", default=[], metavar="NAME=VALUE", help="what was measured"
    )
    parser.add_argument("--measured-on", default="", help="images that it was measured on")
    parser.add_argument("--data", required=True, help="what it was trained on")
    parser.add_argument("--licence", required=True, help="of the data")
    parser.add_argument("--command", required=True, help="that trained it; several lines are kept")
    parser.add_argument(
        "--opts",
        nargs="+",
        default=[],
        metavar=("KEY VALUE", "KEY VALUE"),
        help="config keys that users need otherwise than the training had them",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Publish a run."""
    args = build_parser().parse_args(argv)
    run = Path(args.run)
    card = Card(
        name=args.name,
        summary=args.summary,
        config=_config_of(run / "config.yaml", args.opts),
        classes=args.classes,
        metrics={k: float(v) for k, v in (pair.split("=") for pair in args.metric)},
        measured_on=args.measured_on,
        data=args.data,
        licence=args.licence,
        command=args.command,
    )
    content = torch.load(run / "model_final.pth", map_location="cpu", weights_only=True)
    path = WEIGHTS / f"{args.name}.pth"
    write_weights(path, content["model"], card)
    index = read_json(INDEX, "the index of models") if INDEX.is_file() else {}
    index[args.name] = {"file": path.name, "sha256": digest(path)}
    save_text(INDEX, json.dumps(dict(sorted(index.items())), indent=2) + "\n")
    print(f"{path}: {path.stat().st_size / 2**20:.2f} MB")
    return 0


def _config_of(path: Path, opts: list[str]) -> str:
    """What the config, with ``opts``, has that is no default and not the run's alone."""
    config = yaml.safe_load(load_config(path, opts).dump())
    for key in _RUN_ONLY:
        config.pop(key, None)
    for key in ("WEIGHTS", "DEVICE"):
        config["MODEL"].pop(key, None)
    defaults = yaml.safe_load(get_recseg_cfg().dump())
    return yaml.safe_dump({"VERSION": config["VERSION"], **_differences(config, defaults)})


def _differences(config: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """The keys of a config with other values than the defaults have."""
    result = {}
    for key, value in config.items():
        default = defaults.get(key)
        if isinstance(value, dict) and isinstance(default, dict):
            if below := _differences(value, default):
                result[key] = below
        elif value != default:
            result[key] = value
    return result


if __name__ == "__main__":
    raise SystemExit(main())
