"""Which request-targets are judged, and which are refused because a proxy may make another one of them."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workspace_authz.doors.forward_auth.target import Target
from workspace_authz.errors import BadRequestError

PLAIN = (b"/", b"/a/b", b"/a/", b"/%C3%A9%20x", b"/a%25b", b"/a.b/..c/...", b"/@a/b:c;d=e,(f)!$&'*+~_-")
QUERIES = (b"", b"a=b&c=%2F&d", b"x=[1]{2}|\\^`", b"a?b/c", b"%3B")
AMBIGUOUS = (
    *(b"", b"*", b"a/b", b"http://host/a", b"//a", b"/a//b", b"/a/./b", b"/a/..", b"/a/%2e%2E/b", b"/.%2e"),
    *(
        b"/a%2fb",
        b"/a%5Cb",
        b"/a\\b",
        b"/a%00",
        b"/a%1F",
        b"/a%7f",
        b"/a b",
        b"/a#b",
        b'/a"',
        b"/a|b",
        b"/[a]",
    ),
    *(
        b"/a%",
        b"/a%4",
        b"/a%zz",
        b"/\xc3\xa9",
        b"/%ff",
        b"/a?b;c",
        b"/a?b#c",
        b"/a?%",
        b"/a?\xc3\xa9",
        b"/a? b",
    ),
)


@pytest.mark.parametrize("path", PLAIN)
@pytest.mark.parametrize("query", QUERIES)
def test_a_plain_target_is_taken_as_it_is(path: bytes, query: bytes) -> None:
    target = Target.read(path + b"?" + query if query else path)
    assert (target.raw_path, target.query) == (path, query)
    assert target.path == unquote(path.decode())


@pytest.mark.parametrize("target", AMBIGUOUS)
def test_an_ambiguous_target_is_refused(target: bytes) -> None:
    with pytest.raises(BadRequestError, match="may read differently"):
        Target.read(target)


@given(st.lists(st.sampled_from([b"/", b".", b"%2e", b"%2F", b"a", b"%25", b"%41", b"%C3%A9", b";", b"?"])))
def test_what_is_read_has_no_other_reading(pieces: list[bytes]) -> None:
    """Given any target that is taken, then resolving and decoding it once or twice finds no more segments."""
    try:
        target = Target.read(b"/" + b"".join(pieces))
    except BadRequestError:
        return
    segments = target.raw_path.split(b"/")
    assert target.path.count("/") == target.raw_path.count(b"/")
    assert not {b"", b".", b".."} & set(segments[1:-1])
    assert target.path.split("/")[-1] not in (".", "..")
