"""Which names Kubernetes accepts where, and what it says about the others."""

from __future__ import annotations

import re

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_WORDS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start "
    "and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SUBDOMAIN_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


def path_segment_problem(name: str) -> str:
    """Why this cannot be part of a URL; empty when it can."""
    if name in (".", ".."):
        return f"may not be '{name}'"
    for character in "/%":
        if character in name:
            return f"may not contain '{character}'"
    return ""


def label_name_problem(name: str) -> str:
    """Why this is no RFC 1123 label; empty when it is one."""
    return _dns_problem(name, _LABEL, words=_LABEL_WORDS, limit=63)


def subdomain_problem(name: str) -> str:
    """Why this is no RFC 1123 subdomain; empty when it is one."""
    return _dns_problem(name, _SUBDOMAIN, words=_SUBDOMAIN_WORDS, limit=253)


def _dns_problem(name: str, pattern: re.Pattern[str], *, words: str, limit: int) -> str:
    if len(name) > limit:
        return f"must be no more than {limit} characters"
    return "" if pattern.fullmatch(name) else words
