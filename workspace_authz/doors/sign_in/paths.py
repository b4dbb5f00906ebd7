"""The addresses of signing in, and the pages to which people may be sent back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode, urlsplit

from workspace_authz.doors.pages import ROOT, SECTIONS

MOST_BACK_TO_CHARACTERS: Final = 1500
"""Of the page that somebody asked for. It is carried in a cookie, of which a browser keeps 4 KiB."""

_FORBIDDEN: Final = frozenset("\\") | frozenset(map(chr, range(0x21))) | {"\x7f"}


@dataclass(frozen=True, slots=True)
class SignInPaths:
    """Below the static prefix."""

    prefix: str

    @property
    def page(self) -> str:
        """Where people choose how to sign in."""
        return f"{self.prefix}/workspace-authz/sign-in"

    @property
    def start(self) -> str:
        """Leads to a provider."""
        return f"{self.page}/start"

    @property
    def callback(self) -> str:
        """Where providers send people back to: the redirect URI."""
        return f"{self.page}/callback"

    @property
    def pasted(self) -> str:
        """Takes a pasted token."""
        return f"{self.page}/token"

    @property
    def out(self) -> str:
        """Ends the session."""
        return f"{self.prefix}/workspace-authz/sign-out"

    @property
    def home(self) -> str:
        """MLflow's page."""
        return f"{self.prefix}/"

    def page_for(self, back_to: str) -> str:
        """The page, from which people come back to ``back_to``."""
        return f"{self.page}?{urlencode({'next': self.back_to(back_to)})}"

    def back_to(self, asked: str) -> str:
        """The page that was asked for, if it is one of this server; otherwise MLflow's page.

        Browsers take ``//host`` and ``/\\host`` for another server, and drop control characters.
        """
        root = self.prefix + ROOT
        pages = {root + section for section in SECTIONS}
        safe = (
            asked.startswith(self.home)
            and not asked.startswith("//")
            and len(asked) <= MOST_BACK_TO_CHARACTERS
            and asked.isascii()
            and _FORBIDDEN.isdisjoint(asked)
            and (asked == self.page or not asked.startswith(f"{root}/") or _path(asked) in pages)
        )
        return asked if safe else self.home


def _path(url: str) -> str:
    return urlsplit(url).path
