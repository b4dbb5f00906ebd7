"""Callers whom a proxy names: believed from a proxy that proves who it is, refused from everybody else."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

import pytest

from tests.harness.fakes import ManualClock, ScriptedReviews
from workspace_authz.errors import TooManyRequestsError, UnauthenticatedError, UnavailableError
from workspace_authz.identity.asserted import MAX_GROUPS
from workspace_authz.identity.authenticator import AuthenticatorChain, Presented
from workspace_authz.identity.proxy_headers import IdentityHeaders, ProxyHeaderAuthenticator
from workspace_authz.identity.secret_file import SHORTEST, SecretFile
from workspace_authz.identity.senders import AccountProof, AddressProof, SecretProof, Senders
from workspace_authz.identity.tokens import TokenAuthenticator
from workspace_authz.identity.verified_tokens import TokenRules, TokenTerms
from workspace_authz.kubernetes.credentials import AssertedUser, BearerToken
from workspace_authz.types import Caller, Credential, UserInfo

Header = tuple[bytes, bytes]

SECRET = b"s" * SHORTEST
PROVEN: Header = (b"x-proxy-secret", SECRET)
ALICE: Header = (b"x-remote-user", b"alice")
PROXY, STRANGER = "10.1.2.3", "10.9.9.9"
GATEWAY = UserInfo("system:serviceaccount:istio-system:gateway")
EVERYBODY = "system:authenticated"


@dataclass
class World:
    """A chain of identity headers and tokens. Who comes from :data:`PROXY` needs no other proof."""

    clock: ManualClock
    path: Path
    headers: IdentityHeaders = field(
        default_factory=lambda: IdentityHeaders(allowed=frozenset({"system:authenticated:oauth"}))
    )
    reviews: ScriptedReviews = field(default_factory=ScriptedReviews)
    prefetched: list[Credential] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.path.write_bytes(SECRET)
        rules = TokenRules(self.clock, terms=TokenTerms(rejections_per_second=0.1))
        tokens = TokenAuthenticator(self.reviews, rules)
        proofs = (
            SecretProof(SecretFile(self.path, monotonic=self.clock.monotonic), b"x-proxy-secret"),
            AccountProof((tokens,), b"x-proxy-token", {("istio-system", "gateway")}),
            AddressProof((ip_network("10.1.0.0/16"), ip_network("fd00::/8"))),
        )
        by_proxy = ProxyHeaderAuthenticator(self.headers, Senders(proofs), rules=rules)
        self.chain = AuthenticatorChain((by_proxy, tokens))

    async def ask(self, *headers: Header, peer: str = STRANGER) -> Caller:
        return await self.chain.authenticate(Presented(headers, peer), unverified=self.prefetched.append)

    async def refusal(self, *headers: Header, peer: str = STRANGER) -> str:
        with pytest.raises(UnauthenticatedError) as caught:
            await self.ask(*headers, peer=peer)
        return caught.value.message


@pytest.fixture
def world(clock: ManualClock, tmp_path: Path) -> World:
    return World(clock, tmp_path / "secret")


async def test_a_proven_proxy_names_the_caller(world: World) -> None:
    caller = await world.ask(ALICE, (b"x-remote-groups", b"team | admins|"), PROVEN)
    assert caller == Caller(UserInfo("alice", groups=("team", "admins", EVERYBODY)), AssertedUser())
    assert isinstance(caller.credential, AssertedUser)
    assert (world.reviews.tokens, world.prefetched) == ([], [])
    assert await world.chain.confirm(caller) is caller


async def test_names_separator_and_prefixes_are_configurable(clock: ManualClock, tmp_path: Path) -> None:
    headers = IdentityHeaders(
        user=b"kubeflow-userid",
        groups=b"kubeflow-groups",
        separator=",",
        user_prefix="oidc:",
        groups_prefix="sso:",
    )
    world = World(clock, tmp_path / "secret", headers)
    named = (b"kubeflow-userid", b"alice@example.com"), (b"kubeflow-groups", b"team-a,team-b")
    user = (await world.ask(*named, PROVEN)).user
    assert user == UserInfo("oidc:alice@example.com", groups=("sso:team-a", "sso:team-b", EVERYBODY))
    await world.refusal(*named)
    # A header that is not configured means nothing, from whomever.
    assert "carries no Kubernetes token" in await world.refusal(ALICE, PROVEN)


@pytest.mark.parametrize("peer", [PROXY, "10.1.255.255", "::ffff:10.1.0.1", "fd12::1"])
async def test_an_address_is_enough(world: World, peer: str) -> None:
    assert (await world.ask(ALICE, peer=peer)).user.username == "alice"


@pytest.mark.parametrize(
    "peer", ["", "unix:", STRANGER, "::ffff:10.9.0.1", "fe80::1%eth0", "::1", "10.1.0.1:80"]
)
async def test_another_address_is_not(world: World, peer: str) -> None:
    assert "believed only from a proxy" in await world.refusal(ALICE, peer=peer)


async def test_the_token_of_a_proxys_account_is_enough(world: World) -> None:
    world.reviews.who_answer = GATEWAY
    for _ in range(3):
        caller = await world.ask(ALICE, (b"x-proxy-token", b"of-the-gateway"))
        assert caller.user.username == "alice"
    assert world.reviews.tokens == ["of-the-gateway"]  # asked about once, as any other token
    assert world.prefetched == []  # and nothing is asked with it


@pytest.mark.parametrize(
    "owner",
    [
        UserInfo("system:serviceaccount:istio-system:other"),
        UserInfo("system:serviceaccount:team-a:gateway"),
        UserInfo("alice"),
        UserInfo("istio-system/gateway"),
    ],
)
async def test_the_token_of_somebody_else_is_not(world: World, owner: UserInfo) -> None:
    world.reviews.who_answer = owner
    assert "none of the service accounts" in await world.refusal(ALICE, (b"x-proxy-token", b"token"))
    assert "none of the service accounts" in await world.refusal(ALICE, (b"x-proxy-token", b"token"), PROVEN)


@pytest.mark.parametrize("token", [b"rejected", b"not a token", b"\xff", b"Bearer x", b"x" * 40_000])
async def test_a_bad_token_of_a_proxy_is_refused_and_not_tried_as_anything_else(
    world: World, token: bytes
) -> None:
    world.reviews.who_answer = UnauthenticatedError("no")
    proof = (b"x-proxy-token", token)
    for headers in (
        (ALICE, proof),
        (proof,),
        (ALICE, proof, PROVEN),
        (proof, (b"authorization", b"Bearer t")),
    ):
        assert "is not accepted" in await world.refusal(*headers)


async def test_no_answer_about_a_proxys_token_is_an_error(world: World) -> None:
    world.reviews.who_answer = UnavailableError("down")
    with pytest.raises(UnavailableError):
        await world.ask(ALICE, (b"x-proxy-token", b"token"))


async def test_invented_tokens_of_proxies_are_limited_as_others_are(world: World) -> None:
    world.reviews.who_answer = UnauthenticatedError("no")
    asked = world.ask
    await world.refusal((b"x-proxy-token", b"invented-0"))
    with pytest.raises(TooManyRequestsError):
        await asked((b"x-proxy-token", b"invented-1"))


@pytest.mark.parametrize("secret", [b"wrong", SECRET[:-1], SECRET + b"x", SECRET.upper(), b"\xff"])
async def test_a_wrong_secret_is_refused_whatever_else_is_right(world: World, secret: bytes) -> None:
    wrong = (b"x-proxy-secret", secret)
    for headers in ((ALICE, wrong), (wrong,), (wrong, (b"authorization", b"Bearer t"))):
        for peer in (PROXY, STRANGER):
            refusal = await world.refusal(*headers, peer=peer)
            assert "is not the one that this server shares" in refusal
            assert SECRET.decode() not in refusal
    assert world.reviews.tokens == []


@pytest.mark.parametrize(
    "header",
    [
        ALICE,
        (b"x-remote-groups", b"admins"),
        (b"x_remote_user", b"alice"),
        (b"x-remote_user", b"alice"),
        (b"x_remote_groups", b"admins"),
    ],
)
@pytest.mark.parametrize("token", [(), ((b"authorization", b"Bearer token"),)])
async def test_from_everybody_else_it_is_refused(
    world: World, header: Header, token: tuple[Header, ...]
) -> None:
    """Given a good token beside it, too: whoever names somebody else wants something."""
    refusal = await world.refusal(header, *token)
    assert "believed only from a proxy that proves who it is" in refusal
    assert world.reviews.tokens == []


async def test_an_empty_header_names_nobody(world: World) -> None:
    empty = (b"x-remote-user", b" "), (b"x-remote-groups", b"")
    token = (b"authorization", b"Bearer token")
    for peer in (PROXY, STRANGER):
        assert isinstance((await world.ask(*empty, token, peer=peer)).credential, BearerToken)
        assert "no Kubernetes token" in await world.refusal(*empty, peer=peer)
    await world.refusal(*empty, (b"x-proxy-secret", b""), ALICE)


async def test_tokens_work_beside_it(world: World) -> None:
    """Given a proxy that names nobody, or nobody at all before the server."""
    token = (b"authorization", b"Bearer token")
    for headers in ((token,), (token, PROVEN)):
        assert isinstance((await world.ask(*headers)).credential, BearerToken)


async def test_a_proxys_word_stands_before_a_token(world: World) -> None:
    """As kube-apiserver's front proxy: what the proxy passes on beside it is not looked at."""
    caller = await world.ask(ALICE, PROVEN, (b"authorization", b"Bearer token-of-bob"))
    assert (caller.user.username, world.reviews.tokens) == ("alice", [])


