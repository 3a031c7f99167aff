"""``recseg <tool>``: one command for all tools."""

from __future__ import annotations

import importlib
import sys

from recseg_d2 import cli
from recseg_d2.cli.doctor import version_lines

TOOLS = {
    "train": ("train", "train and evaluate a model"),
    "export": ("export", "a trained model as a torch.export or ONNX file"),
    "predict": ("predict", "label maps, counts, JSON and pictures for images"),
    "evaluate": ("evaluate_masks", "score any method's label maps"),
    "visualize": ("visualize", "sequence figures for a data set or for images"),
    "analyze": ("analyze", "order of discovery, errors, sizes, curves of results"),
    "report": ("report", "scores, analyses and images of runs as one page for the browser"),
    "app": ("app", "a page on this machine to find and correct objects by clicks"),
    "baseline": ("baseline", "the classical method to compare with"),
    "check-dataset": ("check_dataset", "summary, problems and sample pictures of a data set"),
    "convert": ("convert", "labelled images into the files of another program"),
    "make-dataset": ("make_dataset", "write a synthetic data set in an official layout"),
    "convert-weights": ("convert_weights", "released weights of the public RSIS code"),
    "submit-cvppp": ("submit_cvppp", "files for the leaf segmentation challenge"),
    "demo": ("demo", "train, evaluate and draw on synthetic leaves, in minutes"),
    "doctor": ("doctor", "what is installed, which device is used, what to do"),
    "completion": ("completion", "a script by which a shell completes this command"),
}


def main() -> int:
    """Pass the arguments after the tool's name on to its main."""
    if sys.argv[1:] == ["--version"]:
        print(version_lines())
        return 0
    if len(sys.argv) < 2 or sys.argv[1] not in TOOLS:
        print("usage: recseg <tool> [options]\n       recseg --version\n\ntools:")
        for name, (_, what) in TOOLS.items():
            print(f"  {name:18s}{what}")
        return 0 if sys.argv[1:] in ([], ["--help"], ["-h"]) else 2
    tool, sys.argv = sys.argv[1], [f"recseg {sys.argv[1]}", *sys.argv[2:]]
    module = importlib.import_module(f"recseg_d2.cli.{TOOLS[tool][0]}")
    return cli.run(module.main)


if __name__ == "__main__":
    sys.exit(main())
