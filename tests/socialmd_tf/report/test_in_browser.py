"""The report in a real browser: headless chromium."""

import json
import shutil
import time

import numpy as np
import pytest
from scipy.stats import chi2

from socialmd_tf.report import html_page
from socialmd_tf.report.shown_box import ShownBox
from tests.socialmd_tf.report.report_examples import COMPARISONS, HOSTILE, findings, full_result, window

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install '.[dev]'")
PROGRAMS = [shutil.which("chromium"), shutil.which("chromedriver")]
pytestmark = pytest.mark.skipif(None in PROGRAMS, reason="needs a browser: apt-get install chromium chromium-driver")

NAMES = (HOSTILE, "theirs")
PERIODIC = window(2, label="rank 2 of 3", names=NAMES, num_frames=(2, 5), num_particles=6, box=4.0 * np.eye(2))
WINDOWS = [window(0, names=NAMES), window(1, label=HOSTILE, names=NAMES, num_frames=(2, 6), num_particles=4), PERIODIC]
WINDOWS[1].predictions["theirs"][0][1, 0] = np.nan  # diverged


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A browser that logs its console and its requests."""
    options = webdriver.ChromeOptions()
    options.binary_location = PROGRAMS[0]
    mouse = "--blink-settings=primaryHoverType=2,availableHoverTypes=2,primaryPointerType=4,availablePointerTypes=4"
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,900", mouse):
        options.add_argument(argument)
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('browser')}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(PROGRAMS[1]))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    page = html_page.html(
        findings(
            data=HOSTILE,
            models={HOSTILE: HOSTILE},
            results={HOSTILE: full_result(), "theirs": full_result()},
            comparisons=[{**COMPARISONS[0], "first": HOSTILE}],
            examples=WINDOWS,
            length_unit=HOSTILE,
        )
    )
    path.write_text(page, encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def log(browser, address):
    """Console output and requests of the browser while it loads the page."""
    browser.get(address)
    console = browser.get_log("browser")
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requests = [each["params"] for each in messages if each["method"] == "Network.requestWillBeSent"]
    # The browser's own pages, open before, make requests too.
    return console, [request["request"]["url"] for request in requests if request["documentURL"] == address]


@pytest.fixture
def page(browser, log):
    """The page in its state after loading."""
    page = Player(browser)
    page.choose("window", 0)
    page.choose("predictor", 0)
    page.move_to(99)
    if not page.find("ellipses").is_selected():
        page.find("ellipses").click()
    return page


class Player:
    """The player of the page, operated like a reader does."""

    def __init__(self, browser):
        self.browser = browser

    def run(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def find(self, name):
        return self.browser.find_element("id", f"player-{name}")

    def choose(self, name, index):
        self.find(name).find_elements("tag name", "option")[index].click()

    def move_to(self, frame):
        script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))"
        self.run(script, self.find("frame"), frame)

    def frame(self):
        return int(self.find("frame").get_attribute("value"))

    def drawn(self, name):
        """Positions of the drawn dots of a kind, converted from pixels to units of length, `[N, 2]`."""
        points = self.run(
            """
            const plot = document.getElementById("player-plot"), { xaxis, yaxis } = plot._fullLayout;
            const index = plot.data.findIndex((trace) => trace.name === arguments[0]);
            const { uid } = plot._fullData[index];
            return [...plot.querySelectorAll(`.trace${uid} .point`)].map((point) => {
              const [x, y] = point.getAttribute("transform").match(/\\((.+)\\)/)[1].split(",").map(Number);
              return [xaxis.p2d(x), yaxis.p2d(y)];
            });
            """,
            name,
        )
        return np.array(points).reshape(-1, 2)

    def outlines(self):
        """The points of the ellipses, `[N, 33, 2]`."""
        x, y = self.run(
            """
            const trace = document.getElementById("player-plot").data.find(({ name }) => name === "90 % region");
            return [trace.x, trace.y];
            """
        )
        outlines = np.array([x, y], float).T  # 33 points and a gap per ellipse
        return outlines.reshape(-1, 34, 2)[:, :33] if len(outlines) > 1 else np.empty((0, 33, 2))

    def pixel(self):
        """The length of one pixel."""
        return self.run("const { xaxis } = document.getElementById('player-plot')._fullLayout; return 1 / xaxis._m")


def test_loading_writes_nothing_to_the_console_and_makes_no_request(page, log):
    console, requests = log
    assert console == []
    assert [url for url in requests if not url.startswith("data:")] == [page.browser.current_url]
    assert page.run("return document.querySelectorAll('.js-plotly-plot').length") == 12
    assert page.frame() == 6  # the last


def test_the_slider_moves_the_particles_to_their_positions(page):
    shown = WINDOWS[0]
    mean, _ = shown.predictions[HOSTILE]
    for frame in range(7):
        page.move_to(frame)
        close = {"rtol": 0, "atol": 0.02 * page.pixel() + 1e-4}
        if frame < 3:
            np.testing.assert_allclose(page.drawn("observed"), shown.warm_up[frame], **close)
            assert len(page.drawn("true")) == len(page.drawn("predicted")) == len(page.outlines()) == 0
            assert page.find("step").text == f"observed frame {frame - 2}"
        else:
            np.testing.assert_allclose(page.drawn("true"), shown.truth[frame - 3], **close)
            np.testing.assert_allclose(page.drawn("predicted"), mean[frame - 3], **close)
            assert len(page.drawn("observed")) == 0
            assert page.find("step").text == f"predicted step {frame - 2} of 4"


def test_the_ellipses_hold_90_percent(page):
    mean, covariance = WINDOWS[0].predictions[HOSTILE]
    page.move_to(4)
    difference = page.outlines() - mean[1][:, None]
    distance = np.einsum("nki,nij,nkj->nk", difference, np.linalg.inv(covariance[1]), difference)
    np.testing.assert_allclose(distance, chi2.ppf(0.9, 2), rtol=0.01)
    page.find("ellipses").click()
    assert len(page.outlines()) == 0


def test_paths_grow_with_the_frames(page):
    def path(name):
        script = "return document.getElementById('player-plot').data.find((t) => t.name === arguments[0]).x"
        return page.run(script, f"{name} path")

    page.move_to(4)
    shown = WINDOWS[0]
    expected = np.concatenate([shown.warm_up[-1:], shown.truth[:2]])[..., 0].T
    np.testing.assert_allclose(np.array(path("true"), float).reshape(5, 4)[:, :3], expected, atol=1e-4)
    page.move_to(1)
    np.testing.assert_allclose(
        np.array(path("observed"), float).reshape(5, 3)[:, :2], shown.warm_up[:2, :, 0].T, atol=1e-4
    )
    assert path("true") == [None]


def test_paths_in_a_box_are_broken_at_its_faces(page):
    """A path is drawn from the last observed frame on; null separates paths and the pieces of a path."""
    page.choose("window", 2)
    page.move_to(99)
    script = """
        const trace = document.getElementById("player-plot").data.find(({ name }) => name === arguments[0]);
        return [trace.x, trace.y];
    """
    x, y = page.run(script, "true path")
    shown = ShownBox.around(PERIODIC.box, PERIODIC.warm_up)
    paths = np.concatenate([PERIODIC.warm_up[-1:], PERIODIC.truth])
    wrapped, breaks = shown.wrap(paths), shown.breaks(paths)
    expected = []
    for particle in range(6):
        for frame in range(6):
            expected += [[np.nan] * 2] * bool(breaks[frame, particle]) + [wrapped[frame, particle]]
        expected.append([np.nan] * 2)
    assert breaks[1].any() and breaks[2:].any()
    np.testing.assert_allclose(np.array([x, y], float).T, expected, atol=1e-3)
    edges = np.array(page.run(script, "box"), float)
    assert np.isfinite(edges).sum() == 4 * 2 * 2 and np.nanmax(edges) - np.nanmin(edges) == pytest.approx(4)


def test_the_keyboard_moves_the_slider(page):
    slider = page.find("frame")
    slider.send_keys("\ue012")  # arrow to the left
    assert page.frame() == 5
    np.testing.assert_allclose(page.drawn("true"), WINDOWS[0].truth[2], atol=page.pixel())
    assert slider.get_attribute("aria-valuetext") == "predicted step 3 of 4"


def test_play_goes_through_the_frames_and_stops(page):
    script = """
        const [button, step, done] = [...arguments], seen = [];
        new MutationObserver(() => seen.push(step.textContent)).observe(step, { childList: true });
        const stopped = () => button.textContent.includes("Play") && done(seen);
        new MutationObserver(stopped).observe(button, { childList: true });
        button.click();
    """
    button = page.find("play")
    seen = page.browser.execute_async_script(script, button, page.find("step"))
    observed = [f"observed frame {number}" for number in (-2, -1, 0)]
    assert seen == observed + [f"predicted step {number} of 4" for number in (1, 2, 3, 4)]
    assert "Play" in button.text and page.frame() == 6
    np.testing.assert_allclose(page.drawn("true"), WINDOWS[0].truth[3], atol=page.pixel())


def test_pause_stops(page):
    labels = page.run(
        """
        const [button] = arguments, labels = [];
        for (let k = 0; k < 2; k++) button.click(), labels.push(button.textContent);
        return labels;
        """,
        page.find("play"),
    )
    assert "Pause" in labels[0] and "Play" in labels[1]
    time.sleep(0.4)
    assert page.frame() == 0


def test_another_window_and_another_predictor_are_shown(page):
    page.choose("window", 1)
    shown = WINDOWS[1]
    page.move_to(7)
    close = {"rtol": 0, "atol": 0.02 * page.pixel() + 1e-4}
    np.testing.assert_allclose(page.drawn("true"), shown.truth[5], **close)
    np.testing.assert_allclose(page.drawn("predicted"), shown.predictions[HOSTILE][0][5], **close)
    page.choose("predictor", 1)
    np.testing.assert_allclose(page.drawn("predicted"), shown.predictions["theirs"][0][5], **close)
    page.choose("window", 0)
    assert page.find("predictor").get_attribute("value") == "1"
    assert page.frame() == 6
    np.testing.assert_allclose(page.drawn("predicted"), WINDOWS[0].predictions["theirs"][0][3], **close)


def test_diverged_particles_are_not_drawn(page):
    page.choose("window", 1)
    page.choose("predictor", 1)
    page.move_to(3)
    mean, _ = WINDOWS[1].predictions["theirs"]
    np.testing.assert_allclose(page.drawn("predicted"), mean[1, 1:], atol=page.pixel())
    np.testing.assert_allclose(page.outlines()[:, :32].mean(axis=1), mean[1, 1:], atol=1e-3)


def test_hostile_names_are_shown_as_text(page):
    assert page.run("return window.stolen") is None
    assert page.browser.title == f"{HOSTILE} on the test split of {HOSTILE}"
    assert page.browser.find_element("tag name", "h1").text == f"{HOSTILE} on the test split of {HOSTILE}"
    legend = page.run("return document.querySelector('.chart .legendtext').textContent")
    assert legend.replace("\xa0", " ") == HOSTILE
    axis = page.run("return document.querySelector('#player-plot .xtitle').textContent")
    assert axis.replace("\xa0", " ") == f"x ({HOSTILE})"
    options = [option.text for option in page.find("predictor").find_elements("tag name", "option")]
    assert options == list(NAMES)


def test_injected_scripts_do_not_run(page):
    page.run("document.body.insertAdjacentHTML('beforeend', '<img src=\"data:,x\" onerror=\"window.stolen = 3\">')")
    time.sleep(0.2)
    assert page.run("return window.stolen") is None


def test_no_button_sends_the_data_away(page):
    titles = page.run("return [...document.querySelectorAll('.modebar-btn')].map((button) => button.dataset.title)")
    assert set(titles) == {"Download plot as a PNG", "Zoom", "Pan", "Reset axes"}


def test_it_fits_a_phone(browser, address):
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    )
    try:
        browser.get(address)
        assert browser.execute_script("return [innerWidth, document.documentElement.scrollWidth]") == [390, 390]
        width = browser.execute_script("return document.getElementById('player-plot').getBoundingClientRect().width")
        assert 300 < width <= 390
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