async def test_a_service_account_behind_a_proxy_proves_itself(world: World) -> None:
    """Given a name of Kubernetes' own, then the caller's token says who it is; without one it is a 401."""
    trainer = UserInfo("system:serviceaccount:team-a:trainer")
    named = (b"x-remote-user", trainer.username.encode())
    world.reviews.who_answer = trainer
    caller = await world.ask(named, PROVEN, (b"authorization", b"Bearer of-the-trainer"))
    assert (caller.user, caller.credential) == (trainer, BearerToken("of-the-trainer"))
    assert "Kubernetes' own" in await world.refusal(named, PROVEN)
    world.reviews.who_answer = UnauthenticatedError("no")
    assert "Kubernetes' own" not in await world.refusal(named, PROVEN, (b"authorization", b"Bearer bad"))


@pytest.mark.parametrize(
    "name", [b"system:masters", b"system:admin", b"system:anonymous", b"system:authenticated"]
)
async def test_names_of_kubernetes_own_are_refused(world: World, name: bytes) -> None:
    assert "Kubernetes' own" in await world.refusal((b"x-remote-user", name), PROVEN)
    if name != EVERYBODY.encode():
        groups = (b"x-remote-groups", b"team|" + name)
        assert "Kubernetes' own" in await world.refusal(ALICE, groups, PROVEN)


