"""The page itself, in Gradio's components: what is on it, and what each control does."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import gradio as gr

from recseg_d2.app.correcting import ADD, MODES, CorrectedImage
from recseg_d2.app.finder import Finder
from recseg_d2.app.options import AppOptions
from recseg_d2.app.saving import save_correction, write_downloads
from recseg_d2.errors import UserError
from recseg_d2.visualization.instances import count_text

TITLE = "recseg: find, correct, save"
FILE_TYPES = [".png", ".jpg", ".jpeg", ".tif", ".tiff"]

_KEPT = (3600, 24 * 3600)  # seconds: how often uploads are looked through, and how old they become
_BLOCKS: dict[str, Any] = {
    "title": TITLE,
    "analytics_enabled": False,
    "delete_cache": _KEPT,
    "fill_width": True,
}
_PICTURE: dict[str, Any] = {
    "format": "png",  # as it is; others blur outlines
    "interactive": False,
    "show_label": False,
    "buttons": ["fullscreen"],
    "height": "70vh",
    "elem_id": "picture",
}
_SYSTEM_FONTS = (["system-ui", "sans-serif"], ["ui-monospace", "monospace"])  # none is fetched
_CANNOT_POINT = "This model cannot be asked for the object at a place; add objects by **Paint**."


@dataclass
class Session:
    """One visitor's images, by name, and the one that is looked at."""

    images: dict[str, CorrectedImage] = field(default_factory=dict)
    current: str = ""

    def take(self, image: CorrectedImage) -> None:
        """Look at a new image; of two with the same name, the second gets a number."""
        name, number = image.path.name, 1
        while name in self.images:
            number += 1
            name = f"{image.path.stem}_{number}{image.path.suffix}"
        self.images[name], self.current = image, name

    @property
    def image(self) -> CorrectedImage:
        """The image that is looked at.

        Raises:
            UserError: there is none yet.
        """
        if self.current not in self.images:
            raise UserError("There is no image yet; upload one first.")
        return self.images[self.current]


def theme() -> gr.themes.Base:
    """Gradio's plain look in the system's own fonts."""
    return gr.themes.Default(primary_hue="teal", font=_SYSTEM_FONTS[0], font_mono=_SYSTEM_FONTS[1])


def build_page(finder: Finder, options: AppOptions) -> gr.Blocks:
    """The page.

    Args:
        finder: the model.
        options: of which the folder of corrected images is used.
    """
    actions = _Actions(finder, options.corrections)
    with gr.Blocks(**_BLOCKS) as page:
        session = gr.State(Session())
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                files, name = _inputs()
                score, scale, find = _search(finder)
                mode, radius, other, undo = _tools(finder)
            with gr.Column(scale=3):
                count = gr.Markdown("Upload images to begin.", elem_id="count")
                picture = gr.Image(**_PICTURE)
                shown = gr.Slider(0, 1, 0, step=1, label="Objects found so far", elem_id="shown")
                download, save, saved, results = _outputs()
        view = [picture, count, shown]
        files.upload(actions.open, [session, files], [name, *view])
        name.input(actions.choose, [session, name], view)
        find.click(actions.find, [session, score, scale], view)
        picture.select(actions.click, [session, mode, radius, scale], view)
        other.click(actions.new_object, [session])
        undo.click(actions.undo, [session], view)
        shown.input(actions.show, [session, shown], picture)
        download.click(actions.download, [session], results)
        save.click(actions.save, [session], saved)
    return page


def _inputs() -> tuple[gr.File, gr.Dropdown]:
    """Where images come from, and the one that is looked at."""
    files = gr.File(
        label="Images (PNG, JPEG, TIFF)",
        file_count="multiple",
        file_types=FILE_TYPES,
        height=110,
        elem_id="upload",
    )
    return files, gr.Dropdown([], label="Image", elem_id="image-name")


def _search(finder: Finder) -> tuple[gr.Slider, gr.Slider, gr.Button]:
    """The settings of the model, and the button that runs it."""
    score = gr.Slider(0, 1, finder.score, step=0.01, label="Least score")
    sized = finder.scale is not None
    least, most = _scales(finder.scale or 1.0)
    scale = gr.Slider(
        least, most, finder.scale or 1.0, step=0.05, label="Magnification", visible=sized
    )
    return score, scale, gr.Button("Find objects", variant="primary", elem_id="find")


def _scales(own: float) -> tuple[float, float]:
    """What images can be magnified by: from a quarter of the model's own to four times it."""
    return min(0.25, own / 4), max(4.0, own * 4)


