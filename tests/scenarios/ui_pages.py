"""Every page of MLflow's UI, and what is wrong with some of them whatever the server answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from tests.harness.browser import Profile
from tests.harness.releases import NEWEST
from tests.scenarios.studio import Studio

FORBIDDEN: Final = "is forbidden"
_QUIET_SECONDS: Final = 0.5
_MOST_SECONDS: Final = 15.0


@dataclass(frozen=True, slots=True)
class Place:
    """A page, by its place in the UI; ``{run}`` and so on stand for objects of a studio."""

    path: str
    words: str = ""
    """What somebody with the rights reads there."""
    since: str = ""
    refuses: bool = True
    """Whether it asks for anything that needs a right."""


PLACES: Final = (
    Place("/", "Recent Experiments"),
    Place("/experiments", "{experiment_name}"),
    Place("/experiments/{experiment}/runs", "{run_name}"),
    Place("/experiments/{experiment}/traces", "{experiment_name}"),
    Place("/experiments/{experiment}/traces/{trace}", "{experiment_name}"),
    Place("/experiments/{experiment}/models", "{logged_model_name}"),
    Place("/experiments/{experiment}/overview/usage", "Token usage"),
    Place("/experiments/{experiment}/datasets", "Create dataset"),
    Place("/experiments/{experiment}/datasets/{dataset}"),
    Place("/experiments/{experiment}/evaluation-runs", "Run Name"),
    Place("/experiments/{experiment}/judges", "LLM judge"),
    Place("/experiments/{experiment}/prompts", "Create your first prompt"),
    Place("/experiments/{experiment}/review-queue"),
    Place("/experiments/{experiment}/chat-sessions"),
    Place("/experiments/{experiment}/playground", "Submit"),
    Place("/experiments/{experiment}/issues", since=NEWEST),
    Place("/experiments/{experiment}/runs/{run}", "{run}"),
    Place("/experiments/{experiment}/runs/{run}/artifacts"),
    Place("/experiments/{experiment}/models/{logged_model}", "{logged_model}"),
    Place("/models", "{model}"),
    Place("/models/{model}", "{model}"),
    Place("/models/{model}/versions/1", "Version 1"),
    Place("/prompts", "{prompt}"),
    Place("/prompts/{prompt}", "Say"),
    Place("/mcp-registry"),
    Place("/skills", "Skills", since=NEWEST),
    Place("/gateway", "Endpoints"),
    Place("/gateway/usage"),
    Place("/gateway/budgets", "Budgets"),
    Place("/gateway/endpoints/create"),
    Place("/gateway/endpoints/{endpoint}"),
    Place("/settings/llm-connections", "LLM Connections"),
    Place("/settings/webhooks", "Webhooks"),
    Place("/settings/general", "Theme preference", refuses=False),
    Place("/account", "Logged in as", refuses=False),
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something in the console or in the network that is MLflow's own."""

    told: str
    """A regular expression."""
    why: str


FAULTS: Final = (
    Fault(r"ResizeObserver loop", "the browser's notice about a layout of MLflow's"),
    Fault(r"https://mlflow\.org/", "a film in MLflow's documentation, which needs the Internet"),
    Fault(r"net::ERR_NAME_NOT_RESOLVED", "the same in the console"),
    Fault(r"501 .*[?&]presigned=true|status of 501", "MLflow 3.18 asks whether its storage signs addresses"),
    Fault(r"net::ERR_ABORTED", "the page asked anew, or went on, before the answer came"),
)
OF_REFUSED: Final = (
    Fault(r"^[A-Za-z]{1,2}(: .*is forbidden|$)", "a refusal of which MLflow's page takes no notice"),
    Fault(r"status of 403", "the browser's notice about a refusal"),
)

LACKING: Final[Mapping[str, tuple[Fault, ...]]] = {
    "view": (
        Fault(r"/gateway-proxy\?", "the run page asks for endpoints outside of the AI gateway, to use them"),
        Fault(r"/gateway/secrets/list", "secrets may be listed by editors; the page says so"),
    ),
    "named": (
        Fault(r"/gateway-proxy\?", "as for view"),
        Fault(r"/traces/search", "the judges' page searches traces in other experiments as well"),
        Fault(
            r"/gateway/(budgets|supported|provider-config|guardrails|secrets)", "needs a right on all of them"
        ),
        Fault(r"/(model-definitions/list|mcp-servers|skills)\b", "none of these is theirs"),
        Fault(r"/webhooks$", "needs a right on all registered models"),
        Fault(r"/users/list$", "needs the right to list bindings"),
    ),
}
"""What MLflow's pages ask that these callers are refused."""


def is_known(told: str, faults: Iterable[Fault]) -> bool:
    """Whether one of ``faults`` explains it."""
    return any(re.search(fault.told, told) for fault in faults)


def places(studio: Studio, release: str) -> list[Place]:
    """The pages of a release, with the objects of ``studio`` in their paths and words."""
    objects = {
        **{
            name: getattr(studio, name) for name in ("experiment", "experiment_name", "run", "trace", "model")
        },
        **{name: getattr(studio, name) for name in ("logged_model", "dataset", "prompt", "endpoint")},
    }
    objects["run_name"], objects["logged_model_name"] = names_shown(studio)
    return [
        Place(place.path.format(**objects), place.words.format(**objects), refuses=place.refuses)
        for place in PLACES
        if not place.since or place.since == release
    ]


def names_shown(studio: Studio) -> tuple[str, str]:
    """Those of the run and of the logged model, by which lists show them."""
    run = studio.ask("GET", f"/api/2.0/mlflow/runs/get?run_id={studio.run}").json["run"]
    model = studio.ask("GET", f"/api/2.0/mlflow/logged-models/{studio.logged_model}").json["model"]
    return str(run["info"]["run_name"]), str(model["info"]["name"])


def go_on(window: Profile, place: str) -> None:
    """Go to another page as a link of MLflow's does: nothing is loaded anew."""
    window.page.evaluate("place => { location.hash = place }", place)


def settle(windows: Iterable[Profile]) -> None:
    """Wait until no page gets an answer any more."""
    windows = list(windows)
    count, quiet, waited = -1, 0.0, 0.0
    while quiet < _QUIET_SECONDS and waited < _MOST_SECONDS:
        windows[0].page.wait_for_timeout(100)
        now = sum(len(window.responses) for window in windows)
        quiet, count, waited = (quiet + 0.1 if now == count else 0.0), now, waited + 0.1
