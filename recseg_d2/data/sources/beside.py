"""Images with a file of outlines each, beside them or in a folder of their own."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

from recseg_d2.data.io.image_files import IMAGE_EXTENSIONS
from recseg_d2.data.io.pairing import files_by_stem
from recseg_d2.data.sources.outlines import Outline, OutlinedImage, OutlineFiles, some_classes
from recseg_d2.errors import UserError


@dataclass(frozen=True)
class OutlinesBeside(OutlineFiles):
    """The images of a folder that have a file of the same stem; others are not annotated.

    Attributes:
        image_dir: the folder of the images.
        file_dir: that of the files; may be the same.
        ENDINGS: of the files' names, in small letters.
    """

    image_dir: Path
    file_dir: Path
    ENDINGS: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def read_file(self, file: Path) -> tuple[list[Outline], list[str]]:
        """The objects of a file, and what is wrong with those that are left out.

        Raises:
            UserError: it cannot be read.
        """

    @property
    def place(self) -> Path:
        """The folder of the images."""
        return self.image_dir

    def find(self) -> list[OutlinedImage]:
        """The images in the order of their names."""
        images = files_by_stem(self.image_dir, "", IMAGE_EXTENSIONS)
        lost = sorted(self._files.keys() - images.keys())
        if lost:
            raise UserError(
                f"{self._files[lost[0]]}: found no image of its name in {self.image_dir}, expected "
                f"{lost[0]}.png or the like ({len(lost)} such files)."
            )
        return [
            OutlinedImage(stem, path, self._files[stem])
            for stem, path in images.items()
            if stem in self._files
        ]

    def classes(self) -> list[str]:
        """All names, in the order of the alphabet."""
        names = {outline.name for found, _ in self._contents.values() for outline in found}
        return some_classes(sorted(names), self.file_dir)

    def outlines(self, file: Path, size: tuple[int, int]) -> tuple[list[Outline], list[str]]:
        """As ``read_file``."""
        found, wrong = self._contents[file]
        return found, list(wrong)

    @cached_property
    def _files(self) -> dict[str, Path]:
        return files_by_stem(self.file_dir, "", self.ENDINGS)

    @cached_property
    def _contents(self) -> dict[Path, tuple[list[Outline], list[str]]]:
        return {file: self.read_file(file) for file in self._files.values()}
