"""The page as its visitors meet it: in Chromium from upload to training, and the server's limits.

What the page does with one image is tested without a browser in ``test_correcting``.
"""

from __future__ import annotations

import importlib.util
import os
import re
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("selenium", reason="needs selenium (extra: dev)")

from chromium import becomes, needs_chromium, start_chromium
from pages import SHORT_DENSE
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from recseg_d2.app.options import USER, AppOptions
from recseg_d2.app.server import launch
from recseg_d2.cli import train
from recseg_d2.data.io.label_maps import read_label_map

# Imported where it is used: that takes seconds, and every worker collects all tests.
NO_GRADIO = importlib.util.find_spec("gradio") is None
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(NO_GRADIO, reason="needs gradio (extra: app)"),
]


@pytest.fixture
def served(finder, tmp_path):
    """Serve pages with other options than the usual ones."""
    pages = []

    def serve(**options):
        pages.append(launch(finder, AppOptions(corrections=tmp_path / "mine", **options), False))
        return pages[-1].local_url

    yield serve
    for page in pages:
        page.close()


@pytest.fixture
def browser(tmp_path):
    driver = start_chromium(tmp_path / "profile")
    yield driver
    driver.quit()


def find(page, selector):
    return page.find_element("css selector", selector)


def count(page):
    """The number of objects that the page names; None while it computes."""
    found = re.fullmatch(r"(\d+) objects?", find(page, "#count").text)
    return int(found.group(1)) if found else None


def choose(page, mode):
    (label,) = (
        one for one in page.find_elements("css selector", "#mode label") if one.text == mode
    )
    label.click()


def show_first(page, number):
    """Move the slider of the sequence."""
    field = find(page, "#shown input[type=number]")
    field.clear()
    field.send_keys(str(number), Keys.TAB)


def click(page, x, y, size):
    """Click the pixel of an image of height and width ``size`` in the picture."""
    picture = find(page, "#picture img")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", picture)
    shown = min(picture.size["width"] / size[1], picture.size["height"] / size[0])
    right, down = (
        (at + 0.5 - side / 2) * shown for at, side in zip((x, y), size[::-1], strict=True)
    )
    ActionChains(page).move_to_element_with_offset(
        picture, round(right), round(down)
    ).click().perform()


