"""The pages of signing in, in plain HTML. Everything that is not ours is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final
from urllib.parse import urlencode

from workspace_authz.doors.own_routes import OwnAnswer
from workspace_authz.doors.pages import html_answer
from workspace_authz.doors.sign_in.paths import SignInPaths

_STYLE: Final = """
body{font:15px/1.5 -apple-system,"Segoe UI",Roboto,Helvetica,Arial,sans-serif;margin:0;background:#f6f7f9;
color:#11171c;display:grid;place-items:center;min-height:100vh}
main{background:#fff;border:1px solid #d1d9e1;border-radius:8px;padding:32px;width:min(92vw,400px);
box-sizing:border-box}
h1{font-size:20px;margin:0 0 16px}p{margin:0 0 16px}
.button{display:block;width:100%;box-sizing:border-box;text-align:center;padding:9px 12px;margin:0 0 10px;
border-radius:4px;border:1px solid #2272b4;background:#2272b4;color:#fff;font:inherit;text-decoration:none;
cursor:pointer}.button:hover,.button:focus-visible{background:#0e538b}
.second{background:#fff;color:#2272b4}.second:hover,.second:focus-visible{background:#f0f8ff}
textarea{width:100%;box-sizing:border-box;height:84px;margin:4px 0 10px;padding:8px;border:1px solid #c0cdd8;
border-radius:4px;font:13px ui-monospace,monospace;resize:vertical;-webkit-text-security:disc}
.error{border-left:3px solid #c82d4c;background:#fff5f7;padding:8px 12px}
code{font-size:13px}.note{color:#5f7281;font-size:13px}hr{border:0;border-top:1px solid #d1d9e1;margin:20px 0}
@media (prefers-color-scheme:dark){body{background:#11171c;color:#e8ecf0}
main{background:#1f272d;border-color:#37444f}
.second{background:#1f272d;color:#8acaff}textarea{background:#11171c;color:inherit;border-color:#37444f}
.error{background:#33171d}.note{color:#92a4b3}hr{border-color:#37444f}}
"""
_KEEP_FRAGMENT: Final = """
const back = document.body.dataset.next + location.hash;
for (const field of document.querySelectorAll("input[name=next]")) field.value = back;
for (const link of document.querySelectorAll("a[data-next]")) {
  const url = new URL(link.href);
  if (url.searchParams.has("next")) { url.searchParams.set("next", back); link.href = url; }
  else link.href = back;
}
"""
"""The server never sees the fragment, in which MLflow's UI keeps the place of who uses it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A provider at which somebody can sign in."""

    name: str
    title: str


def choice_page(
    paths: SignInPaths,
    choices: Sequence[Choice],
    *,
    back_to: str,
    takes_tokens: bool,
    problem: str = "",
    status: int = 200,
) -> OwnAnswer:
    """The page on which somebody chooses how to sign in. ``problem`` says why the last attempt failed."""
    parts = [f'<p class="error" role="alert">{escape(problem)}</p>'] if problem else []
    for choice in choices:
        query = urlencode({"provider": choice.name, "next": back_to})
        parts.append(
            f'<a class="button" data-next href="{escape(f"{paths.start}?{query}")}">'
            f"Sign in with {escape(choice.title)}</a>"
        )
    if choices and takes_tokens:
        parts.append("<hr>")
    if takes_tokens:
        parts.append(
            f'<form method="post" action="{escape(paths.pasted)}" autocomplete="off">'
            '<label for="token">Kubernetes token</label>'
            '<textarea id="token" name="token" required spellcheck="false" autocapitalize="off"></textarea>'
            f'<input type="hidden" name="next" value="{escape(back_to)}">'
            f'<button class="button{" second" if choices else ""}">Sign in with a token</button></form>'
            '<p class="note"><code>oc whoami --show-token</code> prints yours, and '
            "<code>kubectl create token NAME</code> makes one of a service account.</p>"
        )
    return _page("Sign in to MLflow", parts, back_to=back_to, status=status)


def signed_in_page(paths: SignInPaths, user: str, *, back_to: str) -> OwnAnswer:
    """The page for somebody who has signed in."""
    parts = [
        f"<p>You are signed in as <strong>{escape(user)}</strong>.</p>",
        f'<a class="button" data-next href="{escape(back_to)}">Go to MLflow</a>',
        f'<form method="post" action="{escape(paths.out)}">'
        '<button class="button second">Sign out</button></form>',
    ]
    return _page("MLflow", parts, back_to=back_to)


def redirection(place: str, *cookies: tuple[bytes, bytes]) -> OwnAnswer:
    """Sends the browser to ``place``, by GET."""
    headers = ((b"location", place.encode("latin-1")), (b"referrer-policy", b"no-referrer"), *cookies)
    return OwnAnswer(b"", "text/plain", status=303, headers=headers)


def _page(title: str, parts: Sequence[str], *, back_to: str, status: int = 200) -> OwnAnswer:
    body = f'<body data-next="{escape(back_to)}"><main><h1>{escape(title)}</h1>{"".join(parts)}</main>'
    return html_answer(title, body, style=_STYLE, script=_KEEP_FRAGMENT, status=status)
