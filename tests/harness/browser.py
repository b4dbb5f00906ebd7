"""The machine's Chromium, driven by Playwright: people at a browser, each with cookies of their own.

Skips the test (in CI fails it) when Chromium is not installed.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from playwright.sync_api import Browser as Driver
from playwright.sync_api import BrowserContext, Page, Request, Response, sync_playwright

from tests.harness.missing import missing

_PATIENCE_MILLISECONDS: Final = 90_000.0


@dataclass(slots=True)
class Profile:
    """Somebody's browser window: nothing is shared with another profile."""

    context: BrowserContext
    page: Page
    """For whatever is not said here: Playwright's own interface."""
    console_errors: list[str] = field(default_factory=list)
    """What the page complained about, since the last ``forget``."""
    responses: list[tuple[int, str, str]] = field(default_factory=list)
    """Status, method and path with query of every answer, since the last ``forget``."""
    failed: list[str] = field(default_factory=list)
    """Requests that got no answer, since the last ``forget``."""

    def __post_init__(self) -> None:
        # Functions, not methods: Playwright would write to their object, which has slots.
        self.page.on("console", lambda said: self._heard(said.type, said.text))
        self.page.on("pageerror", lambda error: self.console_errors.append(str(error)))
        self.page.on("response", lambda response: self._answered(response))
        self.page.on("requestfailed", lambda request: self._unanswered(request))

    def go(self, url: str) -> None:
        """Open an address, as if it were typed."""
        self.page.goto(url, wait_until="domcontentloaded")

    def wait_for(self, selector: str) -> None:
        """Wait until an element can be seen."""
        self.page.locator(selector).first.wait_for(state="visible")

    def click(self, selector: str) -> None:
        """Click an element, once it can be clicked."""
        self.page.locator(selector).first.click()

    def type(self, selector: str, text: str) -> None:
        """Fill in a field."""
        self.page.locator(selector).first.fill(text)

    def wait_until_at(self, prefix: str) -> None:
        """Wait until the address begins with this."""
        self.page.wait_for_url(lambda url: url.startswith(prefix), wait_until="domcontentloaded")

    @property
    def text(self) -> str:
        """What can be read on the page."""
        return self.page.locator("body").inner_text()

    @property
    def cookies(self) -> dict[str, str]:
        """Every cookie of this profile, whichever site's."""
        return {str(cookie["name"]): str(cookie["value"]) for cookie in self.context.cookies()}

    def fetch(self, method: str, path: str, *, headers: dict[str, str] | None = None, body: str = "") -> int:
        """A request of the page's own script. Returns the answer's status."""
        script = (
            "async ([method, path, headers, body]) => "
            "(await fetch(path, {method, headers, body: body || undefined})).status"
        )
        return int(self.page.evaluate(script, [method, path, headers or {}, body]))

    def ask(self, url: str, *, headers: dict[str, str] | None = None) -> int:
        """A request with the cookies, beside any page. Returns the answer's status."""
        return self.context.request.get(url, headers=headers, max_redirects=0).status

    def status_after(self, act: Callable[[], None], path: str) -> int:
        """What the page's own request whose URL contains ``path`` is answered, when ``act`` makes it ask."""
        with self.page.expect_response(lambda answer: path in answer.url) as answer:
            act()
        return answer.value.status

    def statuses_of(self, path: str) -> list[int]:
        """The answers' statuses of requests whose path contains this, in their order."""
        return [status for status, _, asked in self.responses if path in asked]

    def forget(self) -> None:
        """Begin anew with what is recorded."""
        for record in (self.console_errors, self.responses, self.failed):
            record.clear()

    def _heard(self, kind: str, text: str) -> None:
        if kind == "error":
            self.console_errors.append(text)

    def _answered(self, response: Response) -> None:
        parts = urlsplit(response.url)
        asked = f"{parts.path}?{parts.query}" if parts.query else parts.path
        self.responses.append((response.status, response.request.method, asked))

    def _unanswered(self, request: Request) -> None:
        self.failed.append(f"{request.method} {request.url}: {request.failure}")


@dataclass(frozen=True, slots=True)
class Browser:
    """A Chromium that runs."""

    driver: Driver

    @contextmanager
    def profile(self) -> Iterator[Profile]:
        """A fresh profile, for as long as the block lasts. It takes the certificates of our own authority."""
        with closing(self.driver.new_context(ignore_https_errors=True)) as context:
            context.set_default_timeout(_PATIENCE_MILLISECONDS)
            yield Profile(context, context.new_page())


@contextmanager
def chromium() -> Iterator[Browser]:
    """A Chromium for as long as the block lasts.

    An event loop of Playwright's own runs in this thread for as long: no asynchronous test can. So a fixture
    of it lives no longer than a module's tests.
    """
    program = shutil.which("chromium") or missing("Chromium is missing: apt-get install chromium")
    with (
        sync_playwright() as playwright,
        closing(playwright.chromium.launch(executable_path=program)) as driver,
    ):
        yield Browser(driver)
