"""Train peers and this package's models on the same images for the same CPU time, and score them.

    python -m benchmarks.peers.run --data nuclei --objects 2 20 --minutes 40 --threads 2
        --methods yolo mask_rcnn recseg:rsis_small.yaml --output output/peers/nuclei

A method is a script of this folder; after a colon comes its --config. Each is trained, its
thresholds are chosen on training images, and it is scored on the validation images. A run whose
result is there is not run again. See README.md for the environments.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers.folders import Selection, copy_selected, draw_rosettes, shuffled
from benchmarks.peers.peer import PREDICTION, TRAINING, Peer, Settings, write_json
from benchmarks.peers.scoring import choose, combinations, evaluate
from benchmarks.peers.table import EXPERIMENT, RESULT, markdown, read_results, rows
from recseg_d2.cli import run
from recseg_d2.errors import UserError

ROOT = Path(__file__).parents[2]
METHODS = ("yolo", "cellpose", "stardist", "mask_rcnn")  # what others have; by default
SCRIPTS = (*METHODS, "recseg", "classical")
TUNING_IMAGES = 30  # at most, to choose thresholds
DATA = "data"  # folder of the copies in --output
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)


@dataclass(frozen=True)
class Method:
    """A line of the table: a script and the config that it is given.

    Attributes:
        script: name of a file of this folder, without .py.
        config: may be "".
    """

    script: str
    config: str

    @property
    def peer(self) -> Peer:
        """What the script says of itself; its environment is not needed for that."""
        return importlib.import_module(f"benchmarks.peers.{self.script}").PEER

    @property
    def title(self) -> str:
        """Its name in tables."""
        name = Path(self.config).stem
        return f"{self.peer.title} {name}" if name else self.peer.title

    @property
    def folder(self) -> str:
        """Its name in --output."""
        return "-".join(part for part in (self.script, Path(self.config).stem) if part)


def main(argv: Sequence[str] | None = None) -> int:
    """Prepare the data, run every method and seed, print the table."""
    args = build_parser().parse_args(argv)
    methods = [parse_method(text) for text in args.methods]
    prepare(args)
    for method in methods:
        for seed in args.seeds:
            run_method(method, seed, args)
    if methods:
        experiment, results = read_results(args.output)
        print(markdown(experiment, rows(results)))
    return 0


def parse_method(text: str) -> Method:
    """A method from "script" or "script:config".

    Raises:
        UserError: there is no such script.
    """
    script, _, config = text.partition(":")
    if script not in SCRIPTS:
        raise UserError(f"--methods: found {script!r}, expected one of {', '.join(SCRIPTS)}.")
    return Method(script, config)


def prepare(args: argparse.Namespace) -> None:
    """Copy or draw the images into --output, unless they are there.

    Raises:
        UserError: --output is that of another experiment.
    """
    wanted = {
        "name": args.name or (args.data.name if args.data else f"rosettes, spread {args.spread:g}"),
        "data": str(args.data.resolve()) if args.data else None,
        "rosettes": args.rosettes,
        "spread": args.spread,
        "objects": args.objects,
        "images": args.images,
        "images_seed": args.images_seed,
        "scale": args.scale,
        "minutes": args.minutes,
        "threads": args.threads,
    }
    place = args.output / EXPERIMENT
    if place.is_file():
        found = json.loads(place.read_text())
        changed = [key for key, value in wanted.items() if found[key] != value]
        if changed:
            raise UserError(
                f"{place}: found another experiment ({', '.join(changed)} differ), expected the "
                "same options as before; name another --output."
            )
        return
    shutil.rmtree(args.output / DATA, ignore_errors=True)  # of a start that broke off
    if args.rosettes:
        images = dict(zip(("train", "val"), args.rosettes, strict=True))
        counts = draw_rosettes(args.output / DATA, images, args.size, args.spread)
    else:
        objects = tuple(args.objects) if args.objects else None
        selection = Selection(objects, args.images, args.images_seed, args.scale)
        counts = copy_selected(args.data, args.output / DATA, selection)
    write_json(place, {**wanted, "counts": counts})


def run_method(method: Method, seed: int, args: argparse.Namespace) -> None:
    """Train, choose thresholds, predict, score; everything goes into a folder of --output."""
    folder = args.output / f"{method.folder}_seed{seed}"
    if (folder / RESULT).is_file():
        print(f"{folder}: is there already")
        return
    folder.mkdir(parents=True, exist_ok=True)
    data = (args.output / DATA).resolve()
    script = Script(method, folder, args)
    print(f"{folder}: training for {args.minutes:g} CPU minutes", flush=True)
    script("train", "--train", data / "train", "--minutes", args.minutes, "--seed", seed,
           threads=args.threads)  # fmt: skip
    settings, value = tune(script, data / "train", args.threads)
    print(f"{folder}: {settings} (SBD - |DiC| on training images: {value})", flush=True)
    images = data / "val" / "images"
    prediction = script.predict("val", images, [settings], threads=1)
    ranking = {**settings, **method.peer.ranking}
    ranked = folder / "val" / "0"
    if ranking != settings:
        script.predict("val_ranked", images, [ranking], threads=args.threads)
        ranked = folder / "val_ranked" / "0"
    scores = evaluate(folder / "val" / "0", ranked, data / "val" / "labels")
    write_json(
        folder / RESULT,
        {
            "method": method.title,
            "seed": seed,
            "training": json.loads((folder / TRAINING).read_text()),
            "settings": settings,
            "ranking": ranking,
            "on_training_images": value,
            "prediction": prediction,
            **scores,
            "commands": [
                line.format(config=method.peer.options(method.config))
                for line in method.peer.commands
            ],
        },
    )


class Script:
    """Runs a method's script in its environment; what it prints goes into log.txt."""

    def __init__(self, method: Method, work: Path, args: argparse.Namespace) -> None:
        self.method, self.work, self.envs = method, work, args.envs

    def __call__(self, command: str, *arguments: Any, threads: int) -> None:
        """Run one of its two commands.

        Raises:
            UserError: its environment is missing, or it failed.
        """
        words = [self._python(), "-m", f"benchmarks.peers.{self.method.script}", command]
        words += [*arguments, "--work", self.work.resolve(), "--threads", threads]
        if command == "train":
            words += ["--config", self.method.config]
        log = self.work / "log.txt"
        with log.open("a") as file:
            done = subprocess.run(
                [str(word) for word in words],
                cwd=ROOT,
                env=self._environment(threads),
                stdout=file,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            raise UserError(
                f"{self.method.script} {command}: found exit code {done.returncode}, expected 0; "
                f"{log} ends with the reason."
            )

    def predict(
        self, name: str, images: Path, settings: Sequence[Settings], threads: int
    ) -> dict[str, Any]:
        """Predict a folder into ``work``/``name``; what the script says about it."""
        output = (self.work / name).resolve()
        write_json(output / "settings.json", settings)
        self("predict", "--images", images.resolve(), "--output", output, "--settings",
             output / "settings.json", threads=threads)  # fmt: skip
        return json.loads((output / PREDICTION).read_text())

    def _python(self) -> Path:
        name = self.method.peer.environment
        if not name:
            return Path(sys.executable)
        python = self.envs.resolve() / name / "bin" / "python"
        if not python.is_file():
            raise UserError(
                f"--envs: found no {python}; make it with python3 -m venv {self.envs / name} and "
                f"{self.envs / name}/bin/pip install -r benchmarks/peers/requirements-{name}.txt."
            )
        return python

    def _environment(self, threads: int) -> dict[str, str]:
        """The variables by which libraries learn how many threads to use, and no network."""
        variables = dict.fromkeys(THREAD_VARIABLES, str(threads))
        settings = {"YOLO_CONFIG_DIR": str(self.work.resolve()), "YOLO_OFFLINE": "true"}
        return {**os.environ, **variables, "TF_NUM_INTEROP_THREADS": "1", **settings}


def tune(script: Script, train: Path, threads: int) -> tuple[Settings, float | None]:
    """The thresholds that score best on some of the training images, and their score.

    Returns:
        {} and None for a peer without thresholds.
    """
    settings = combinations(script.method.peer.thresholds)
    if settings == [{}]:
        return {}, None
    subset = script.work / "tuning"
    stems = shuffled([path.stem for path in (train / "images").glob("*.png")], seed=0)
    for name in ("images", "labels"):
        (subset / name).mkdir(parents=True, exist_ok=True)
        for stem in stems[:TUNING_IMAGES]:
            link = subset / name / f"{stem}.png"
            link.unlink(missing_ok=True)
            link.symlink_to((train / name / f"{stem}.png").resolve())
    script.predict("tuned", subset / "images", settings, threads)
    return choose(script.work / "tuned", subset / "labels", settings)


def build_parser() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--data", type=Path, help="folder with train/ and val/")
    source.add_argument(
        "--rosettes", nargs=2, type=int, metavar=("TRAIN", "VAL"), help="draw so many instead"
    )
    parser.add_argument("--spread", type=float, default=1.0, help="of rosettes; .5: twice overlap")
    parser.add_argument("--size", type=int, default=96, help="of rosettes, pixels a side")
    parser.add_argument("--name", help="of the experiment, in tables (default the data's)")
    parser.add_argument("--objects", nargs=2, type=int, metavar=("MIN", "MAX"), help="an image")
    parser.add_argument("--images", type=int, help="training images (default all)")
    parser.add_argument("--images-seed", type=int, default=0, help="which ones")
    parser.add_argument("--scale", type=float, default=1.0, help="of all images, at most 1")
    parser.add_argument("--minutes", type=float, required=True, help="of CPU time, all threads")
    parser.add_argument("--threads", type=int, default=1, help="in training")
    parser.add_argument(
        "--methods",
        nargs="*",
        default=list(METHODS),
        metavar="SCRIPT[:CONFIG]",
        help="none: only write the images",
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--envs", type=Path, default=ROOT / "output" / "peers" / "envs")
    parser.add_argument("--output", type=Path, required=True)
    return parser


if __name__ == "__main__":
    sys.exit(run(main))
