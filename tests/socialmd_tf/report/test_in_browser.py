"""The report in a real browser: headless chromium."""

import json
import shutil
import time

import numpy as np
import pytest
from scipy.stats import chi2

from socialmd_tf.report import html_page
from socialmd_tf.report.shown_box import ShownBox
from tests.socialmd_tf.report.report_examples import COMPARISONS, HOSTILE, MOLECULES, findings, full_result, window

webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install '.[dev]'")
PROGRAMS = [shutil.which("chromium"), shutil.which("chromedriver")]
pytestmark = pytest.mark.skipif(None in PROGRAMS, reason="needs a browser: apt-get install chromium chromium-driver")

NAMES = (HOSTILE, "theirs")
PERIODIC = window(2, label="rank 2 of 3", names=NAMES, num_frames=(2, 5), num_particles=6, box=4.0 * np.eye(2))
WINDOWS = [window(0, names=NAMES), window(1, label=HOSTILE, names=NAMES, num_frames=(2, 6), num_particles=4)]
DEEP = window(5, label="rank 3 of 4", names=NAMES, num_dimensions=3)
WINDOWS += [PERIODIC, DEEP]
WINDOWS.append(window(6, label="rank 4 of 4", names=NAMES, num_particles=200))
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
    draw_all(browser)
    console = browser.get_log("browser")
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requests = [each["params"] for each in messages if each["method"] == "Network.requestWillBeSent"]
    # The browser's own pages, open before, make requests too.
    return console, [request["request"]["url"] for request in requests if request["documentURL"] == address]


def draw_all(browser):
    """Wait until all charts are drawn, which happens when they come near."""
    for _ in range(200):
        script = """
            const all = [...document.querySelectorAll(".chart, .picture")];
            const waiting = all.filter((chart) => !chart.children.length);
            waiting[0]?.scrollIntoView();
            return waiting.length;
        """
        if browser.execute_script(script) == 0:
            return browser.execute_script("scrollTo(0, 0)")
        time.sleep(0.1)
    raise AssertionError("charts are not drawn")


@pytest.fixture
def page(browser, log):
    """The page in its state after loading."""
    page = Player(browser)
    page.choose("window", 0)
    page.choose("predictor", 0)
    page.move_to(99)
    if not page.find("regions").is_selected():
        page.find("regions").click()
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

    def drawn(self, kind):
        """Positions of the drawn dots of a kind, in units of length `[N, D]`."""
        found = self.run(
            "return arguments[0].drawn.filter(({ kind }) => kind === arguments[1])", self.find("plot"), kind
        )
        return np.array([dot["position"] for dot in found])

    def pixels(self, kind):
        """Pixels of these dots `[N, 2]`."""
        found = self.run(
            "return arguments[0].drawn.filter(({ kind }) => kind === arguments[1])", self.find("plot"), kind
        )
        return np.array([dot["pixel"] for dot in found])

    def labels(self):
        """Drawn labels: text, and where it begins and how wide it is, in pixels."""
        return self.run("return arguments[0].labels", self.find("plot"))

    def point(self, kind, pixel):
        script = """
            const { left, top } = arguments[0].getBoundingClientRect();
            arguments[0].dispatchEvent(new PointerEvent(arguments[1],
              { clientX: left + arguments[2], clientY: top + arguments[3] }));
        """
        self.run(script, self.find("plot"), kind, *pixel.tolist())

    def touch(self, kind, *pixels):
        """Fingers at pixels of the picture, as a touch screen reports them."""
        script = "const { left, top } = arguments[0].getBoundingClientRect(); return [left, top]"
        corner = self.run(script, self.find("plot"))
        points = [{"x": corner[0] + x, "y": corner[1] + y, "id": k} for k, (x, y) in enumerate(pixels)]
        self.browser.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    def tap(self, pixel):
        self.touch("touchStart", pixel)
        self.touch("touchEnd")

    def pinch(self, middle, distances):
        """Two fingers one above the other, at the first and then at all other distances."""
        for kind, distance in zip(["touchStart", *["touchMove"] * (len(distances) - 1)], distances, strict=True):
            self.touch(kind, *(middle + np.array([[0, -distance / 2], [0, distance / 2]])))
        self.touch("touchEnd")

    def outlines(self):
        """Half axes, in pixels, and angles of the drawn regions, a dictionary each."""
        return self.run("return arguments[0].outlines", self.find("plot"))

    def colors_at(self, pixels):
        """Colours of the picture at pixels `[N, 2]`, `[N, 3]`."""
        script = """
            const context = arguments[0].getContext("2d");
            return arguments[1].map(([x, y]) => [...context.getImageData(Math.round(x), Math.round(y), 1, 1).data]);
        """
        return np.array(self.run(script, self.find("plot"), np.asarray(pixels).tolist()))[:, :3]


