"""Keys on an API server that fails in between: nothing is left that nobody knows of."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import timedelta
from typing import Any

import pytest

from tests.grants.kept_secrets import MADE, VALUE, KeptSecrets
from tests.harness.fakes import ScriptedReviews
from workspace_authz.authorizer.rbac.index import RbacIndex
from workspace_authz.authorizer.rbac.objects import Binding, Role
from workspace_authz.authorizer.rules import witness
from workspace_authz.errors import (
    ConflictError,
    ForbiddenError,
    MissingError,
    RequestError,
    UnauthenticatedError,
    UnavailableError,
)
from workspace_authz.grants.account_levels import account_levels
from workspace_authz.grants.key_formats import KeyUse
from workspace_authz.grants.key_records import EXPIRES, KeyState, KeyWish, finished, key_of, secret_of
from workspace_authz.grants.key_rights import beyond_mlflow, create_command, grant_commands
from workspace_authz.grants.keys import BroadAccount, Keys, NewKey
from workspace_authz.grants.levels import Level, rules_for
from workspace_authz.kubernetes.reviews import ResourceRule, RulesAnswer
from workspace_authz.types import API_GROUP, Resource

WISH = KeyWish("trainer", "tests", 86_400)


@pytest.fixture
def cluster() -> KeptSecrets:
    return KeptSecrets()


@pytest.fixture
def reviews() -> ScriptedReviews:
    reviews = ScriptedReviews()
    reviews.rules_answer = RulesAnswer((), incomplete=False)
    return reviews


def keys_of(cluster: KeptSecrets, reviews: ScriptedReviews) -> Keys:
    return Keys(cluster, reviews, "team-a")


async def test_a_key_is_kept_only_as_its_secret(cluster: KeptSecrets, reviews: ScriptedReviews) -> None:
    made = await keys_of(cluster, reviews).make(WISH, made_by="alice", confirmed=False)
    assert isinstance(made, NewKey)
    assert (made.value, made.shortened, made.key.expires) == (VALUE, False, MADE + timedelta(days=1))
    assert VALUE not in repr(made)
    assert VALUE not in str(cluster.secrets)


async def test_a_shorter_life_is_told(cluster: KeptSecrets, reviews: ScriptedReviews) -> None:
    for lives, shortened in ((timedelta(hours=23), True), (timedelta(hours=24, seconds=-2), False)):
        cluster.lives = lives
        made = await keys_of(cluster, reviews).make(WISH, made_by="alice", confirmed=False)
        assert isinstance(made, NewKey)
        assert made.shortened is shortened


@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("token", UnavailableError("Away.")),
        ("token", ForbiddenError("x cannot y.")),
        ("token", MissingError("There is no such account.")),
        ("replace", ConflictError("Changed.")),
        ("replace", UnavailableError("Away.")),
        ("replace", RuntimeError("A bug.")),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else value,
)
async def test_no_secret_is_left_of_a_key_that_nobody_gets(
    cluster: KeptSecrets, reviews: ScriptedReviews, method: str, error: Exception
) -> None:
    cluster.failures[method] = error
    with pytest.raises(type(error), match=str(error).rstrip(".")):
        await keys_of(cluster, reviews).make(WISH, made_by="alice", confirmed=False)
    assert cluster.secrets == {}


async def test_no_secret_is_left_when_the_request_is_given_up(
    cluster: KeptSecrets, reviews: ScriptedReviews
) -> None:
    cluster.waits = True
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await keys_of(cluster, reviews).make(WISH, made_by="alice", confirmed=False)
    assert cluster.secrets == {}


async def test_a_secret_that_cannot_be_deleted_is_logged_and_told_as_what_failed_first(
    cluster: KeptSecrets, reviews: ScriptedReviews, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.failures |= {"replace": ConflictError("Changed."), "delete": UnavailableError("Away.")}
    with caplog.at_level(logging.WARNING), pytest.raises(ConflictError):
        await keys_of(cluster, reviews).make(WISH, made_by="alice", confirmed=False)
    assert "an unfinished access key is left" in caplog.text
    assert VALUE not in caplog.text
    (left,) = map(key_of, cluster.secrets.values())
    assert left is not None
    assert left.state(MADE + timedelta(minutes=2)) is KeyState.UNFINISHED
    assert left.state(MADE) is KeyState.ACTIVE


@pytest.mark.parametrize(("said", "helped"), [("a cannot b c", True), ("exceeded quota", False)])
async def test_a_refusal_names_the_rights_it_takes(
    cluster: KeptSecrets, reviews: ScriptedReviews, said: str, helped: bool
) -> None:
    cluster.failures["create"] = ForbiddenError(said)
    with pytest.raises(ForbiddenError) as refused:
        await keys_of(cluster, reviews).make(WISH, made_by="alice", confirmed=False)
    assert refused.value.message.startswith(said)
    assert ("ClusterRoles edit and admin have them" in refused.value.message) is helped


async def test_rights_that_cannot_be_listed_are_asked_about(
    cluster: KeptSecrets, reviews: ScriptedReviews
) -> None:
    reviews.rules_answer = RulesAnswer((), incomplete=True)
    made = await keys_of(cluster, reviews).make(WISH, made_by="alice", confirmed=False)
    assert made == BroadAccount(("rights that this cluster cannot list",))
    assert cluster.secrets == {}


async def test_a_key_that_does_not_work_is_withdrawn(cluster: KeptSecrets, reviews: ScriptedReviews) -> None:
    reviews.rules_answer = UnauthenticatedError("No.")
    with pytest.raises(RequestError, match="does not work, so it was withdrawn"):
        await keys_of(cluster, reviews).make(WISH, made_by="alice", confirmed=False)
    assert cluster.secrets == {}


async def test_a_key_for_an_audience_is_not_asked_about(
    cluster: KeptSecrets, reviews: ScriptedReviews
) -> None:
    """It could not ask: the API server does not take it."""
    reviews.rules_answer = UnauthenticatedError("No.")
    wish = KeyWish("trainer", "tests", 86_400, "mlflow")
    assert isinstance(await keys_of(cluster, reviews).make(wish, made_by="a", confirmed=False), NewKey)


async def test_what_an_api_server_selects_wrongly_is_not_deleted(
    cluster: KeptSecrets, reviews: ScriptedReviews
) -> None:
    cluster.secrets["other"] = {"metadata": {"name": "other", "uid": "u", "labels": {"a": "b"}}}
    with pytest.raises(MissingError):
        await keys_of(cluster, reviews).revoke("other")
    assert "other" in cluster.secrets
    labels = "app.kubernetes.io/managed-by=workspace-authz,app.kubernetes.io/component=access-key"
    assert cluster.queries == [{"labelSelector": labels, "fieldSelector": "metadata.name=other"}]


@pytest.mark.parametrize(
    ("rule", "beyond"),
    [
        (ResourceRule(frozenset({"get"}), frozenset({API_GROUP}), frozenset({"*"}), frozenset()), ""),
        (
            ResourceRule(
                frozenset({"create"}),
                frozenset({"authorization.k8s.io"}),
                frozenset({"selfsubjectaccessreviews", "selfsubjectrulesreviews"}),
                frozenset(),
            ),
            "",
        ),
        (
            ResourceRule(frozenset({"get"}), frozenset({API_GROUP, ""}), frozenset({"pods"}), frozenset("a")),
            "get pods named a",
        ),
        (ResourceRule(frozenset({"*"}), frozenset({"*"}), frozenset({"*"}), frozenset()), "* *"),
        (
            ResourceRule(
                frozenset({"create"}),
                frozenset({"authorization.k8s.io"}),
                frozenset({"subjectaccessreviews"}),
                frozenset(),
            ),
            "create subjectaccessreviews.authorization.k8s.io",
        ),
    ],
)
def test_what_goes_beyond_mlflow(rule: ResourceRule, beyond: str) -> None:
    assert beyond_mlflow(RulesAnswer((rule,), incomplete=False)) == ((beyond,) if beyond else ())


def test_rights_are_listed_up_to_a_bound() -> None:
    rules = tuple(
        ResourceRule(frozenset({"get"}), frozenset({""}), frozenset({f"r{n}"}), frozenset())
        for n in range(100)
    )
    shown = beyond_mlflow(RulesAnswer(rules, incomplete=False))
    assert (len(shown), shown[-1]) == (21, "and more")


@pytest.mark.parametrize(
    "metadata",
    [
        None,
        {},
        {"labels": ["x"], "creationTimestamp": "2026-11-30T12:00:00Z"},
        {"labels": {"app.kubernetes.io/managed-by": "workspace-authz"}},
        {
            "labels": {
                "app.kubernetes.io/managed-by": "workspace-authz",
                "app.kubernetes.io/component": "access-key",
            },
            "creationTimestamp": "yesterday",
        },
    ],
)
def test_a_secret_that_is_no_key(metadata: Any) -> None:
    assert key_of({"metadata": metadata}) is None


def test_what_others_wrote_into_a_secret_is_bounded() -> None:
    secret = dict(secret_of(WISH, "team-a", made_by="alice"))
    notes = dict.fromkeys(secret["metadata"]["annotations"], "x" * 100000) | {EXPIRES: "never"}
    secret["metadata"] = {**secret["metadata"], "annotations": notes, "creationTimestamp": MADE.isoformat()}
    key = key_of(secret)
    assert key is not None
    assert key.expires is None
    assert max(map(len, (key.account, key.purpose, key.made_by))) == 400


def test_a_key_expires() -> None:
    secret = secret_of(WISH, "team-a", made_by="alice")
    made = {**secret, "metadata": {**secret["metadata"], "creationTimestamp": MADE.isoformat()}}
    key = key_of(finished(made, MADE + timedelta(days=1)))
    assert key is not None
    assert key.state(MADE + timedelta(hours=23)) is KeyState.ACTIVE
    assert key.state(MADE + timedelta(days=1)) is KeyState.EXPIRED


def test_lines_with_odd_characters_are_quoted() -> None:
    wish = KeyWish("trainer", "it's $(x)", 2 * 86_400, "mlflow")
    assert create_command("team-a", wish) == (
        "workspace-authz keys create trainer -n team-a --for 'it'\"'\"'s $(x)' --days 2 --audience mlflow"
    )
    assert "--user='a b'" in grant_commands("team-a", "a b")[1]
    assert "--user=group:x" in grant_commands("team-a", "group:x")[1]
    assert "--serviceaccount=a:b" in grant_commands("team-a", "system:serviceaccount:a:b")[1]
    use = KeyUse("https://x/'y", "team-a", VALUE)
    assert "export MLFLOW_TRACKING_URI='https://x/'\"'\"'y'" in use.lines("shell")
    assert VALUE not in repr(use)
    assert VALUE not in use.lines("ci")


def index_of(*bindings: tuple[str, Binding, Role]) -> RbacIndex:
    index = RbacIndex()
    for number, (home, binding, role) in enumerate(bindings):
        index.put_role(("", binding.role), role)
        index.put_binding((home, f"b{number}"), old=None, new=binding)
    return index


async def test_the_rights_of_accounts_come_from_their_names_and_groups() -> None:
    def role(*rules: ResourceRule) -> Role:
        return Role(rules, witness(rules))

    read = role(*rules_for(Resource.EXPERIMENTS, Level.READ))
    everything = role(*(rule for resource in Resource for rule in rules_for(resource, Level.MANAGE)))
    single = role(*rules_for(Resource.DATASETS, Level.EDIT, name="d"))
    only_create = role(
        ResourceRule(frozenset({"create"}), frozenset({API_GROUP}), frozenset({"experiments"}), frozenset())
    )
    index = index_of(
        ("team-a", Binding("r", True, (), ("system:serviceaccounts:team-a",)), read),
        ("team-a", Binding("s", True, ("system:serviceaccount:team-a:single",), ()), single),
        ("team-b", Binding("t", True, ("system:serviceaccount:team-a:single",), ()), everything),
        ("", Binding("u", True, ("system:serviceaccount:team-a:wide",), ()), everything),
        ("team-c", Binding("v", True, ("system:serviceaccount:team-c:odd",), ()), only_create),
    )
    seen = await account_levels(index, "team-a", accounts=["single", "wide"], cluster_wide=False)
    assert seen == {
        "single": "EDIT on datasets/d; READ on experiments",
        "wide": "READ on experiments",
    }
    assert await account_levels(index, "team-a", accounts=["wide"], cluster_wide=True) == {
        "wide": "MANAGE on everything"
    }
    assert await account_levels(index, "team-c", accounts=["odd", "none"], cluster_wide=True) == {
        "odd": "some rights, which make up no level",
        "none": "",
    }


async def test_however_many_rights_there_are_few_are_looked_at() -> None:
    """Given thousands of named rights and of roles, then the text is short, and comes soon."""

    def named(number: int) -> Role:
        names = frozenset(f"e{number}-{name}" for name in range(100))
        rule = ResourceRule(
            frozenset({"get", "list"}), frozenset({API_GROUP}), frozenset({"datasets"}), names
        )
        return Role((rule,), witness((rule,)))

    read = rules_for(Resource.EXPERIMENTS, Level.READ)
    index = index_of(
        (
            "team-a",
            Binding("read", True, ("system:serviceaccount:team-a:a0",), ()),
            Role(read, witness(read)),
        ),
        *(
            ("team-a", Binding(f"r{n}", True, (f"system:serviceaccount:team-a:a{n % 100}",), ()), named(n))
            for n in range(10_000)
        ),
    )
    accounts = [f"a{number}" for number in range(100)]
    before = time.process_time()
    texts = await account_levels(index, "team-a", accounts=accounts, cluster_wide=False)
    assert time.process_time() - before < 2
    assert texts["a0"] == (
        "READ on experiments; rights on more than 12 single objects; what further bindings give"
    )
    assert texts["a99"] == "too many rights to be shown here"