def _tools(finder: Finder) -> tuple[gr.Radio, gr.Slider, gr.Button, gr.Button]:
    """What a click does, and what can be taken back."""
    if not finder.can_point:
        gr.Markdown(_CANNOT_POINT)
    modes = [mode for mode in MODES if finder.can_point or mode != ADD]
    mode = gr.Radio(modes, value=modes[0], label="A click on the image", elem_id="mode")
    radius = gr.Slider(0, 50, 5, step=1, label="Brush radius in pixels")
    with gr.Row():
        other = gr.Button("New object", size="sm", min_width=80, elem_id="new-object")
        undo = gr.Button("Undo", size="sm", min_width=80, elem_id="undo")
    return mode, radius, other, undo


def _outputs() -> tuple[gr.Button, gr.Button, gr.Markdown, gr.File]:
    """What leaves the page."""
    with gr.Row():
        download = gr.Button("Download", elem_id="download")
        save = gr.Button("Save to data set", elem_id="save")
    saved = gr.Markdown(elem_id="saved")
    return download, save, saved, gr.File(label="Files", visible=False, elem_id="files")


def _spoken(action: Callable[..., Any]) -> Callable[..., Any]:
    """The same, whose bad input is a sentence on the page."""

    @wraps(action)
    def told(*arguments: Any) -> Any:
        try:
            return action(*arguments)
        except UserError as error:
            raise gr.Error(str(error), print_exception=False) from error

    return told


class _Actions:
    """What the controls do: each takes the visitor's session first, and returns what is shown."""

    def __init__(self, finder: Finder, corrections: Path) -> None:
        self.finder, self.corrections = finder, corrections
        self._downloads = tempfile.TemporaryDirectory(prefix="recseg_app_")  # goes when this does

    @_spoken
    def open(self, session: Session, files: list[str]) -> list[Any]:
        """Take uploaded files; those that are no images are named and left out."""
        opened = {image.path for image in session.images.values()}  # their edits stay
        for path in (path for path in map(Path, files) if path not in opened):
            try:
                image = CorrectedImage(path, self.finder.read(path))
            except UserError as error:
                gr.Warning(str(error).replace(str(path), path.name))
            else:
                session.take(image)
        names = gr.Dropdown(list(session.images), value=session.current or None)
        return [names, *_view(session.image)]

    @_spoken
    def choose(self, session: Session, name: str) -> list[Any]:
        """Look at another image."""
        session.current = name
        return _view(session.image)

    @_spoken
    def find(self, session: Session, score: float, scale: float) -> list[Any]:
        """Let the model find the objects."""
        session.image.find(self.finder, score, self._scale(scale))
        return _view(session.image)

    @_spoken
    def click(
        self, session: Session, mode: str, radius: float, scale: float, event: gr.SelectData
    ) -> list[Any]:
        """What the mode says, at the place clicked."""
        image = session.image
        place = image.place_in_image(event.index[0], event.index[1])
        if mode == ADD:
            image.point(self.finder, place, self._scale(scale))
        else:
            image.brush(mode, place, radius)
        return _view(image)

    @_spoken
    def new_object(self, session: Session) -> None:
        """Let the brush begin another object."""
        session.image.new_object()

    @_spoken
    def undo(self, session: Session) -> list[Any]:
        """Take the last edit of the image back."""
        if not session.image.edits.undo():
            gr.Info("There is nothing to undo.")
        return _view(session.image)

    @_spoken
    def show(self, session: Session, first: float) -> Any:
        """The picture with the objects found first."""
        return session.image.picture(int(first))

    @_spoken
    def download(self, session: Session) -> Any:
        """Write files of the image's objects."""
        folder = Path(tempfile.mkdtemp(dir=self._downloads.name))
        paths = write_downloads(folder, session.image.predicted())
        return gr.File([str(path) for path in paths], visible=True)

    @_spoken
    def save(self, session: Session) -> str:
        """Put the image and its label map into the data set; a sentence says where."""
        return f"Saved {save_correction(self.corrections, session.image)}"

    def _scale(self, scale: float) -> float | None:
        return None if self.finder.scale is None else scale


def _view(image: CorrectedImage) -> list[Any]:
    """The picture, the count and the slider of an image as it is."""
    count = image.edits.count
    slider = gr.Slider(maximum=max(count, 1), value=count)
    return [image.picture(), f"### {count_text(count)}", slider]
