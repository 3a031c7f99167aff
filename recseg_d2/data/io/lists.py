"""Lists of images, such as those of a split: text files with an image a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from recseg_d2.errors import UserError
from recseg_d2.files import save_text


def read_list(path: Path, advice: str, name_of: Callable[[str], str] = str) -> list[str]:
    """The images that a list names by the first word of each line.

    Args:
        path: a text file with one name in a line.
        advice: the end of the message where there is no such file, in whole sentences.
        name_of: makes an image's name out of that word; by default it is the name.

    Raises:
        UserError: there is no such file, it lists nothing, or an image twice.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such list of images. {advice}")
    names = [name_of(line.split()[0]) for line in path.read_text().splitlines() if line.strip()]
    if not names:
        raise UserError(f"{path}: found no image, expected one a line.")
    name, times = Counter(names).most_common(1)[0]
    if times > 1:
        raise UserError(f"{path}: found {name} {times} times, expected every image once.")
    return names


def write_list(path: str | Path, names: Iterable[str]) -> None:
    """Write a list that ``read_list`` reads.

    Raises:
        UserError: the file cannot be written there.
    """
    save_text(path, "".join(f"{name}\n" for name in names))
