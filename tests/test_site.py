"""The documentation as a site: it builds strictly, its links resolve, and it needs no network."""

import functools
import http.server
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from pipelines.config import DataConfig
from socialmd_tf.__main__ import COMMANDS
from socialmd_tf.command_line.flags import find_flags
from socialmd_tf.config import FitConfig, ModelConfig, TrainConfig

ROOT = Path(__file__).parents[1]
MISSING = [name for name in ("material", "mkdocstrings", "nbconvert") if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.docs,
    pytest.mark.skipif(bool(MISSING), reason=f"needs pip install -e '.[docs]': {', '.join(MISSING)} missing"),
]
BROWSER = [shutil.which("chromium"), shutil.which("chromedriver")]
NO_NETWORK = """
import socket, sys
def refused(*arguments, **options):
    raise OSError("the build of the site may not use the network")
socket.socket.connect = socket.getaddrinfo = socket.create_connection = refused
from mkdocs.__main__ import cli
cli(sys.argv[1:])
"""
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
"""Attributes of tags whose target a browser fetches by itself."""


class Page(HTMLParser):
    """What an HTML file fetches, what it links to, and the ids that it has."""

    def __init__(self, path):
        super().__init__()
        self.fetched, self.links, self.ids = [], [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids |= {given[name] for name in ("id", "name") if given.get(name)}
        if LOADED.get(tag) in given and given.get("rel") not in ("canonical", "prev", "next"):
            self.fetched.append(given[LOADED[tag]])
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The directory of the built site."""
    directory = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-c",
        NO_NETWORK,
        "build",
        "--strict",
        "-f",
        "docs/site/mkdocs.yml",
        "-d",
        str(directory),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    return directory


@pytest.fixture(scope="module")
def pages(site):
    """All pages but that of a server's error 404, whose links begin with a slash."""
    return {path: Page(path) for path in sorted(site.rglob("*.html")) if path.name != "404.html"}


def is_local(target):
    return not urlsplit(target).scheme and not target.startswith("//")


def test_nothing_is_fetched_from_elsewhere(site, pages):
    assert len(pages) > 20
    found = {(path.name, target) for path, page in pages.items() for target in page.fetched if not is_local(target)}
    assert {each for each in found if not each[1].startswith("data:")} == set()
    styles = "".join(path.read_text() for path in site.rglob("*.css"))
    assert [url for url in re.findall(r"url\(([^)]*)\)", styles) if "//" in url and "data:" not in url] == []


def test_links_and_pictures_lead_to_files_and_places_of_the_site(pages):
    broken = []
    for path, page in pages.items():
        for target in (*page.links, *page.fetched):
            if not is_local(target):
                continue
            parts = urlsplit(target)
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            is_there = file.is_file() and (
                not parts.fragment or file.suffix != ".html" or parts.fragment in ids(pages, file)
            )
            if not is_there:
                broken.append((path.name, target))
    assert broken == []


def ids(pages, file):
    return pages[file].ids | {"__top"}


def test_every_field_and_every_command_is_in_the_reference(site):
    configuration, commands = ((site / f"{name}.html").read_text() for name in ("configuration", "commands"))
    for config_type, prefix in (
        (TrainConfig, ""),
        (DataConfig, "windows."),
        (FitConfig, "fitting."),
        (ModelConfig, "model."),
    ):
        for flag in find_flags(config_type):
            if prefix or "." not in flag.field:
                assert f"<code>{prefix}{flag.field}</code>" in configuration, flag.field
    for name in COMMANDS:
        assert f'id="{name}"' in commands and f"usage: socialmd-tf {name}" in commands


def test_search_finds_the_pages(site):
    index = json.loads((site / "search" / "search_index.json").read_text())
    found = {entry["location"].partition("#")[0] for entry in index["docs"]}
    assert {"tutorials/own-data.html", "configuration.html", "notebooks/rollouts.html", "python.html"} <= found


def test_notebooks_are_pages_with_their_pictures(site):
    for name in ("own-data", "rollouts"):
        assert (site / "notebooks" / f"{name}.ipynb").is_file()
        assert "Download this notebook" in (site / "notebooks" / f"{name}.html").read_text()
    pictures = Page(site / "notebooks" / "rollouts.html").fetched
    assert any(re.search(r"rollouts/.*\.png$", target) for target in pictures), pictures


@pytest.fixture
def browser():
    """A browser that logs its console and its requests."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium: pip install '.[dev]'")
    if None in BROWSER:
        pytest.skip("needs a browser: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER[0]
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,900"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(BROWSER[1]))
    yield driver
    driver.quit()


@pytest.fixture
def address(site):
    """Where the site is served."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_site_is_read_without_network(site, address, browser):
    """The search answers, nothing is requested from elsewhere, and no page, from a disk, is wider than a phone."""
    browser.get(f"{address}/index.html")
    browser.execute_script("document.querySelector('label[for=__search]').click()")
    box = browser.find_element("css selector", "input.md-search__input")
    wait_until(box.is_displayed)
    box.send_keys("anchor")
    wait_until(lambda: "matching documents" in browser.find_element("css selector", ".md-search-result__meta").text)
    assert browser.get_log("browser") == []
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    requested = {each["params"]["request"]["url"] for each in messages if each["method"] == "Network.requestWillBeSent"}
    assert len(requested) > 3
    assert {url for url in requested if not url.startswith((address, "data:", "blob:", "chrome:"))} == set()
    phone = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", phone)
    for page in ("index", "models", "configuration", "commands", "tutorials/own-data", "experiments/index", "python"):
        browser.get((site / f"{page}.html").as_uri())
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 390, page


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)