def test_loading_writes_nothing_to_the_console_and_makes_no_request(page, log):
    console, requests = log
    assert console == []
    assert [url for url in requests if not url.startswith("data:")] == [page.browser.current_url]
    script = "return [...document.querySelectorAll('.chart, .picture')].map((chart) => chart.children.length > 0)"
    assert page.run(script) == [True] * 13
    assert page.frame() == 6  # the last


def test_the_slider_moves_the_particles_to_their_positions(page):
    shown = WINDOWS[0]
    mean, _ = shown.predictions[HOSTILE]
    for frame in range(7):
        page.move_to(frame)
        if frame < 3:
            np.testing.assert_allclose(page.drawn("observed"), shown.warm_up[frame], atol=1e-4)
            assert len(page.drawn("true")) == len(page.drawn("predicted")) == len(page.outlines()) == 0
            assert page.find("step").text == f"observed frame {frame - 2}, t = {0.5 * (frame - 2):g} ps"
        else:
            np.testing.assert_allclose(page.drawn("true"), shown.truth[frame - 3], atol=1e-4)
            np.testing.assert_allclose(page.drawn("predicted"), mean[frame - 3], atol=1e-4)
            assert len(page.drawn("observed")) == 0
            assert page.find("step").text == f"predicted step {frame - 2} of 4, t = {0.5 * (frame - 2):g} ps"


def test_dots_are_where_they_are_said_to_be(page):
    """In two dimensions x goes right and y up, both on one scale; the predicted dots are red."""
    page.move_to(4)
    positions, pixels = page.drawn("predicted"), page.pixels("predicted")
    scale = np.ptp(pixels[:, 0]) / np.ptp(positions[:, 0])
    expected = (positions - positions[0]) * [scale, -scale]
    np.testing.assert_allclose(pixels - pixels[0], expected, atol=0.01)
    free = np.linalg.norm(pixels[:, None] - page.pixels("true"), axis=-1).min(axis=1) > 12
    assert free.any() and (page.colors_at(pixels[free]) == [255, 80, 64]).all()


def test_the_true_path_is_on_top_of_the_predicted_one(page):
    """Halfway between the last two true positions the path is white, whatever is predicted there."""
    page.move_to(99)
    last = page.pixels("true")
    page.move_to(5)
    before = page.pixels("true")
    page.move_to(99)
    corners = [[0, 0], [0, -1], [-1, 0], [-1, -1]]  # of the line, which is as thin as a pixel, one holds most
    colors = np.max([page.colors_at((last + before) / 2 + corner) for corner in corners], axis=0)
    assert (colors.min(axis=1) > 120).all()


def test_the_ellipses_hold_90_percent(page):
    """In 2D, the half axes are sqrt(chi squared) times those of the covariance, along its axes."""
    _, covariance = WINDOWS[0].predictions[HOSTILE]
    page.move_to(4)
    positions, pixels = page.drawn("true"), page.pixels("true")
    scale = np.ptp(pixels[:, 0]) / np.ptp(positions[:, 0])
    for outline in page.outlines():
        values, vectors = np.linalg.eigh(covariance[1][outline["i"]])
        expected = scale * np.sqrt(chi2.ppf(0.9, 2) * values)
        np.testing.assert_allclose([outline["short"], outline["long"]], expected, rtol=0.01, atol=0.02)
        direction = np.array([np.cos(outline["angle"]), -np.sin(outline["angle"])])  # pixels count downwards
        assert abs(direction @ vectors[:, 1]) == pytest.approx(1, abs=1e-3)
    assert len(page.outlines()) == 5
    page.find("regions").click()
    assert len(page.outlines()) == 0