async def test_an_allowed_one_is_not(world: World) -> None:
    groups = (b"x-remote-groups", b"system:authenticated:oauth|system:authenticated")
    assert (await world.ask(ALICE, groups, PROVEN)).user.groups == ("system:authenticated:oauth", EVERYBODY)


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ((ALICE, ALICE), "comes twice"),
        ((ALICE, (b"x-remote-user", b"bob")), "comes twice"),
        ((ALICE, (b"x-remote-user", b"")), "comes twice"),
        ((ALICE, (b"x-remote-groups", b"a"), (b"x-remote-groups", b"b")), "comes twice"),
        (((b"x-remote-user", b"mallory, alice"),), "holds a comma"),
        (((b"x-remote-user", b"mallory,alice"),), "holds a comma"),
        ((ALICE, (b"x-remote-groups", b"admins, team|other")), "holds a comma"),
        ((ALICE, (b"x_remote_user", b"bob")), "too much like"),
        ((ALICE, (b"x-remote_groups", b"admins")), "too much like"),
        (((b"x_remote_user", b"bob"),), "too much like"),
        (((b"x-remote-groups", b"admins"),), "no user in"),
        ((ALICE, PROVEN), "comes twice"),
        ((ALICE, (b"x_proxy_secret", SECRET)), "too much like"),
        ((ALICE, (b"x_proxy_token", b"token")), "too much like"),
        (((b"x-remote-user", b"al\xffice"),), "not UTF-8"),
        (((b"x-remote-user", b"al\xed\xa0\x80ice"),), "not UTF-8"),
        ((ALICE, (b"x-remote-groups", b"\xc3")), "not UTF-8"),
        (((b"x-remote-user", b"al\x01ice"),), "cannot be printed"),
        (((b"x-remote-user", "al\u202eice".encode()),), "cannot be printed"),
        (((b"x-remote-user", b"a" * 1025),), "longer than"),
        (
            (ALICE, (b"x-remote-groups", b"|".join(b"g%d" % n for n in range(10_000)))),
            "more than 1,000 groups",
        ),
    ],
)
async def test_what_a_client_may_have_added_is_refused(
    world: World, headers: tuple[Header, ...], said: str
) -> None:
    assert said in await world.refusal(*headers, PROVEN)


async def test_other_characters_are_what_the_api_server_gets(world: World) -> None:
    named = (b"x-remote-user", "jörg".encode()), (b"x-remote-groups", "群組|Domain Users".encode())
    user = (await world.ask(*named, PROVEN)).user
    assert (user.username, user.groups) == ("jörg", ("群組", "Domain Users", EVERYBODY))


async def test_as_many_groups_as_allowed(world: World) -> None:
    groups = (b"x-remote-groups", b"|".join(b"g%d" % number for number in range(MAX_GROUPS)))
    assert len((await world.ask(ALICE, groups, PROVEN)).user.groups) == MAX_GROUPS + 1
