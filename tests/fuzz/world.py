"""A guarded MLflow with canaries in every workspace, and callers with rights in one of them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from tests.harness.releases import USUAL, has
from tests.harness.server import MlflowServer, ServerOptions, mlflow_server
from tests.scenarios.naming import OWN, Maker, grant_own_names, numbered
from tests.scenarios.people import TEAM_A, TEAM_B
from tests.scenarios.recipes import RECIPES
from tests.scenarios.recipes.model import Call
from tests.scenarios.studio import Studio
from tests.scenarios.tracking_studio import ENVIRONMENT
from workspace_authz.catalog.compile import compile_catalog
from workspace_authz.catalog.entries import Entry
from workspace_authz.catalog.model import Refused

ENTRIES: Final = tuple(entry for entry in compile_catalog().entries if has(USUAL, entry.route))
_TIMEOUT_SECONDS: Final = 30.0

Calls = Mapping[str, Call]
"""By operation."""

SIBLINGS: Final = "siblings"
"""Objects of team-a on which nan holds no right."""
_HOMES: Final = {SIBLINGS: TEAM_A}


@dataclass(slots=True)
class World:
    """The server as somebody sees it who has rights in one workspace only, on all objects or on some."""

    server: MlflowServer
    home: str
    """The workspace with the rights."""
    token: str = field(repr=False)
    maker: Maker
    """Makes what the caller may touch."""
    names: Callable[[], str]
    """What that is called."""
    own_provider: Provider
    foreign_provider: Provider
    canaries: Sequence[Canary]
    """In what others have."""
    foreign: Sequence[Calls]
    """Each operation called on that."""
    elsewhere: Mapping[str, Calls]
    """The same by workspace, where that is another."""
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
        self.ids = self.ledger.ids()
        self.remember()

    def remember(self) -> None:
        """Take what others have now for what they should have."""
        self.rows, self.files = self.ledger.rows(), self.ledger.files()
        self.foreign_provider.calls.clear()

    def own(self, operation: str) -> Call:
        """The operation on the caller's own objects, made again when an attempt has broken them."""
        if operation not in RECIPES:
            return Call()
        if self._studio is not None:
            try:
                return RECIPES[operation].make(self._studio)
            except AssertionError:
                pass
        self._studio = Studio(self.maker, self.home, self.server.database, self.own_provider.url, self.names)
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
    root: User
    callers: Mapping[str, User]
    """Who has every right, by workspace."""
    named: User
    """Who has rights on some objects of team-a, by their names."""
    providers: tuple[Provider, Provider]
    """For what the caller may touch, and for all else."""
    canaries: Mapping[str, Canary]
    calls: Mapping[str, Calls]
    """By workspace, and those of :data:`SIBLINGS`."""

    @contextmanager
    def world(self, home: str) -> Iterator[World]:
        """As somebody sees it who has every right in one workspace."""
        token = self.callers[home].token
        maker = Maker(self.server, token, home)
        others = [workspace for workspace in FOREIGN if workspace != home]
        with self._world(maker, token, others, names=lambda: f"own{secrets.token_hex(5)}") as world:
            yield world

    @contextmanager
    def named_world(self) -> Iterator[World]:
        """As somebody sees it who has rights on single objects of team-a, which root makes."""
        maker = Maker(self.server, self.root.token, TEAM_A)
        with self._world(maker, self.named.token, [SIBLINGS], names=numbered(OWN), since=True) as world:
            yield world

    @contextmanager
    def _world(
        self,
        maker: Maker,
        token: str,
        others: Sequence[str],
        *,
        names: Callable[[], str],
        since: bool = False,
    ) -> Iterator[World]:
        foreign = [self.calls[each] for each in others]
        state, home = self.server.state, maker.workspace
        with (
            closing(Ledger(state / "mlflow.db", state, own=home, since=since)) as ledger,
            closing(Http(self.server.url, timeout=_TIMEOUT_SECONDS)) as connection,
        ):
            yield World(
                server=self.server,
                home=home,
                token=token,
                maker=maker,
                names=names,
                own_provider=self.providers[0],
                foreign_provider=self.providers[1],
                canaries=[self.canaries[each] for each in others],
                foreign=foreign,
                elsewhere={each: self.calls[each] for each in FOREIGN if each != home},
                words=vocabulary(foreign, artifacts=state / "artifacts"),
                ledger=ledger,
                connection=connection,
            )


@contextmanager
def furnished_site(directory: Path) -> Iterator[Site]:
    """A control plane, a server and objects, for as long as the block lasts."""
    callers, root = {TEAM_A: User("fay"), DEFAULT: User("dan")}, User("root", groups=("system:masters",))
    named = User("nan")
    with ExitStack() as stack:
        users = (*callers.values(), named, root)
        plane = stack.enter_context(devplane(EMBEDDED, directory / "plane", users=users))
        for namespace in (TEAM_A, TEAM_B):
            plane.namespace(namespace)
        grant_own_names(plane, TEAM_A, named)
        for home, caller in callers.items():
            plane.bind(home, "admin", user=caller.name)
            plane.wait_for_access(caller.token, home, verb="create", resource="gatewaybudgets")
        options = ServerOptions(kubeconfig=plane.server_kubeconfig, environment=ENVIRONMENT)
        server = stack.enter_context(mlflow_server(directory / "server", options))
        providers = stack.enter_context(model_provider()), stack.enter_context(model_provider())
        canaries = {owner: Canary() for owner in (*FOREIGN, SIBLINGS)}
        calls = {
            owner: _furnished(Maker(server, root.token, _HOMES.get(owner, owner)), canary, providers[1])
            for owner, canary in canaries.items()
        }
        yield Site(server, root, callers, named, providers, canaries, calls)


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
