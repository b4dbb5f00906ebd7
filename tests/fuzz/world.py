"""A guarded MLflow with canaries in every workspace, and a caller with every right in one of them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.fuzz.canary import Canary, Planting
from tests.fuzz.ledger import Ledger
from tests.fuzz.wire import Wire
from tests.fuzz.words import DEFAULT, FOREIGN, Words, vocabulary
from tests.harness.http import Answer, Http
from tests.harness.plane import EMBEDDED, User, devplane
from tests.harness.provider import Provider, model_provider
from tests.harness.server import MlflowServer, ServerOptions, mlflow_server
from tests.scenarios.naming import Maker
from tests.scenarios.people import TEAM_A, TEAM_B
from tests.scenarios.recipes import RECIPES
from tests.scenarios.recipes.model import Call
from tests.scenarios.studio import Studio
from tests.scenarios.tracking_studio import ENVIRONMENT
from workspace_authz.catalog.compile import compile_catalog
from workspace_authz.catalog.entries import Entry
from workspace_authz.catalog.model import Refused

ENTRIES: Final = compile_catalog().entries
_TIMEOUT_SECONDS: Final = 30.0

Calls = Mapping[str, Call]
"""By operation."""


@dataclass(slots=True)
class World:
    """The server as somebody sees it who has every right in one workspace and none in another."""

    server: MlflowServer
    home: str
    """The workspace with the rights."""
    token: str = field(repr=False)
    own_provider: Provider
    foreign_provider: Provider
    canaries: Sequence[Canary]
    """In the other workspaces."""
    foreign: Sequence[Calls]
    """Each operation called in each of them."""
    words: Words
    ledger: Ledger
    connection: Http
    rows: frozenset[Any] = field(init=False)
    files: frozenset[Any] = field(init=False)
    ids: frozenset[str] = field(init=False)
    sent: list[Wire] = field(default_factory=list)
    """Since the other workspaces were looked at."""
    statuses: list[int] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    """What the caller has written: it may come back later."""
    _studio: Studio | None = None

    def __post_init__(self) -> None:
        self.rows, self.files, self.ids = self.ledger.rows(), self.ledger.files(), self.ledger.ids()

    def own(self, operation: str) -> Call:
        """The operation on the caller's own objects, made again when an attempt has broken them."""
        if operation not in RECIPES:
            return Call()
        if self._studio is not None:
            try:
                return RECIPES[operation].make(self._studio)
            except AssertionError:
                pass
        self._studio = Studio(
            Maker(self.server, self.token, self.home),
            self.home,
            self.server.database,
            self.own_provider.url,
            lambda: f"own{secrets.token_hex(5)}",
        )
        return RECIPES[operation].make(self._studio)

    def others(self, operation: str) -> Sequence[Call]:
        """The operation on objects of each other workspace."""
        return [calls[operation] for calls in self.foreign if operation in calls]

    def leaked(self, answer: Answer, mentions: str) -> set[str]:
        """What of the other workspaces an answer holds that the caller has not said."""
        text = f"{answer.headers}\n{answer.text}"
        named = set(re.findall(r"[0-9a-zA-Z-]*[0-9a-f]{12,}", text)) & self.ids
        named = named.union(*(canary.named_in(text) for canary in self.canaries))
        said = (mentions, *self.stored)
        unsaid = {one for one in named if not any(one in words for words in said)}
        return unsaid.union(*(canary.contents_in(text) for canary in self.canaries))

    def changed(self) -> set[str]:
        """What of the other workspaces is no longer what it was."""
        rows = {f"{table}: {row}" for table, row in self.ledger.rows() ^ self.rows}
        files = {name for name, _ in self.ledger.files() ^ self.files}
        used = {f"provider {path}" for path, _ in self.foreign_provider.calls}
        return rows | files | used


def operations() -> Mapping[str, Sequence[Entry]]:
    """Every operation of the catalog and where it is served."""
    found: dict[str, list[Entry]] = {}
    for entry in ENTRIES:
        found.setdefault(entry.route.operation, []).append(entry)
    return found


@dataclass(frozen=True, slots=True)
class Site:
    """The server with its furniture, before anybody tries anything."""

    server: MlflowServer
    callers: Mapping[str, User]
    """Who has every right, by workspace."""
    providers: tuple[Provider, Provider]
    """For the caller's own endpoints, and for all others."""
    canaries: Mapping[str, Canary]
    calls: Mapping[str, Calls]

    @contextmanager
    def world(self, home: str) -> Iterator[World]:
        """As the caller of one workspace sees it."""
        others = [workspace for workspace in FOREIGN if workspace != home]
        foreign = [self.calls[workspace] for workspace in others]
        state = self.server.state
        self.providers[1].calls.clear()
        with (
            closing(Ledger(state / "mlflow.db", state, own=home)) as ledger,
            closing(Http(self.server.url, timeout=_TIMEOUT_SECONDS)) as connection,
        ):
            yield World(
                server=self.server,
                home=home,
                token=self.callers[home].token,
                own_provider=self.providers[0],
                foreign_provider=self.providers[1],
                canaries=[self.canaries[workspace] for workspace in others],
                foreign=foreign,
                words=vocabulary(foreign, artifacts=state / "artifacts"),
                ledger=ledger,
                connection=connection,
            )


@contextmanager
def furnished_site(directory: Path) -> Iterator[Site]:
    """A control plane, a server and objects, for as long as the block lasts."""
    callers, root = {TEAM_A: User("fay"), DEFAULT: User("dan")}, User("root", groups=("system:masters",))
    with ExitStack() as stack:
        users = (*callers.values(), root)
        plane = stack.enter_context(devplane(EMBEDDED, directory / "plane", users=users))
        for namespace in (TEAM_A, TEAM_B):
            plane.namespace(namespace)
        for home, caller in callers.items():
            plane.bind(home, "admin", user=caller.name)
            plane.settle(caller.token, home, "create", "gatewaybudgets")
        options = ServerOptions(kubeconfig=plane.server_kubeconfig, environment=ENVIRONMENT)
        server = stack.enter_context(mlflow_server(directory / "server", options))
        providers = stack.enter_context(model_provider()), stack.enter_context(model_provider())
        canaries = {workspace: Canary() for workspace in FOREIGN}
        calls = {
            workspace: _furnished(Maker(server, root.token, workspace), canary, providers[1])
            for workspace, canary in canaries.items()
        }
        yield Site(server, callers, providers, canaries, calls)


def _furnished(maker: Maker, canary: Canary, provider: Provider) -> Calls:
    """Objects for every operation in a workspace, and the calls that reach them."""
    studio = Studio(
        Planting(maker, canary),
        maker.workspace,
        maker.server.database,
        provider.url,
        canary.names(),
    )
    wanted = {
        name for name, entries in operations().items() if not isinstance(entries[0].route.policy, Refused)
    }
    return {name: RECIPES[name].make(studio) for name in sorted(wanted)}
