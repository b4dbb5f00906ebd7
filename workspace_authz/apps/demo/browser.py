"""People in a browser: Chromium without hands signs in and shows where it ends."""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode, urlsplit

from workspace_authz.apps.demo.issuer import PROVIDER
from workspace_authz.apps.demo.people import USERS
from workspace_authz.apps.demo.performers import Performer, Result
from workspace_authz.apps.demo.processes import DemoError
from workspace_authz.apps.demo.tour import MLFLOWS_PAGE, SIGN_IN, Step, in_browser, signed_in_as

_PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
_SECONDS: Final = 240.0
_PAGE: Final = "/workspace-authz/sign-in"
_ROOT: Final = 'id="root"'
"""Of MLflow's page."""
_SIGNED_IN: Final = re.compile(r"signed in as <strong>([^<]*)</strong>")


def find_chromium() -> str | None:
    """The program, if it is installed."""
    return next(filter(None, map(shutil.which, _PROGRAMS)), None)


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody with a fresh browser, who presses their own button at the demo's provider."""

    program: str
    uri: str
    """Where MLflow is."""
    user: str
    credential: str = "Chromium"

    async def perform(self, step: Step) -> Result:
        """See :class:`~workspace_authz.apps.demo.performers.Performer`."""
        prefix = urlsplit(self.uri).path
        signs_in = step.action == SIGN_IN
        query = urlencode({"provider": PROVIDER, "next": prefix + (_PAGE if signs_in else "/")})
        # The fragment outlives the redirects, and presses the button.
        page = await self._open(f"{self.uri}{_PAGE}/start?{query}#{self.user}")
        if not signs_in:
            return Result(MLFLOWS_PAGE if _ROOT in page else "another page")
        found = _SIGNED_IN.search(page)
        return Result(signed_in_as(found[1]) if found else "not signed in")

    async def _open(self, url: str) -> str:
        """What is on the page in the end."""
        with tempfile.TemporaryDirectory(prefix="workspace-authz-chromium-") as profile:
            command = (
                *(self.program, "--headless=new", "--no-sandbox", "--disable-gpu", "--dump-dom"),
                *(f"--user-data-dir={profile}", "--virtual-time-budget=20000", url),
            )
            process = await asyncio.create_subprocess_exec(
                *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
            )
            try:
                async with asyncio.timeout(_SECONDS):
                    output, _ = await process.communicate()
            except TimeoutError:
                raise DemoError(f"{self.program} did not show a page within {_SECONDS:.0f} s.") from None
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
        return output.decode("utf-8", "replace")


def visitors(program: str, uri: str) -> dict[str, Performer]:
    """The demo's users at a browser, by the names that they have in the tour."""
    return {in_browser(user.name): Visitor(program, uri, user.name) for user in USERS}
