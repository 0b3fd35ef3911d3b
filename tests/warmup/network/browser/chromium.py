"""A Chromium in front of the web side, as a person has it."""

import os
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
from django.conf import settings
from django.db import connections
from django.test import Client
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from livermore.running.children import START_SECONDS, answers
from tests.fixtures.ports import free_port
from tests.warmup.runners import ROOT, database_url, wait_until
from warmup.runner import agent as agents

REQUIRED = "LIVERMORE_BROWSER_TESTS"  # "required": a missing browser is a failure
ARGUMENTS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1280,1000")
NETWORK = "/admin/network/"
PICTURE = "/static/livermore.svg"
PAUSE_SECONDS = 0.1  # between looks at a page: one takes the browser 3 ms of a processor
APPLICATION = "livermore.asgi:application"
SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "livermore.settings",
    "LIVERMORE_SECRET_KEY": settings.SECRET_KEY,  # one for both: the test makes the sessions
}


def _program(*names):
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        text = f"no {' or '.join(names)} on the PATH: apt-get install chromium chromium-driver"
        if os.environ.get(REQUIRED) == "required":
            pytest.fail(text)
        pytest.skip(f"THE BROWSER TESTS DID NOT RUN: {text}")
    return found


@contextmanager
def chromium():
    """Run a browser without a window; nothing is downloaded for it."""
    options = webdriver.ChromeOptions()
    options.binary_location = _program("chromium", "chromium-browser", "google-chrome")
    service = Service(executable_path=_program("chromedriver"))
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    os.environ["SE_OFFLINE"] = "true"
    driver = webdriver.Chrome(options=options, service=service)
    try:
        yield driver
    finally:
        driver.quit()


class Web:
    """The web side in a process of its own, which can be ended and started again on its port."""

    def __init__(self, log, *arguments, **environment):
        self.port = free_port()
        self._log = log
        self._arguments, self._environment = arguments, environment
        self.start()

    @property
    def log(self):
        return self._log.read_text()

    def url(self, path, host="127.0.0.1"):
        return f"http://{host}:{self.port}{path}"

    def start(self):
        address = ["-b", "127.0.0.1", "-p", str(self.port)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "daphne", *address, *self._arguments, APPLICATION],
                env=os.environ | {"DATABASE_URL": database_url()} | SETTINGS | self._environment,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        login = self.url("/admin/login/")
        try:
            wait_until(lambda: self._process.poll() is not None or answers(login), START_SECONDS)
        except AssertionError:
            self.end()  # nobody else would
            raise
        assert self._process.poll() is None, self._log.read_text()

    def end(self):
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Page:
    """What a person sees and does in the browser's current window."""

    def __init__(self, driver, web):
        self.driver, self.web = driver, web
        self._prepared = []

    def log_in(self, user, host="127.0.0.1", cookie=settings.SESSION_COOKIE_NAME):
        client = Client()
        client.force_login(user)
        value = client.cookies[settings.SESSION_COOKIE_NAME].value
        self._command("Network.setCookie", name=cookie, value=value, url=self.web.url("/", host))

    def open(self, path=NETWORK, host="127.0.0.1", live=True):
        """Load a page; a mark in it shows later that it was not loaded again."""
        self.driver.get(self.web.url(path, host))
        if live:
            self.wait_for("#link", "Live")
            self.js("window.mark = true")

    @property
    def is_the_same(self):
        return self.js("return window.mark === true")

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def all(self, css):
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def one(self, css):
        return self.driver.find_element(By.CSS_SELECTOR, css)

    def text(self, css):
        """Return the text that can be seen of an element, which scripts may replace any time."""
        script = "return document.querySelector(arguments[0])?.innerText ?? null"
        return self.js(script, css)

    def count(self, css):
        return self.js("return document.querySelectorAll(arguments[0]).length", css)

    def attribute(self, css, name):
        script = "return document.querySelector(arguments[0])?.getAttribute(arguments[1]) ?? null"
        return self.js(script, css, name)

    def click(self, css):
        self.one(css).click()

    def type(self, css, text):
        field = self.one(css)
        field.clear()
        field.send_keys(text)

    def wait(self, condition, seconds=15):
        return wait_until(condition, seconds, PAUSE_SECONDS)

    def wait_for(self, css, text, seconds=15):
        """Wait until an element shows a text."""
        try:
            self.wait(lambda: text in (self.text(css) or ""), seconds)
        except AssertionError:
            pytest.fail(f"{css} shows {self.text(css)!r}, not {text!r}; {self.complaints()}")

    def complaints(self):
        """Return what the browser's console says went wrong."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def look(self, theme):
        self._command("Emulation.setEmulatedMedia", features=[_feature(theme)])

    def be_wide(self, width, height=1000):
        """Have a window of this size, which a page that is open may be told of a little later."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._command("Emulation.setDeviceMetricsOverride", **metrics)
        self.wait(lambda: self.js("return [innerWidth, innerHeight]") == [width, height])

    def prepare(self, script):
        """Run a script before those of the pages that are opened from now on."""
        found = self._command("Page.addScriptToEvaluateOnNewDocument", source=script)
        self._prepared.append(found["identifier"])

    def disable_scripts(self, disabled=True):
        self._command("Emulation.setScriptExecutionDisabled", value=disabled)

    def ignore_policy(self, ignored=True):
        """Let the pages that are opened from now on do what their policy forbids."""
        self._command("Page.setBypassCSP", enabled=ignored)

    def reset(self):
        """Leave the page, and with it its socket; be again as the browser began.

        It is left first: what is small is soon laid out anew.
        """
        first, *others = self.driver.window_handles
        for other in others:
            self.driver.switch_to.window(other)
            self.driver.close()
        self.driver.switch_to.window(first)
        self._leave()
        self.disable_scripts(False)
        self.ignore_policy(False)
        for identifier in self._prepared:
            self._command("Page.removeScriptToEvaluateOnNewDocument", identifier=identifier)
        self._command("Emulation.clearDeviceMetricsOverride")
        self._command("Emulation.setEmulatedMedia", features=[])
        self._command("Network.clearBrowserCookies")
        self.driver.get_log("browser")

    def _leave(self):
        """Be on the same site where it is there: a page of none takes the browser a new process."""
        try:
            self.driver.get(self.web.url(PICTURE))
        except WebDriverException:
            self.driver.get("about:blank")

    def _command(self, name, /, **arguments):
        return self.driver.execute_cdp_cmd(name, arguments)


def _feature(theme):
    return {"name": "prefers-color-scheme", "value": theme}


@contextmanager
def agent(redis, monkeypatch):
    """Let an agent work in a thread."""
    monkeypatch.setattr(agents, "STEP_SECONDS", 0.1)
    one = agents.Agent(redis, lambda line: None)

    def work():
        try:
            one.run()
        finally:
            connections.close_all()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield one
    finally:
        one.stop()
        thread.join(10)
        assert not thread.is_alive()
