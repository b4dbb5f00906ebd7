"""docs/architecture.md names the layers as import-linter holds them."""

from __future__ import annotations

import configparser
import re

from tests.docs.markdown import ROOT


def test_the_layers_are_those_that_import_linter_holds() -> None:
    contracts = configparser.ConfigParser()
    contracts.read(ROOT / ".importlinter")
    layers = [
        re.findall(r"\w+", layer)
        for layer in contracts["importlinter:contract:layers"]["layers"].strip().splitlines()
    ]

    text = (ROOT / "docs" / "architecture.md").read_text()
    section = text.split("\n## Layers\n")[1].split("\n## ")[0]
    rows = [row.split("|")[1] for row in section.splitlines() if row.startswith("| `")]

    assert [re.findall(r"`(\w+)`", row) for row in rows] == layers
