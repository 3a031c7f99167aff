"""Launcher of recseg_d2.cli.random_proposals; see `--help`."""

from recseg_d2.cli import run_main

if __name__ == "__main__":
    run_main("random_proposals")
