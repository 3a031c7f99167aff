"""Launcher of recseg_d2.cli.analyze; see `--help`."""

from recseg_d2.cli import run_main

if __name__ == "__main__":
    run_main("analyze")