@pytest.mark.slow
def test_drawn_paths_and_labels_are_shown_on_demand(page):
    page.move_to(5)
    assert len(page.drawn("drawn")) == 0
    page.find("samples").click()
    np.testing.assert_allclose(page.drawn("drawn"), np.concatenate(WINDOWS[0].samples[HOSTILE][:, 2]), atol=1e-4)
    page.choose("predictor", 1)
    assert not page.find("samples").is_enabled() and len(page.drawn("drawn")) == 0
    page.choose("predictor", 0)
    page.find("samples").click()
    assert page.labels() == []
    page.find("labels").click()
    assert page.labels()[0]["text"] == "0 OQL"
    page.find("labels").click()


@pytest.mark.slow
def test_labels_do_not_overlap_and_are_whole(page):
    """A label that would overlap an earlier one is left out, and where the picture ends, labels are on the left."""
    page.choose("window", 4)
    page.find("labels").click()
    labels, plot = page.labels(), page.find("plot").rect
    assert 20 < len(labels) < 200
    corners = np.array([[label["x"], label["y"] - 9, label["x"] + label["width"], label["y"] + 2] for label in labels])
    for place, (left, top, right, bottom) in enumerate(corners):
        others = np.delete(corners, place, axis=0)
        beside = (others[:, 2] < left) | (right < others[:, 0]) | (others[:, 3] < top) | (bottom < others[:, 1])
        assert beside.all() and 0 <= left and right <= plot["width"]
    page.find("labels").click()


@pytest.mark.slow
def test_the_scale_covers_no_particle(page):
    """It has a strip at the bottom of its own, where nothing is red, even if particles are that far down."""
    page.choose("window", 4)
    for _ in range(2):
        page.find("closer").click()
    height = page.run("return arguments[0].clientHeight", page.find("plot"))
    x, y = page.pixels("predicted").T
    assert ((y > height - 50) & (y < height) & (x > 0) & (x < 600)).sum() > 3
    strip = [[x, y] for x in range(5, 600, 7) for y in range(height - 55, height, 5)]
    red, _, blue = page.colors_at(strip).astype(int).T
    assert (red <= blue).all()
    page.find("reset").click()


def test_pointing_at_a_particle_says_what_it_is(page):
    page.move_to(4)
    page.point("pointermove", page.pixels("true")[1])
    x, y = WINDOWS[0].truth[1, 1]
    assert page.find("info").text == f"particle 1 (ONC), true: {x:.4g}, {y:.4g}"


def test_a_reading_follows_the_frame(page):
    """The pointer stays, the particles move on: what is said is no longer of the frame before."""
    page.move_to(4)
    page.point("pointermove", page.pixels("true")[1])
    before = page.find("info").text
    page.move_to(5)
    assert page.find("info").text != before


def test_a_tap_reads_what_the_mouse_reads(page):
    """A finger is less exact than the mouse: 20 pixels beside a particle are near enough."""
    page.move_to(4)
    page.tap(page.pixels("true")[1])
    x, y = WINDOWS[0].truth[1, 1]
    assert page.find("info").text == f"particle 1 (ONC), true: {x:.4g}, {y:.4g}"


def test_two_fingers_magnify_about_their_middle(page):
    page.choose("window", 0)
    before = page.pixels("true")
    middle = before[2]
    page.pinch(middle, [20, 60])
    after = page.pixels("true")
    np.testing.assert_allclose(after - middle, 3 * (before - middle), atol=3)
    page.find("reset").click()
    np.testing.assert_allclose(page.pixels("true"), before, atol=1e-6)


def test_space_plays_and_pauses(page):
    page.choose("speed", 0)
    page.run("arguments[0].scrollIntoView()", page.find("step"))
    place = page.run("return scrollY")
    for name in ("plot", "frame"):
        page.find(name).send_keys(" ")
        assert "Pause" in page.find("play").text
        page.find(name).send_keys(" ")
        assert "Play" in page.find("play").text
    assert page.run("return scrollY") == place
    page.choose("speed", 2)


@pytest.mark.slow
def test_a_faster_player_takes_less_time(page):
    page.choose("speed", 4)
    start = time.monotonic()
    page.browser.execute_async_script(PLAY, page.find("play"), page.find("step"))
    fast = time.monotonic() - start
    page.choose("speed", 0)
    start = time.monotonic()
    page.browser.execute_async_script(PLAY, page.find("play"), page.find("step"))
    assert time.monotonic() - start > 6 * 0.12 / 0.25 > 2 * 6 * 0.12 / 4 and fast < time.monotonic() - start
    page.choose("speed", 2)


