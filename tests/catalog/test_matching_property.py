"""The compiled matcher against a naive one that tries every template, letter by letter."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from workspace_authz.catalog.compile import CompiledCatalog, compile_catalog
from workspace_authz.catalog.entries import Entry
from workspace_authz.catalog.model import Route, Server

CATALOGS = {prefix: compile_catalog(static_prefix=prefix) for prefix in ("", "/mlflow")}
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
WORDS = sorted(
    {
        segment
        for catalog in CATALOGS.values()
        for entry in catalog.entries
        for segment in entry.path.split("/")
        if "{" not in segment
    }
)
ODD = ("", ".", "..", "a", "ä b", "1", "x:generateContent", ":generateContent", "%2F", "\n", "\\", "{x}")


def naive(catalog: CompiledCatalog, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    method = "GET" if method == "HEAD" else method
    claims = [entry for entry in catalog.entries if entry.method == method]
    for entry in claims:
        if entry.path == path:
            return entry.route, {}
    for entry in sorted(claims, key=lambda entry: entry.server is Server.FLASK):
        found = fit(entry.path, path, entry.server) if "{" in entry.path else None
        if found is not None:
            return (entry.route, found) if all(found.values()) else None
    return None


def fit(template: str, text: str, server: Server) -> dict[str, str] | None:
    """The parameters with which ``template`` spells ``text``; earlier ones take as much as they can."""
    literal, brace, rest = template.partition("{")
    if not text.startswith(literal) or "\n" in text:
        return None
    text = text[len(literal) :]
    if not brace:
        return None if text else {}
    parameter, _, rest = rest.partition("}")
    name, _, kind = parameter.partition(":")
    for length in range(len(text), -1, -1):
        value = text[:length]
        if takes(kind, value, server):
            more = fit(rest, text[length:], server)
            if more is not None:
                return {name: value, **more}
    return None


def takes(kind: str, value: str, server: Server) -> bool:
    if kind == "":
        return value != "" and "/" not in value
    return server is Server.FASTAPI or (value != "" and not value.startswith("/"))


def answer(catalog: CompiledCatalog, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    match = catalog.match(method, path)
    return None if match is None else (match.route, dict(match.parameters))


free_paths = st.lists(st.sampled_from((*WORDS, *ODD)), max_size=9).map(lambda parts: "/" + "/".join(parts))


@st.composite
def near_paths(draw: st.DrawFn) -> str:
    """A template of the catalog, filled with something, and perhaps a little wrong."""
    entry: Entry = draw(
        st.sampled_from([entry for catalog in CATALOGS.values() for entry in catalog.entries])
    )
    values = st.lists(st.sampled_from((*WORDS, *ODD)), min_size=1, max_size=4).map("/".join)
    parts = [draw(values) if "{" in part else part for part in entry.path.split("/")]
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), draw(st.sampled_from((*WORDS, *ODD))))
    return "/".join(parts)


@settings(max_examples=1500)
@given(
    st.sampled_from(sorted(CATALOGS)),
    st.sampled_from(METHODS),
    st.one_of(free_paths, near_paths(), st.text()),
)
def test_the_fast_matcher_agrees_with_a_naive_one(prefix: str, method: str, path: str) -> None:
    catalog = CATALOGS[prefix]
    assert answer(catalog, method, path) == naive(catalog, method, path)


@given(st.sampled_from(sorted(CATALOGS)), st.data())
def test_every_entry_is_found_again(prefix: str, data: st.DataObject) -> None:
    catalog = CATALOGS[prefix]
    entry = data.draw(st.sampled_from(catalog.entries))
    path = "/".join("q:w" if part == "{x}" else part for part in entry.path.split("/"))
    path = path.replace("{", "").replace("}", "").replace(":path", "")
    match = catalog.match(entry.method, path)
    assert match is not None
    assert match.route.operation == entry.route.operation
