"""The page in Chromium, without a window: keys, the slider, filters, and what is drawn."""

from __future__ import annotations

import pytest

pytest.importorskip("plotly", reason="needs plotly (extra: report)")
pytest.importorskip("selenium", reason="needs selenium (extra: dev)")

from chromium import becomes, needs_chromium, start_chromium
from report.pages import BAD, GOOD, HEIGHT, ODD, WIDTH, predict, report
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

pytestmark = [pytest.mark.slow, needs_chromium]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    driver = start_chromium(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def path(dataset, tmp_path_factory):
    """The page of two runs."""
    folder = tmp_path_factory.mktemp("page")
    runs = predict(folder / "good", GOOD), predict(folder / "bad", BAD)
    return report(folder / "out", *runs, dataset=dataset).path


@pytest.fixture
def page(browser, path):
    return opened(browser, path)


def opened(browser, path):
    browser.get("about:blank")  # or the page that is left could answer
    browser.get(path.as_uri())
    becomes(browser, lambda: bool(texts(browser, "#count")[0]), True)
    return browser


def find(page, selector):
    return page.find_element("css selector", selector)


def texts(page, selector):
    return [
        one.get_attribute("textContent") for one in page.find_elements("css selector", selector)
    ]


def names(page):
    """Of the images that the filters let through, in the order of their cards."""
    return [name.removesuffix(".png") for name in texts(page, "#gallery .name")]


def open_image(page, name):
    cards = {
        card.get_attribute("title"): card
        for card in page.find_elements("css selector", "#gallery .card")
    }
    page.execute_script("arguments[0].click()", cards[f"{name}.png"])
    becomes(page, lambda: find(page, "#viewer-name").text, f"{name}.png")


def press(page, *keys):
    for key in keys:
        page.switch_to.active_element.send_keys(key)


def shown(page):
    """The image in the viewer."""
    return find(page, "#viewer-name").text.removesuffix(".png")


def step(page):
    return find(page, "#step-text").text


def layers(page, panel, run=0):
    """How many masks are drawn in a panel of a run."""
    canvases = page.find_elements("css selector", f"#rows canvas.{panel}")
    return canvases[run].get_attribute("data-layers")


def pixel(page, selector, y, x):
    """Red, green and blue of a canvas at a pixel of the image."""
    script = """
        const canvas = document.querySelector(arguments[0]);
        const zoom = canvas.width / arguments[3];
        const at = [(arguments[2] + 0.5) * zoom, (arguments[1] + 0.5) * zoom];
        return [...canvas.getContext("2d").getImageData(...at, 1, 1).data].slice(0, 3);
    """
    return page.execute_script(script, selector, y, x, WIDTH)


def test_nothing_fails_and_nothing_is_fetched(page, path):
    assert page.execute_script("return window.Plotly === undefined")  # until a chart is in view
    find(page, "#scores summary").click()
    becomes(page, lambda: len(texts(page, "#scores .js-plotly-plot")), 4)
    script = "return performance.getEntriesByType('resource').map((one) => one.name)"
    fetched = [name for name in page.execute_script(script) if not name.startswith("data:")]
    assert fetched == []
    assert [line for line in page.get_log("browser") if line["level"] == "SEVERE"] == []


def test_arrow_keys_step_through_an_image(page):
    open_image(page, "plain")
    becomes(page, lambda: step(page), "2 of 2")
    press(page, Keys.ARROW_LEFT)
    becomes(page, lambda: step(page), "1 of 2")
    becomes(page, lambda: (layers(page, "so-far"), layers(page, "mask")), ("1", "1"))
    assert "step 1 · score 0.90 · 200 pixels · IoU 1.00 · TP" in texts(page, ".told")[0]
    assert "IoU 0.43 · Loc" in texts(page, ".told")[1]
    press(page, Keys.HOME)
    becomes(page, lambda: step(page), "0 of 2")
    becomes(page, lambda: (layers(page, "so-far"), layers(page, "mask")), ("0", "0"))
    assert texts(page, ".told")[0] == "nothing yet, 2 objects to come"
    press(page, Keys.ARROW_LEFT)  # before the first is the last
    becomes(page, lambda: step(page), "2 of 2")
    press(page, Keys.ARROW_RIGHT, Keys.END)
    becomes(page, lambda: step(page), "2 of 2")
    becomes(page, lambda: layers(page, "so-far"), "2")
    press(page, Keys.ESCAPE)
    assert not find(page, "#viewer").is_displayed()


def test_up_and_down_go_to_other_images_of_the_gallery(page):
    order = names(page)
    open_image(page, order[0])
    press(page, Keys.ARROW_UP)
    becomes(page, lambda: shown(page), order[0])
    press(page, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    becomes(page, lambda: shown(page), order[2])
    assert find(page, "#viewer-place").text == "3 of 3"


def test_the_slider_steps_too(page):
    open_image(page, "plain")
    slide = "arguments[0].value = 1; arguments[0].dispatchEvent(new Event('input'))"
    page.execute_script(slide, find(page, "#step"))
    becomes(page, lambda: step(page), "1 of 2")
    becomes(page, lambda: layers(page, "so-far"), "1")


def test_the_masks_are_drawn_where_they_are(page):
    open_image(page, "plain")
    becomes(page, lambda: (layers(page, "so-far"), layers(page, "truth")), ("2", "3"))
    red, green, blue = pixel(page, "#rows canvas.so-far", 5, 30)  # the first found: vermilion
    assert red > green > blue
    red, green, blue = pixel(page, "#rows canvas.so-far", 5, 5)  # the second: sky blue
    assert blue > green > red
    assert len(set(pixel(page, "#rows canvas.so-far", 15, 30))) == 1  # the grey image
    assert pixel(page, "#rows canvas.truth", 5, 30) == pixel(page, "#rows canvas.so-far", 5, 30)


def test_right_and_wrong_have_colours(page):
    Select(find(page, "#color-by")).select_by_value("kind")
    open_image(page, "plain")
    becomes(page, lambda: layers(page, "so-far", run=1), "2")
    red, green, blue = pixel(page, "#rows canvas.so-far", 5, 30)
    assert green > blue > red  # a true positive
    red, green, blue = pixel(page, "#rows section:nth-child(2) canvas.so-far", 15, 13)
    assert red > green > blue  # nothing is there


def test_filters(page):
    assert texts(page, "#count") == ["3 of 3 images"]
    name = find(page, "#name")
    name.send_keys("PLAI")
    becomes(page, lambda: names(page), ["plain"])
    becomes(page, lambda: texts(page, "#count"), ["1 of 3 images"])
    name.clear()
    name.send_keys("no such")
    becomes(page, lambda: names(page), [])
    name.clear()
    tick = {one.text: one for one in page.find_elements("css selector", "#kinds label")}
    assert list(tick) == ["TP", "Loc", "Bg", "missed"]
    tick["Bg"].click()
    becomes(page, lambda: set(names(page)), {"plain", "empty"})
    Select(find(page, "#filter-run")).select_by_visible_text("good")
    becomes(page, lambda: names(page), [])
    tick["Bg"].click()
    tick["missed"].click()
    becomes(page, lambda: names(page), ["plain"])  # its tiny object
    Select(find(page, "#size")).select_by_index(3)  # large
    becomes(page, lambda: names(page), [])
    Select(find(page, "#size")).select_by_index(1)  # small
    becomes(page, lambda: names(page), ["plain"])


def test_worst_and_best_follow_the_run_and_the_metric(page):
    # the challenge's rule: an image without objects has SBD 0
    becomes(page, lambda: names(page), ["empty", "plain", ODD])
    becomes(page, lambda: texts(page, "#worst .name")[0], "empty.png")
    becomes(page, lambda: texts(page, "#best .name")[0], f"{ODD}.png")
    Select(find(page, "#metric")).select_by_value("absDiC")
    becomes(page, lambda: names(page)[0], "plain")  # one of three is missed
    becomes(page, lambda: texts(page, "#worst .name")[0], "plain.png")
    Select(find(page, "#metric")).select_by_value("SBD")
    Select(find(page, "#rank-run")).select_by_visible_text("bad")
    becomes(page, lambda: texts(page, "#best .name")[0], "plain.png")
    Select(find(page, "#order")).select_by_value("best")
    becomes(page, lambda: names(page)[0], "plain")
    Select(find(page, "#order")).select_by_value("name")
    becomes(page, lambda: names(page), [ODD, "empty", "plain"])


def test_one_run_without_truth(browser, folder, tmp_path):
    run = predict(tmp_path / "one", GOOD)
    images = (str(folder / "images"),)
    page = opened(browser, report(tmp_path / "out", run, input=images).path)
    assert len(names(page)) == 3
    open_image(page, "empty")
    becomes(page, lambda: step(page), "nothing found")
    press(page, Keys.ARROW_RIGHT)
    becomes(page, lambda: step(page), "nothing found")
    assert page.find_elements("css selector", "#rows canvas.truth") == []
    assert [line for line in page.get_log("browser") if line["level"] == "SEVERE"] == []


def test_pages_are_readable_on_a_small_screen(page):
    page.set_window_size(500, 900)
    width = page.execute_script("return document.documentElement.scrollWidth")
    assert width <= page.execute_script("return window.innerWidth")
    page.set_window_size(1280, 900)
    assert HEIGHT < WIDTH  # pictures that are wider than high keep their shape
    open_image(page, "plain")
    size = find(page, "#rows canvas.so-far").size
    assert size["width"] / size["height"] == pytest.approx(WIDTH / HEIGHT, rel=0.05)
