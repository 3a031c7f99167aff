"""The page's server: on this machine alone, or behind a password; it sends nothing to anybody."""

from __future__ import annotations

import importlib.util
import os
import tempfile
import weakref
from typing import Any

from recseg_d2.app.finder import Finder
from recseg_d2.app.options import USER, AppOptions
from recseg_d2.errors import UserError

_QUIET = {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}


def check_libraries() -> None:
    """Refuse at once what would fail after the model was loaded.

    Raises:
        UserError: gradio is not installed.
    """
    if importlib.util.find_spec("gradio") is None:
        raise UserError("the page needs gradio: pip install 'recseg_d2[app]'.")


def launch(finder: Finder, options: AppOptions, wait: bool = True) -> Any:
    """Serve the page.

    Args:
        finder: the model.
        options: where, for whom, how much.
        wait: whether to return only when the server ends.

    Returns:
        Gradio's ``Blocks``, with ``local_url`` and ``close()``.

    Raises:
        UserError: an option cannot work, see ``AppOptions.check``, or the port is taken.
    """
    options.check()
    os.environ.update(_QUIET)  # Gradio reads it when it is imported
    uploads = tempfile.TemporaryDirectory(prefix="recseg_app_")  # for this user's eyes alone
    os.environ["GRADIO_TEMP_DIR"] = uploads.name
    from recseg_d2.app.page import build_page, theme

    page = build_page(finder, options)
    weakref.finalize(page, uploads.cleanup)  # visitors' images go with the page
    try:
        page.launch(
            server_name=options.host,
            server_port=options.port,
            auth=(USER, options.password) if options.password else None,
            max_file_size=int(options.max_megabytes * 1e6),
            share=False,
            ssr_mode=False,
            footer_links=[],
            theme=theme(),
            quiet=True,
            prevent_thread_lock=True,
        )
    except OSError as error:
        raise UserError(
            f"Cannot listen at {options.host}: {error}; choose another --port."
        ) from error
    print(f"{page.local_url} is the page; Ctrl-C stops it", flush=True)
    if wait:
        page.block_thread()
    return page
