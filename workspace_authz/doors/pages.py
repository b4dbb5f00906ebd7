"""Our pages, in plain HTML and in MLflow's look. Everything that is not ours must be escaped."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from html import escape
from types import MappingProxyType
from typing import Final

from workspace_authz.doors.own_routes import OwnAnswer
from workspace_authz.errors import RequestError

ROOT: Final = "/workspace-authz"
"""Our pages lie below it, and it below the static prefix."""

SECTIONS: Final[Mapping[str, str]] = MappingProxyType(
    {"/": "You", "/permissions": "Permissions", "/keys": "Access keys", "/audit": "Audit"}
)
"""The pages of ours that every page links, by their path below :data:`ROOT`."""

_STYLE: Final = """
body{font:14px/1.5 -apple-system,"Segoe UI",Roboto,Helvetica,Arial,sans-serif;margin:0;background:#f6f7f9;
color:#11171c}
header{display:flex;gap:24px;align-items:center;padding:10px 24px;background:#fff;
border-bottom:1px solid #d1d9e1}header strong{font-size:15px}header a{color:#5f7281;text-decoration:none}
header a[aria-current]{color:#0e538b;font-weight:600}header span{margin-left:auto;color:#5f7281}
main{max-width:1080px;margin:24px auto;padding:0 24px}h1{font-size:22px;margin:0 0 16px}
h2{font-size:17px;margin:28px 0 8px}p{margin:0 0 12px}a{color:#2272b4}
section,.card{background:#fff;border:1px solid #d1d9e1;border-radius:8px;padding:16px 20px;margin:0 0 16px}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:6px 10px 6px 0;vertical-align:top;
border-bottom:1px solid #e8ecf0;overflow-wrap:break-word}
th{color:#5f7281;font-weight:600;white-space:nowrap}
label{display:block;margin:0 0 10px}input,select{font:inherit;padding:5px 8px;border:1px solid #c0cdd8;
border-radius:4px;background:inherit;color:inherit;min-width:260px}
input[type=checkbox],input[type=radio]{min-width:0}
button{font:inherit;padding:6px 14px;border-radius:4px;border:1px solid #2272b4;background:#2272b4;color:#fff;
cursor:pointer}button:hover,button:focus-visible{background:#0e538b}
button.second{background:transparent;color:#2272b4}
code,pre{font:13px/1.5 ui-monospace,monospace}pre{background:#f6f7f9;border-radius:4px;
padding:10px 12px;overflow-x:auto;margin:0 0 12px}pre.copy{user-select:all}
.error{border-left:3px solid #c82d4c;background:#fff5f7;padding:8px 12px}
.warning{border-left:3px solid #be501e;background:#fff9eb;padding:8px 12px}
.done{border-left:3px solid #277c43;background:#f3fcf6;padding:8px 12px}.note{color:#5f7281}
@media (prefers-color-scheme:dark){body{background:#11171c;color:#e8ecf0}
header,section,.card{background:#1f272d;border-color:#37444f}th,td{border-color:#37444f}
header a,header span,th,.note{color:#92a4b3}a,header a[aria-current],button.second{color:#8acaff}
input,select{border-color:#37444f}pre{background:#11171c;border-color:#37444f}
.error{background:#33171d}.warning{background:#33240f}.done{background:#10291b}}
"""


def section_page(
    static_prefix: str,
    section: str,
    *,
    parts: Sequence[str],
    user: str = "",
    title: str = "",
    script: str = "",
    status: int = 200,
) -> OwnAnswer:
    """A page of ``section``, which is one of :data:`SECTIONS`, with the way to the others above it.

    ``parts`` are HTML. ``user`` is shown as who is signed in.
    """
    root = static_prefix.rstrip("/") + ROOT
    links = "".join(
        f'<a href="{escape(root + path)}"{" aria-current=page" if path == section else ""}>{name}</a>'
        for path, name in SECTIONS.items()
    )
    who = f"<span>{escape(user)}</span>" if user else ""
    heading = title or SECTIONS.get(section, "MLflow")
    body = (
        f'<body><header><strong><a href="{escape(static_prefix.rstrip("/"))}/">MLflow</a></strong>'
        f"{links}{who}</header><main><h1>{escape(heading)}</h1>{''.join(parts)}</main>"
    )
    return html_answer(f"{heading} – MLflow", body, style=_STYLE, script=script, status=status)


def refusal_page(static_prefix: str, error: RequestError) -> OwnAnswer:
    """A refusal as a page."""
    parts = [f'<p class="error" role="alert">{escape(error.message)}</p>']
    answer = section_page(static_prefix, "", parts=parts, title="This did not work", status=error.status)
    more = [(name.encode(), value.encode()) for name, value in error.headers]
    return OwnAnswer(
        answer.content, answer.content_type, status=answer.status, headers=(*answer.headers, *more)
    )


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table. ``heads`` and ``rows`` are HTML."""
    head = "".join(f"<th>{name}</th>" for name in heads)
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def html_answer(title: str, body: str, *, style: str, script: str = "", status: int = 200) -> OwnAnswer:
    """A document of ``body``, which begins with its tag, that no other site may frame or run scripts in."""
    nonce = secrets.token_urlsafe(16)
    code = f'<script nonce="{nonce}">{script}</script>' if script else ""
    content = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width">'
        f'<style nonce="{nonce}">{style}</style></head>{body}{code}</body></html>'
    )
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )
    headers = (
        (b"content-security-policy", policy.encode()),
        (b"x-frame-options", b"DENY"),
        (b"x-content-type-options", b"nosniff"),
        # With "no-referrer" a browser would send the forms of these pages with "Origin: null" (Fetch, 3.2).
        (b"referrer-policy", b"same-origin"),
    )
    return OwnAnswer(content.encode(), "text/html; charset=utf-8", status=status, headers=headers)
