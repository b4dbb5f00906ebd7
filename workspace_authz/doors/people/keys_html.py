"""The parts of the page of access keys. Everything that is not ours is escaped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Final
from urllib.parse import urlencode

from workspace_authz.doors.forms import form, option
from workspace_authz.doors.pages import table
from workspace_authz.grants.key_formats import FORMATS, KeyUse
from workspace_authz.grants.key_records import LONGEST_PURPOSE, Key, KeyState, KeyWish, timestamp
from workspace_authz.grants.key_rights import create_command, grant_commands, needed
from workspace_authz.grants.keys import MOST_LISTED, KeyList, NewKey

_DAYS: Final[Mapping[int, str]] = {7: "7 days", 30: "30 days", 90: "90 days", 180: "180 days", 365: "a year"}
_EVERYWHERE: Final = "MLflow and the Kubernetes API"

COPY: Final = """
for (const text of document.querySelectorAll("pre.copy")) {
  const button = document.createElement("button");
  button.textContent = "Copy";
  button.className = "second";
  button.onclick = () => navigator.clipboard.writeText(text.textContent).then(() => {
    button.textContent = "Copied";
  });
  if (navigator.clipboard) text.before(button);
}
"""
"""Buttons that copy; without them a click selects the whole text."""


@dataclass(frozen=True, slots=True)
class Forms:
    """Where forms of one workspace go."""

    action: str
    """The path of the page, below the static prefix."""
    namespace: str

    def form(self, fields: Mapping[str, str], *, inner: str, path: str = "") -> str:
        """A form that sends ``fields`` and what ``inner``, which is HTML, has."""
        return form(self.action + path, {"workspace": self.namespace, **fields}, inner=inner)

    def revoke(self, key: Key, *, word: str) -> str:
        """The form that ends a key."""
        button = f'<button class="second">{word}</button>'
        return self.form({"name": key.name}, inner=button, path="/revoke")


def back(forms: Forms) -> str:
    """The way back to the workspace."""
    query = urlencode({"workspace": forms.namespace})
    return f'<p><a href="{escape(f"{forms.action}?{query}")}">Keys of {escape(forms.namespace)}</a></p>'


def explanation(audience: str, *, seconds: int) -> str:
    """What keys are. Revoked, they end within ``seconds``."""
    good = (
        f"It is made for the audience <code>{escape(audience)}</code>, so it is worthless against the "
        "Kubernetes API."
        if audience
        else "This server has no audience of its own, so a key is <strong>also a credential for the "
        "Kubernetes API</strong>."
    )
    return (
        "<p>An access key is a token of a service account, for programs that cannot renew one. It has the "
        f"rights of that account, and not yours. {good} It is shown once and kept nowhere. A Secret in the "
        "namespace stands for it: deleting the Secret ends the key within "
        f"{seconds} seconds.</p>"
    )


def by_command(namespace: str, *, audience: str) -> str:
    """For who has shown no token for the Kubernetes API."""
    lines = (
        create_command(namespace, audience=audience),
        f"workspace-authz keys list -n {namespace}",
        f"workspace-authz keys revoke KEY -n {namespace}",
    )
    return (
        '<p class="warning">You are signed in by what the Kubernetes API does not accept as yours, so this '
        "server can do nothing with keys in your name. Use your own access to the cluster:</p>"
        + copied("\n".join(lines))
    )


def missing(namespace: str, rights: Sequence[str], *, username: str) -> str:
    """What the caller lacks, and how an administrator grants it."""
    lacking = ", ".join(f"<code>{escape(right)}</code>" for right in rights)
    return (
        f'<p class="warning" role="alert">You lack: {lacking}. {escape(needed(namespace))} '
        "Who may make such tokens may act as every service account of the namespace. An administrator grants "
        "this, and nothing else, by:</p>" + copied("\n".join(grant_commands(namespace, username)))
    )


def key_table(forms: Forms, listed: KeyList, *, now: datetime) -> str:
    """All keys."""
    if not listed.keys:
        return '<p class="note">There are no keys.</p>'
    heads = ("Key", "Service account", "For", "Made by", "Made", "Until", "State", "")
    rows = [_row(forms, key, now=now) for key in listed.keys]
    more = (
        f'<p class="note">There are more than {MOST_LISTED}; these are the first.</p>' if listed.more else ""
    )
    return table(heads, rows) + more


def _row(forms: Forms, key: Key, *, now: datetime) -> Sequence[str]:
    state = key.state(now)
    made_for = f"{escape(key.purpose)}" + (f"<br>audience {escape(key.audience)}" if key.audience else "")
    return (
        f"<code>{escape(key.name)}</code>",
        escape(key.account),
        made_for,
        escape(key.made_by),
        timestamp(key.made),
        timestamp(key.expires) if key.expires else "–",
        str(state),
        forms.revoke(key, word="Revoke" if state is KeyState.ACTIVE else "Remove"),
    )


def new_form(
    forms: Forms, accounts: Sequence[str], *, more: bool, audiences: Sequence[str], only: bool, days: int
) -> str:
    """The form for a new key. ``more`` says that there may be other accounts than ``accounts``."""
    options = "".join(option(name, name) for name in accounts)
    account = f'<select name="account">{options}</select>'
    if more:
        known = f'<datalist id="accounts">{options}</datalist>'
        account = f'<input name="account" required maxlength="253" list="accounts">{known}'
    lives = "".join(option(str(number), text, chosen=number == days) for number, text in _DAYS.items())
    choices = {name: f"MLflow only (audience {name})" for name in audiences}
    if not only:
        choices[""] = _EVERYWHERE
    goods = "".join(option(name, text) for name, text in choices.items())
    inner = (
        f"<label>Service account {account}</label>"
        f'<label>What it is for <input name="purpose" required maxlength="{LONGEST_PURPOSE}"></label>'
        f'<label>Lives <select name="days">{lives}</select></label>'
        f'<label>Good for <select name="audience">{goods}</select></label>'
    )
    return forms.form({}, inner=f"{inner}<button>Make the key</button>")


def rights_table(accounts: Sequence[str], levels: Mapping[str, str], *, note: str) -> str:
    """Whose rights a key would have."""
    shown = f'<p class="note">{escape(note)}</p>' if note else ""
    if not levels:
        return shown
    rows = [(escape(name), escape(levels.get(name) or "nothing in MLflow")) for name in accounts]
    return table(("Service account", "Rights in MLflow, in this workspace"), rows) + shown


def confirmation(forms: Forms, wish: KeyWish, *, rights: Sequence[str]) -> str:
    """Asks again before a key is made that is good for more than MLflow."""
    items = "".join(f"<li><code>{escape(right)}</code></li>" for right in rights)
    fields = {
        "account": wish.account,
        "purpose": wish.purpose,
        "days": str(wish.seconds // 86_400),
        "audience": wish.audience,
        "confirmed": "yes",
    }
    return (
        '<p class="warning" role="alert">No key was made. It would also be a credential for the Kubernetes '
        f"API, and the service account {escape(wish.account)} may do more in {escape(forms.namespace)} than "
        "MLflow:</p>"
        f"<ul>{items}</ul>" + forms.form(fields, inner="<button>Make it all the same</button>")
    )


def shown_key(made: NewKey, use: KeyUse) -> Sequence[str]:
    """A new key, the only time that anybody sees it."""
    key = made.key
    until = timestamp(key.expires) if key.expires else ""
    parts = [
        '<p class="done" role="status">This is the key. <strong>It is shown only now</strong>: copy it.</p>',
        copied(made.value, name="key"),
        f"<p>It has the rights of the service account <strong>{escape(key.account)}</strong> in "
        f"{escape(use.workspace)} until {until}, and its Secret is <code>{escape(key.name)}</code>. Use it "
        "as <code>MLFLOW_TRACKING_TOKEN</code>, or as <code>MLFLOW_TRACKING_PASSWORD</code> with any "
        "user name.</p>",
    ]
    if made.shortened:
        parts.append(
            '<p class="warning">The cluster gave it a shorter life than you asked for: that is its limit for '
            "such tokens.</p>"
        )
    if not key.audience:
        parts.append(
            '<p class="warning">It is also a credential for the Kubernetes API, with all rights of that '
            "account.</p>"
        )
    parts += [
        f"<h2>{escape(title)}</h2>{copied(use.lines(name), name=name)}" for name, title in FORMATS.items()
    ]
    return parts


def copied(text: str, *, name: str = "") -> str:
    """A text to copy."""
    identified = f' id="{escape(name)}"' if name else ""
    return f'<section><pre class="copy"{identified}>{escape(text)}</pre></section>'
