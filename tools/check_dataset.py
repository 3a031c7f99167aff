"""Launcher of recseg_d2.cli.check_dataset; see `--help`."""

from recseg_d2.cli import run_main

if __name__ == "__main__":
    run_main("check_dataset")
