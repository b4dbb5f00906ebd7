"""Our script and our stylesheet in MLflow's page, one of each."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

from workspace_authz.catalog.assistant import SWITCHED_OFF
from workspace_authz.doors.browser.controls import (
    ASSISTANT,
    DISABLED,
    HIDDEN,
    NO_WORKSPACES,
    NO_WORKSPACES_WORDS,
)
from workspace_authz.doors.own_routes import OwnAnswer
from workspace_authz.doors.pages import ROOT

_FOLDER: Final = f"{ROOT}/ui/"
_DIGEST_CHARACTERS: Final = 16
_FOR_EVER: Final = b"public, max-age=31536000, immutable"
_STRONGER: Final = ":not(#_)"
"""Raises a selector above MLflow's own: some of its rules are important, too."""
_NOSNIFF: Final = (b"x-content-type-options", b"nosniff")

_OWN: Final = """.workspace-authz-note{position:fixed;bottom:24px;left:50%;transform:translateX(-50%);
z-index:10000;max-width:min(90vw,560px);padding:10px 16px;border-radius:4px;background:#11171c;color:#fff;
font:13px/1.5 -apple-system,"Segoe UI",Roboto,Helvetica,Arial,sans-serif;box-shadow:0 4px 16px #0006}
.workspace-authz-link{position:fixed;top:34px;right:48px;z-index:1;color:#2272b4;
font:13px/1.5 -apple-system,"Segoe UI",Roboto,Helvetica,Arial,sans-serif}
"""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that MLflow's page loads."""

    extension: str
    content_type: str
    content: bytes

    @property
    def name(self) -> str:
        """Its name, which is another one for other content."""
        return f"{hashlib.sha256(self.content).hexdigest()[:_DIGEST_CHARACTERS]}.{self.extension}"


class Assets:
    """What MLflow's page loads of ours, below ``static_prefix``. ``assistant``: whether it is switched on."""

    def __init__(self, *, static_prefix: str, assistant: bool) -> None:
        self._folder = static_prefix.rstrip("/") + _FOLDER
        script = _script(own_pages=f"{static_prefix.rstrip('/')}{ROOT}/", assistant=assistant)
        self._script = Asset("js", "text/javascript; charset=utf-8", script)
        self._style = Asset("css", "text/css; charset=utf-8", _style(assistant=assistant))

    @property
    def tags(self) -> bytes:
        """For the head of the page. The script comes first of all scripts: MLflow's are deferred."""
        style, script = self._folder + self._style.name, self._folder + self._script.name
        return f'<link rel="stylesheet" href="{style}"><script src="{script}"></script>'.encode()

    def answer(self, path: str) -> OwnAnswer | None:
        """The file at ``path``; None where there is none.

        A page may be another replica's, whose release has another script. It gets this one's, but no cache
        keeps it by that name.
        """
        folder, _, name = path.rpartition("/")
        if f"{folder}/" != self._folder:
            return None
        for asset in (self._script, self._style):
            if name.endswith(f".{asset.extension}"):
                kept = _FOR_EVER if name == asset.name else b"no-store"
                return OwnAnswer(asset.content, asset.content_type, headers=(_NOSNIFF,), cache_control=kept)
        return None


def _script(*, own_pages: str, assistant: bool) -> bytes:
    settings = {
        "assistant": "" if assistant else SWITCHED_OFF.reason,
        "disabled": dict(DISABLED),
        "ownPages": own_pages,
    }
    code = files(__package__).joinpath("mlflow.js").read_text("utf-8").rstrip()
    return f"{code}({json.dumps(settings)});\n".encode()


def _style(*, assistant: bool) -> bytes:
    hidden = [_control(name) for name in HIDDEN] + ([] if assistant else [f"{ASSISTANT}{_STRONGER}"])
    disabled = [_control(name) for name in DISABLED]
    around_none = f'div:has(> [data-component-id="{NO_WORKSPACES}"])'
    return "".join(
        (
            f"{','.join(hidden)}{{display:none!important}}\n",
            f"{','.join(disabled)}{{opacity:.5!important;cursor:not-allowed!important}}\n",
            f"{around_none} > *{_STRONGER}{{display:none!important}}\n",
            f"{around_none}::after{{content:{json.dumps(NO_WORKSPACES_WORDS)}}}\n",
            _OWN,
        )
    ).encode()


def _control(name: str) -> str:
    return f'[data-component-id="{name}"]{_STRONGER}'
