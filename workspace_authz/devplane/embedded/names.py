"""Which names Kubernetes accepts where, and what it says about the others."""

from __future__ import annotations

import re
from collections.abc import Iterator

from workspace_authz.devplane.embedded.status import FieldProblem, invalid_value

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
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
_ALPHANUMERIC = (
    "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
)
_KEY_WORDS = (
    f"must consist of {_ALPHANUMERIC} (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_VALUE_WORDS = (
    f"a valid label must be an empty string or consist of {_ALPHANUMERIC} (e.g. 'MyValue',  or 'my_value',  "
    "or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
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
    return _dns_problem(name, _LABEL, _LABEL_WORDS, limit=63)


def subdomain_problem(name: str) -> str:
    """Why this is no RFC 1123 subdomain; empty when it is one."""
    return _dns_problem(name, _SUBDOMAIN, _SUBDOMAIN_WORDS, limit=253)


def _dns_problem(name: str, pattern: re.Pattern[str], words: str, *, limit: int) -> str:
    if len(name) > limit:
        return f"must be no more than {limit} characters"
    return "" if pattern.fullmatch(name) else words


def label_problems(key: str, value: str) -> Iterator[FieldProblem]:
    """What is wrong with one of ``metadata.labels``."""
    yield from qualified_name_problems("metadata.labels", key)
    if len(value) > 63:
        yield invalid_value("metadata.labels", value, "must be no more than 63 bytes")
    elif value and not _QUALIFIED.fullmatch(value):
        yield invalid_value("metadata.labels", value, _VALUE_WORDS)


def qualified_name_problems(field: str, key: str) -> Iterator[FieldProblem]:
    """What is wrong with a key: a name, with a subdomain and a slash before it or not."""
    if key.count("/") > 1:
        with_prefix = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        yield invalid_value(field, key, f"a valid label key {_KEY_WORDS} {with_prefix}")
        return
    prefix, slash, name = key.rpartition("/")
    if slash and (problem := subdomain_problem(prefix)):
        yield invalid_value(field, key, f"prefix part {problem}")
    if len(name) > 63:
        yield invalid_value(field, key, "name part must be no more than 63 bytes")
    elif not _QUALIFIED.fullmatch(name):
        yield invalid_value(field, key, f"name part {_KEY_WORDS}")
