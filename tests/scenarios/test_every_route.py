"""For every route: nobody, no right, rights elsewhere, on another object, and exactly what it needs.

``test_single_objects.py`` adds the right on exactly the object that a request names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import pytest

from tests.harness.http import Answer
from tests.harness.plane import EMBEDDED, User
from tests.harness.provider import model_provider
from tests.harness.releases import NEWEST, OLDEST
from tests.harness.server import MlflowServer, ServerOptions, mlflow_server
from tests.scenarios.campaign import Campaign, Observation, Seen, needed
from tests.scenarios.people import ABSENT, MATRIX, TEAM_B, Cluster
from tests.scenarios.recipes import MINIMAL, RECIPES
from tests.scenarios.recipes.model import Recipe
from tests.scenarios.tracking_studio import ENVIRONMENT
from workspace_authz.catalog.compile import compile_catalog
from workspace_authz.catalog.entries import Entry
from workspace_authz.catalog.model import AnyRight, Authenticated, Guarded, Origin, Public, Refused

PREFIX: Final = "/mlflow"


def judged_by_the_guard(static_prefix: str = "") -> tuple[Entry, ...]:
    """All but ``/metrics``, which is answered before the guard: see ``tests/operations``."""
    entries = compile_catalog(static_prefix=static_prefix).entries
    return tuple(entry for entry in entries if entry.route.operation != "PrometheusMetrics")


UNPREFIXED: Final = judged_by_the_guard()
PREFIXED: Final = judged_by_the_guard(PREFIX)

Observations = Mapping[Entry, Observation]


@pytest.fixture(scope="session")
def unprefixed(
    server: MlflowServer, cluster: Cluster, holders: Mapping[frozenset[str], User]
) -> Observations:
    """Every route on a server without a prefix."""
    with model_provider() as provider:
        return Campaign(server, cluster.people, holders, provider.url).run(UNPREFIXED)


@pytest.fixture(scope="session")
def prefixed_server(
    cluster: Cluster, database: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MlflowServer]:
    options = ServerOptions(
        kubeconfig=cluster.plane.server_kubeconfig, prefix=PREFIX, database=database, environment=ENVIRONMENT
    )
    with mlflow_server(tmp_path_factory.mktemp("prefixed"), options) as server:
        yield server


@pytest.fixture(scope="session")
def prefixed(
    prefixed_server: MlflowServer, cluster: Cluster, holders: Mapping[frozenset[str], User]
) -> Observations:
    """Every route on a server below ``/mlflow``."""
    with model_provider() as provider:
        return Campaign(prefixed_server, cluster.people, holders, provider.url).run(PREFIXED)


@pytest.fixture(scope="session")
def oldest(
    oldest_server: MlflowServer, cluster: Cluster, holders: Mapping[frozenset[str], User]
) -> Observations:
    """Every route on a server of the oldest MLflow that is supported."""
    with model_provider() as provider:
        return Campaign(oldest_server, cluster.people, holders, provider.url, OLDEST).run(UNPREFIXED)


@pytest.fixture(scope="session")
def newest(
    newest_server: MlflowServer, cluster: Cluster, holders: Mapping[frozenset[str], User]
) -> Observations:
    """Every route on a server of the newest MLflow that is supported."""
    with model_provider() as provider:
        return Campaign(newest_server, cluster.people, holders, provider.url, NEWEST).run(UNPREFIXED)


def name_of(entry: Entry) -> str:
    return f"{entry.method} {entry.path} {entry.server}"


@pytest.mark.parametrize("entry", UNPREFIXED, ids=name_of)
def test_route(unprefixed: Observations, entry: Entry) -> None:
    judge(entry, unprefixed[entry])


@pytest.mark.parametrize("engine", [EMBEDDED], indirect=True)
@pytest.mark.parametrize("entry", PREFIXED, ids=name_of)
def test_route_below_a_prefix(prefixed: Observations, entry: Entry) -> None:
    judge(entry, prefixed[entry])


@pytest.mark.parametrize("engine", [EMBEDDED], indirect=True)
@pytest.mark.parametrize("entry", UNPREFIXED, ids=name_of)
def test_route_of_the_oldest_mlflow(oldest: Observations, entry: Entry) -> None:
    """Newer routes are judged, too; they are not there then."""
    judge(entry, oldest[entry])


@pytest.mark.parametrize("engine", [EMBEDDED], indirect=True)
@pytest.mark.parametrize("entry", UNPREFIXED, ids=name_of)
def test_route_of_the_newest_mlflow(newest: Observations, entry: Entry) -> None:
    judge(entry, newest[entry])


def test_no_route_was_left_out(unprefixed: Observations) -> None:
    """Then what was called is what the catalog holds, and each operation open to anybody has a recipe."""
    assert unprefixed.keys() == set(UNPREFIXED)
    open_to_some = {e.route.operation for e in UNPREFIXED if not isinstance(e.route.policy, Refused)}
    assert RECIPES.keys() == open_to_some
    assert MINIMAL.keys() <= RECIPES.keys()


def judge(entry: Entry, observed: Observation) -> None:
    """Hold what was observed against the catalog's row."""
    assert not observed.failure, observed.failure
    match entry.route.policy:
        case Public():
            then_it_is_open(entry, observed)
        case Authenticated():
            then_nobody_is_refused(entry, observed)
            assert seen(observed.powerless).record["decision"] == "allow"
            then_mlflow_answered(observed, observed.powerless)
        case Refused(reason=reason):
            then_nobody_is_refused(entry, observed)
            for caller in (observed.powerless, observed.root):
                then_it_is_refused_for(caller, reason)
        case AnyRight(listing=True):
            then_nobody_is_refused(entry, observed)
            assert seen(observed.powerless).answer.json == {}
            assert workspaces(observed.holder) == workspaces(observed.other) == [MATRIX]
            assert workspaces(observed.elsewhere) == [TEAM_B]
        case AnyRight() | Guarded():
            then_nobody_is_refused(entry, observed)
            then_the_powerless_are_refused(entry, observed)
            then_rights_elsewhere_are_none(observed)
            then_rights_on_another_object_reach_no_other(entry, observed)
            then_the_holder_may(entry, observed, observed.holder, RECIPES)
            if entry.route.operation in MINIMAL:
                then_the_holder_may(entry, observed, observed.minimal, MINIMAL)


