"""Third parties' CustomResourceDefinitions as they ship them, and stand-ins for what cannot be had."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from tests.harness.missing import missing

STAND_INS = Path(__file__).parents[1] / "manifests" / "crds"
"""Definitions of our own, of kinds whose real definitions cannot be fetched. Each says so."""

_NAME = re.compile(r"^metadata:\n(?:  .*\n)*?  name: [\"']?([\w.-]+)", re.MULTILINE)
_GROUP = re.compile(r"^  group: [\"']?([\w.-]+)", re.MULTILINE)
_KIND = re.compile(r"^  names:\n(?:    .*\n)*?    kind: [\"']?(\w+)", re.MULTILINE)


def definitions(*names: str) -> str:
    """These CustomResourceDefinitions, as ``ingressroutes.traefik.io``, in YAML for ``kubectl apply -f -``.

    Skips the test where the real ones are missing, and fails it when ``CI=true``. ``scripts/crds`` gets them.
    """
    found = {name: text for text in _documents() if (name := _name(text)) in names}
    assert set(found) == set(names), f"no definition of {sorted(set(names) - set(found))}"
    return "\n---\n".join(found.values())


def defining(kinds: Collection[tuple[str, str]]) -> str:
    """Those of these kinds, as ``("traefik.io", "IngressRoute")``. Otherwise as :func:`definitions`."""
    found = {kind: text for text in _documents() if (kind := _kind(text)) in kinds}
    assert set(found) == set(kinds), f"no definition of {sorted(set(kinds) - set(found))}"
    return "\n---\n".join(found.values())


def _documents() -> Iterator[str]:
    """Split by hand: YAML parsers take seconds for megabytes."""
    for folder in (STAND_INS, _fetched()):
        for file in sorted(folder.glob("*.y*ml")):
            yield from re.split(r"^---.*\n", file.read_text(), flags=re.MULTILINE)


def _name(text: str) -> str:
    found = _NAME.search(text)
    return found[1] if found else ""


def _kind(text: str) -> tuple[str, str]:
    group, kind = _GROUP.search(text), _KIND.search(text)
    return (group[1], kind[1]) if group and kind else ("", "")


def _fetched() -> Path:
    sentence = "CRDS does not name the directory with third parties' definitions; scripts/crds prints it."
    return Path(os.environ.get("CRDS") or missing(sentence))
