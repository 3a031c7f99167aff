"""``recseg train`` as a file, for ``torchrun`` and where Detectron2's users look for it."""

from recseg_d2.cli import run_main

if __name__ == "__main__":
    run_main("train")
