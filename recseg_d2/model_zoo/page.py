"""Prints MODEL_ZOO.md from the weights files: ``python -m recseg_d2.model_zoo.page``."""

from __future__ import annotations

from pathlib import Path

import yaml
from tabulate import tabulate

from recseg_d2.model_zoo.card import Card, read_card
from recseg_d2.model_zoo.registry import PREFIX, get_checkpoint, names

_TEXT = """\
# Model zoo

Models that come with the package. Each is one file with its weights in half precision, its config,
and what is written here; this page is printed from the files by `make docs`. To use one:

```bash
recseg predict --weights recseg://NAME --input images/ --output found/
recseg train --weights recseg://NAME --train-data my/train   # goes on from it on your own images
```
```python
from recseg_d2 import model_zoo

model = model_zoo.get("NAME", trained=True)
```
"""


def page() -> str:
    """The text of MODEL_ZOO.md."""
    cards = [(name, Path(get_checkpoint(name))) for name in names()]
    found = [(card, path) for name, path in cards if (card := read_card(path)) is not None]
    headers = ("name", "model", "finds", "measured", "on", "MB")
    table = tabulate([_row(*pair) for pair in found], headers, tablefmt="github")
    return "\n".join([_TEXT, table, "", *(_details(card) for card, _ in found)])


def _row(card: Card, path: Path) -> tuple[str, ...]:
    architecture = yaml.safe_load(card.config)["MODEL"]["META_ARCHITECTURE"]
    measured = ", ".join(f"{name} {value:g}" for name, value in card.metrics.items())
    size = f"{path.stat().st_size / 2**20:.1f}"
    address = f"`{PREFIX}{card.name}`"
    return address, architecture, card.summary, measured, card.measured_on, size


def _details(card: Card) -> str:
    return (
        f"## {card.name}\n\nTrained on {card.data}, licence {card.licence}, by\n\n"
        f"```text\n{card.command}\n```\n"
    )


if __name__ == "__main__":
    print(page(), end="")