def place_in(mask):
    """x and y of a pixel well inside of a mask."""
    row = mask.sum(1).argmax()
    columns = np.flatnonzero(mask[row])
    return int(columns[len(columns) // 2]), int(row)


@needs_chromium
def test_from_an_upload_to_a_training(served, browser, path, image, finder, tmp_path):
    url = served()
    browser.get(url)
    becomes(browser, lambda: len(browser.find_elements("css selector", "#upload input")), 1)
    find(browser, "#upload input").send_keys(str(path))
    becomes(browser, lambda: count(browser), 0)
    found = image.find(finder, finder.score, finder.scale)
    find(browser, "#find").click()
    becomes(browser, lambda: count(browser), found)

    every = find(browser, "#picture img").get_attribute("src")
    show_first(browser, 1)
    becomes(browser, lambda: find(browser, "#picture img").get_attribute("src") != every, True)

    labels = image.edits.labels
    biggest = int(np.bincount(labels.ravel())[1:].argmax()) + 1
    place = place_in(labels == biggest)
    choose(browser, "Delete")
    click(browser, *place, labels.shape)
    becomes(browser, lambda: count(browser), found - 1)
    choose(browser, "Add")
    click(browser, *place, labels.shape)
    becomes(browser, lambda: count(browser), found)
    for expected in (found - 1, found):
        find(browser, "#undo").click()
        becomes(browser, lambda wanted=expected: count(browser), expected)

    mine = tmp_path / "mine"
    find(browser, "#save").click()
    becomes(browser, lambda: find(browser, "#saved").text, f"Saved {mine / 'labels' / 'plant.png'}")
    assert np.array_equal(read_label_map(mine / "labels" / "plant.png"), labels)
    find(browser, "#download").click()
    becomes(browser, lambda: downloads(browser)[:2], ["plant.tif", "predictions.json"])
    nothing_went_elsewhere(browser, url)

    data = ["--train-data", str(mine), "--val-data", str(mine)]
    assert train.main([*data, *SHORT_DENSE, "OUTPUT_DIR", str(tmp_path / "run")]) == 0
    assert (tmp_path / "run" / "model_final.pth").is_file()


def downloads(page):
    """Names of the files that the page offers."""
    links = page.find_elements("css selector", "#files a[href]")
    return [link.get_attribute("href").rpartition("/")[2] for link in links]


def nothing_went_elsewhere(browser, url):
    """The page loaded nothing of other servers, and nothing failed."""
    script = "return performance.getEntriesByType('resource').map((one) => one.name)"
    fetched = [name for name in browser.execute_script(script) if not name.startswith("data:")]
    assert fetched
    assert [name for name in fetched if not name.startswith(url)] == []
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []


def test_images_that_are_open_keep_their_edits(finder, path, tmp_path):
    from recseg_d2.app.page import Session, _Actions

    actions, session = _Actions(finder, tmp_path / "mine"), Session()
    other = tmp_path / "other" / path.name
    other.parent.mkdir()
    Image.new("RGB", (40, 30)).save(other)
    actions.open(session, [str(path)])
    session.image.brush("Paint", (20, 20), 5)
    actions.open(session, [str(path), str(other)])
    assert list(session.images) == ["plant.png", "plant_2.png"]
    assert session.current == "plant_2.png"
    actions.choose(session, "plant.png")
    assert session.image.edits.count == 1


def test_what_goes_wrong_is_a_sentence_on_the_page(finder, path, tmp_path, monkeypatch):
    import gradio

    from recseg_d2.app.page import Session, _Actions

    told = []
    actions, session = _Actions(finder, path), Session()  # the folder of corrections is a file
    with pytest.raises(gradio.Error, match="upload one first"):
        actions.undo(session)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    monkeypatch.setattr(gradio, "Warning", told.append)
    with pytest.raises(gradio.Error, match="upload one first"):
        actions.open(session, [str(broken)])
    assert [text.partition(" (")[0] for text in told] == ["broken.png: cannot be read as an image"]
    actions.open(session, [str(path)])
    with pytest.raises(gradio.Error, match="Cannot"):
        actions.save(session)


def test_visitors_do_not_see_each_others_images(served, path):
    client = pytest.importorskip("gradio_client")
    url = served()
    one, other = (client.Client(url, verbose=False) for _ in range(2))
    one.predict([client.handle_file(str(path))], api_name="/open")
    with pytest.raises(Exception, match="not in the list of choices"):
        other.predict(path.name, api_name="/choose")
    with pytest.raises(Exception, match="upload one first"):
        other.predict(api_name="/undo")
    assert one.predict(api_name="/undo")[1] == "### 0 objects"


def test_uploads_are_readable_by_nobody_else(served, path):
    client = pytest.importorskip("gradio_client")
    client.Client(served(), verbose=False).predict(
        [client.handle_file(str(path))], api_name="/open"
    )
    folder = Path(os.environ["GRADIO_TEMP_DIR"])
    assert list(folder.rglob(path.name))
    assert folder.stat().st_mode & 0o077 == 0


def test_files_of_other_kinds_are_refused(served, path):
    client = pytest.importorskip("gradio_client")
    page = client.Client(served(), verbose=False)
    drawing = path.with_suffix(".svg")
    drawing.write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    with pytest.raises(Exception, match="Invalid file type"):
        page.predict([client.handle_file(str(drawing))], api_name="/open")


def status(url, data=None, headers=None):
    """The status of an answer, by its number."""
    request = urllib.request.Request(url, data, headers or {})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def form(name, content):
    """A file as browsers send it."""
    head = f'--x\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n--x--\r\n", {
        "Content-Type": "multipart/form-data; boundary=x"
    }


def test_uploads_are_limited_in_size(served):
    url = served(max_megabytes=0.01) + "gradio_api/upload"
    assert status(url, *form("a.png", b"a" * 5_000)) == 200
    assert status(url, *form("a.png", b"a" * 20_000)) == 413


def test_a_password_is_asked_for(served):
    url = served(password="secret")
    assert status(url + "config") == 401
    assert status(url + "gradio_api/upload", *form("a.png", b"a")) == 401
    wrong = f"username={USER}&password=other".encode()
    assert status(url + "login", wrong) == 400
    right = f"username={USER}&password=secret".encode()
    assert status(url + "login", right) == 200