@pytest.mark.slow
def test_three_dimensions_turn_with_the_mouse(page):
    """Turning keeps the lengths of a rigid body: pixels are a projection of the positions by two unit vectors."""
    page.choose("window", 3)
    page.move_to(4)
    plot = page.find("plot")
    before = page.pixels("true")
    webdriver.ActionChains(page.browser).drag_and_drop_by_offset(plot, 80, 30).perform()
    after, positions = page.pixels("true"), DEEP.truth[1]
    np.testing.assert_allclose(page.drawn("true"), positions, atol=1e-4)
    assert np.abs(after - before).max() > 10
    for pixels in (before, after):
        axes, residual, rank, _ = np.linalg.lstsq(
            positions - positions.mean(axis=0), pixels - pixels.mean(axis=0), rcond=None
        )
        assert rank == 3 and np.abs(residual).max() < 1
        lengths = np.linalg.norm(axes, axis=0)
        assert (
            lengths[0] == pytest.approx(lengths[1], rel=1e-3) and abs(axes[:, 0] @ axes[:, 1]) < 1e-3 * lengths[0] ** 2
        )
    page.find("reset").click()
    np.testing.assert_allclose(page.pixels("true"), before, atol=1e-6)
    size = np.ptp(before[:, 0])
    page.find("closer").click()
    assert np.ptp(page.pixels("true")[:, 0]) == pytest.approx(1.25 * size)
    page.find("reset").click()


def test_projected_regions_are_those_of_the_turned_ellipsoids(page):
    """Their shadow in a direction reaches sqrt(chi squared u C u), with the unit vectors u of the screen."""
    page.choose("window", 3)
    page.move_to(4)
    positions, pixels = DEEP.truth[1], page.pixels("true")
    axes = np.linalg.lstsq(positions - positions.mean(axis=0), pixels - pixels.mean(axis=0), rcond=None)[0].T
    for outline in page.outlines():
        shadow = chi2.ppf(0.9, 3) * axes @ DEEP.predictions[HOSTILE][1][1, outline["i"]] @ axes.T
        expected = np.sqrt(np.linalg.eigvalsh(shadow))
        np.testing.assert_allclose([outline["short"], outline["long"]], expected, rtol=0.01, atol=0.05)


def test_paths_in_a_box_are_wrapped(page):
    page.choose("window", 2)
    page.move_to(99)
    shown = ShownBox.around(PERIODIC.box, PERIODIC.warm_up)
    np.testing.assert_allclose(page.drawn("true"), shown.wrap(PERIODIC.truth[-1]), atol=1e-3)


def test_the_keyboard_moves_the_slider(page):
    slider = page.find("frame")
    slider.send_keys("\ue012")  # arrow to the left
    assert page.frame() == 5
    np.testing.assert_allclose(page.drawn("true"), WINDOWS[0].truth[2], atol=1e-4)
    assert slider.get_attribute("aria-valuetext") == "predicted step 3 of 4, t = 1.5 ps"


PLAY = """
    const [button, step, done] = [...arguments], seen = [];
    new MutationObserver(() => seen.push(step.textContent)).observe(step, { childList: true });
    const stopped = () => button.textContent.includes("Play") && done(seen);
    new MutationObserver(stopped).observe(button, { childList: true });
    button.click();
"""


def test_play_goes_through_the_frames_and_stops(page):
    button = page.find("play")
    seen = page.browser.execute_async_script(PLAY, button, page.find("step"))
    observed = [f"observed frame {number}, t = {0.5 * number:g} ps" for number in (-2, -1, 0)]
    predicted = [f"predicted step {number} of 4, t = {0.5 * number:g} ps" for number in (1, 2, 3, 4)]
    assert seen == observed + predicted
    assert "Play" in button.text and page.frame() == 6
    np.testing.assert_allclose(page.drawn("true"), WINDOWS[0].truth[3], atol=1e-4)


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
    close = {"rtol": 0, "atol": 1e-4}
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
    np.testing.assert_allclose(page.drawn("predicted"), mean[1, 1:], atol=1e-4)
    assert [outline["i"] for outline in page.outlines()] == [1, 2, 3]