def seen(one: Seen | None) -> Seen:
    assert one is not None
    return one


def then_it_is_open(entry: Entry, observed: Observation) -> None:
    """Nobody is asked who they are, and Kubernetes is asked nothing."""
    then_mlflow_answered(observed, observed.nobody)
    record = seen(observed.nobody).record
    assert (record["user"], record["workspace"], record["checks"]) == (None, None, [])
    assert (record["decision"], record["reason"]) == ("allow", "public")


def then_nobody_is_refused(entry: Entry, observed: Observation) -> None:
    nobody = seen(observed.nobody)
    assert nobody.answer.status == 401
    assert nobody.answer.json["error_code"] == "UNAUTHENTICATED"
    assert nobody.record["operation"] == entry.route.operation
    assert (nobody.record["user"], nobody.record["checks"]) == (None, [])


def then_it_is_refused_for(caller: Seen | None, reason: str) -> None:
    refused = seen(caller)
    assert refused.answer.status == 403
    assert refused.answer.json == {"error_code": "PERMISSION_DENIED", "message": reason}
    assert refused.record["checks"] == []


def then_the_powerless_are_refused(entry: Entry, observed: Observation) -> None:
    """... and cannot tell a workspace that is there from one that is not."""
    here, elsewhere = seen(observed.powerless), seen(observed.powerless_elsewhere)
    assert here.answer.status == 403
    assert here.answer.json["error_code"] == "PERMISSION_DENIED"
    assert "forbidden" in here.answer.json["message"]
    assert comparable(here.answer, MATRIX) == comparable(elsewhere.answer, ABSENT)
    if isinstance(entry.route.policy, Guarded):
        checks = here.record["checks"]
        # The first right that is missing, on everything and then perhaps on the named object; no other.
        assert {f"{check['verb']} {check['resource']}" for check in checks} == {needed(entry)[0]}
        assert "name" not in checks[0]
        assert "allow" not in {check["decision"] for check in checks}


def then_rights_elsewhere_are_none(observed: Observation) -> None:
    """... and who holds them learns no more than who has none."""
    powerless, elsewhere = seen(observed.powerless), seen(observed.elsewhere)
    assert elsewhere.record["decision"] == "deny"
    assert comparable(elsewhere.answer, "carol") == comparable(powerless.answer, "mallory")


def then_rights_on_another_object_reach_no_other(entry: Entry, observed: Observation) -> None:
    """What lists objects may answer without them; any right at all shows the workspace."""
    other = seen(observed.other)
    if isinstance(entry.route.policy, AnyRight):
        then_mlflow_answered(observed, other)
    elif other.answer.status == 403:
        assert other.answer.json["error_code"] == "PERMISSION_DENIED"
        assert other.record["decision"] == "deny"
    else:
        assert is_list(entry), other.answer.text
        assert observed.mark not in other.answer.text


def is_list(entry: Entry) -> bool:
    """Whether it answers with objects that the request need not name."""
    policy = entry.route.policy
    return isinstance(policy, Guarded) and any(
        source.origin is Origin.RESPONSE for need in policy.requirements for source in need.names
    )


def then_the_holder_may(
    entry: Entry, observed: Observation, caller: Seen | None, recipes: Mapping[str, Recipe]
) -> None:
    """Exactly the catalog's questions are asked, in the workspace, and MLflow answers."""
    holder = seen(caller)
    assert holder.record["decision"] == "allow", holder.answer.text
    assert (holder.record["workspace"], holder.record["operation"]) == (MATRIX, entry.route.operation)
    checks = holder.record["checks"]
    asked = [f"{check['verb']} {check['resource']}" for check in checks]
    assert asked == list(needed(entry, recipes) if isinstance(entry.route.policy, Guarded) else ())
    assert {(check["namespace"], check["decision"]) for check in checks} <= {(MATRIX, "allow")}
    then_mlflow_answered(observed, holder)


def then_mlflow_answered(observed: Observation, caller: Seen | None) -> None:
    answer = seen(caller).answer
    assert answer.status in observed.answers, answer.text


def comparable(answer: Answer, word: str) -> tuple[int, object, bytes]:
    """An answer without a word that differs for good reason."""
    compared = answer.without("date", "content-length")
    return compared.status, compared.headers, compared.body.replace(word.encode(), b"WORD")


def workspaces(caller: Seen | None) -> list[str]:
    """The names in a list of workspaces."""
    return [found["name"] for found in seen(caller).answer.json["workspaces"]]