def test_hostile_names_are_shown_as_text(page):
    assert page.run("return window.stolen") is None
    assert page.browser.title == f"{HOSTILE} on the test split of {HOSTILE}"
    assert page.browser.find_element("tag name", "h1").text == f"{HOSTILE} on the test split of {HOSTILE}"
    legend = page.run("return document.querySelector('#steps .chart .legendtext').textContent")
    assert legend.replace("\xa0", " ") == HOSTILE
    options = [option.text for option in page.find("predictor").find_elements("tag name", "option")]
    assert options == list(NAMES)


def test_injected_scripts_do_not_run(page):
    page.run("document.body.insertAdjacentHTML('beforeend', '<img src=\"data:,x\" onerror=\"window.stolen = 3\">')")
    time.sleep(0.2)
    assert page.run("return window.stolen") is None


def test_no_button_sends_the_data_away(page):
    titles = page.run("return [...document.querySelectorAll('.modebar-btn')].map((button) => button.dataset.title)")
    assert set(titles) == {"Download plot as a PNG", "Zoom", "Pan", "Reset axes"}


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory):
    """A page with the names of baselines and the titles of molecules."""
    names = ("ours", "constant_position", "constant_velocity", "constant_acceleration", "exact_integrator")
    results = {name: full_result(molecules=MOLECULES) for name in names}
    path = tmp_path_factory.mktemp("ordinary") / "report.html"
    examples = [window(0), window(1234, label="rank 1200 of 2400")]
    path.write_text(html_page.html(findings(results=results, examples=examples)), encoding="utf-8")
    return path


@pytest.fixture(params=[1280, 390])
def resized(request, browser, ordinary):
    """The page at the width of a desktop or a phone, with all charts."""
    width = request.param
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(ordinary.as_uri())
    draw_all(browser)
    yield width
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.slow
def test_it_fits_the_screen(browser, resized):
    """Nothing is wider than the screen; wide tables say that they scroll, and the titles of axes are whole."""
    script = "return [innerWidth, document.documentElement.scrollWidth]"
    inner, scrolled = browser.execute_script(script)
    assert inner == resized >= scrolled
    box = browser.execute_script("return document.getElementById('player-plot').getBoundingClientRect().toJSON()")
    assert 300 < box["width"] <= resized
    assert resized < 600 or box["bottom"] <= 900  # on the first screen, beside the table
    script = """
        const select = document.getElementById("player-window");
        const pen = document.createElement("canvas").getContext("2d");
        pen.font = getComputedStyle(select).font;
        return [[...select.options].map(({ text }) => pen.measureText(text).width), select.clientWidth];
    """
    (first, longest), room = browser.execute_script(script)
    assert (first if resized < 600 else longest) + 20 < room  # 20 for the arrow
    script = """
        return [...document.querySelectorAll(".wide")].map((wide) => [
          wide.scrollWidth > wide.clientWidth + 1, getComputedStyle(wide, "::before").content.includes("scroll")]);
    """
    scrolling = browser.execute_script(script)
    assert all(scrolls == says for scrolls, says in scrolling)
    assert resized > 600 or any(scrolls for scrolls, _ in scrolling)
    script = """
        const beyond = [];
        for (const title of document.querySelectorAll(".xtitle, .ytitle, .x2title")) {
          const inner = title.getBoundingClientRect();
          const outer = title.closest(".chart, .picture").getBoundingClientRect();
          const over = Math.max(outer.left - inner.left, inner.right - outer.right, outer.top - inner.top,
            inner.bottom - outer.bottom);
          if (over > 1) beyond.push([title.textContent, over]);
        }
        return beyond;
    """
    assert browser.execute_script(script) == []


def test_the_library_takes_half_of_four_megabytes(ordinary):
    assert ordinary.stat().st_size < 2.3e6


@pytest.mark.slow
def test_hints_are_for_the_mouse_or_for_fingers(browser, ordinary):
    """The last test, because the browser has no mouse any more once it has emulated a touch screen."""
    script = "return ['mouse', 'fingers'].filter((kind) => document.querySelector(`.note .${kind}`).offsetWidth)"
    browser.get(ordinary.as_uri())
    assert browser.execute_script(script) == ["mouse"]
    browser.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    assert browser.execute_script(script) == ["fingers"]
