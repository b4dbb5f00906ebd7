"""``workspace-authz devplane``: a Kubernetes API on loopback, filled, with kubeconfigs to reach it."""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

from workspace_authz.devplane.apply import Manifest, read_manifests
from workspace_authz.devplane.embedded import EmbeddedEngine
from workspace_authz.devplane.engine import LONGEST_TOKEN_SECONDS, Endpoint, Engine, EngineOptions
from workspace_authz.devplane.kubeapiserver import KubeApiserverEngine
from workspace_authz.devplane.kubeconfig import certificate_kubeconfig, token_kubeconfig, write_private
from workspace_authz.devplane.pki import create_pki
from workspace_authz.devplane.populate import SERVER_NAMESPACE, populate
from workspace_authz.errors import AuthzError, ConfigurationError

ENGINES: Final[Mapping[str, Callable[[EngineOptions], Engine]]] = MappingProxyType(
    {
        "embedded": EmbeddedEngine,
        "kube-apiserver": KubeApiserverEngine,
    }
)
"""By the name that ``--engine`` takes."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("--engine", choices=sorted(ENGINES), default="embedded")
    parser.add_argument(
        "--state", type=Path, required=True, metavar="DIR", help="keys, kubeconfigs, logs, data"
    )
    parser.add_argument("--port", type=int, default=0, metavar="N", help="on 127.0.0.1 (default: a free one)")
    parser.add_argument("--users", type=Path, metavar="FILE", help='lines of token,user,uid,"group1,group2"')
    parser.add_argument(
        "--authentication-config",
        type=Path,
        metavar="FILE",
        help="an AuthenticationConfiguration: issuers to trust (engine kube-apiserver only)",
    )
    parser.add_argument(
        "--longest-token",
        type=int,
        default=LONGEST_TOKEN_SECONDS,
        metavar="SECONDS",
        help="a service account's token that is asked for longer is shortened to it; at least 3600",
    )
    parser.add_argument(
        "-f",
        dest="manifests",
        type=Path,
        nargs="+",
        action="extend",
        default=[],
        metavar="MANIFEST",
        help="files or directories of objects to create, in this order",
    )


def run(arguments: argparse.Namespace, *, cluster_roles: Sequence[Manifest]) -> int:
    """Serve until SIGTERM or SIGINT. The exit status of the command: 0, or 1 after one sentence on stderr."""
    options = EngineOptions(
        state=arguments.state,
        port=arguments.port,
        users=arguments.users,
        authentication_config=arguments.authentication_config,
        longest_token_seconds=arguments.longest_token,
    )
    try:
        manifests = read_manifests(arguments.manifests)
        engine = ENGINES[arguments.engine](options)
        asyncio.run(serve(engine, state=options.state, manifests=manifests, cluster_roles=cluster_roles))
    except AuthzError as error:
        print(f"devplane: {error}", file=sys.stderr)
        return 1
    return 0


async def serve(
    engine: Engine,
    *,
    state: Path,
    manifests: Sequence[Manifest] = (),
    cluster_roles: Sequence[Manifest] = (),
    announce: Callable[[str], None] = lambda line: print(line, flush=True),
) -> None:
    """Start ``engine``, fill it, write the kubeconfigs, ``announce`` one JSON line, and wait for a signal.

    Returns after SIGTERM or SIGINT, with the engine stopped. Raises
    :class:`~workspace_authz.errors.AuthzError` when it cannot be started or filled, or dies.
    """
    with _exclusive(state), _signals() as stop:
        try:
            endpoint = await engine.start()
            token = await populate(endpoint, cluster_roles=cluster_roles, manifests=manifests)
            files = await asyncio.to_thread(_write_kubeconfigs, state, endpoint, server_token=token)
            announce(json.dumps({"url": endpoint.url, **files, "engine": engine.name}))
            await _until_stopped(engine, stop)
        finally:
            await engine.stop()


async def _until_stopped(engine: Engine, stop: asyncio.Event) -> None:
    death, stopped = asyncio.create_task(engine.wait()), asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((death, stopped), return_when=asyncio.FIRST_COMPLETED)
        if death.done():
            await death
    finally:
        death.cancel()
        stopped.cancel()


def _write_kubeconfigs(state: Path, endpoint: Endpoint, *, server_token: str) -> Mapping[str, str]:
    pki = create_pki(endpoint.ca_file.parent)  # finds the set that the engine serves with
    admin, server = state / "admin.kubeconfig", state / "server.kubeconfig"
    write_private(admin, token_kubeconfig(endpoint, endpoint.admin_token))
    write_private(server, token_kubeconfig(endpoint, server_token, namespace=SERVER_NAMESPACE))
    by_certificate = certificate_kubeconfig(endpoint, cert=pki.admin_cert, key=pki.admin_key)
    write_private(state / "admin-cert.kubeconfig", by_certificate)
    return {"admin_kubeconfig": str(admin.absolute()), "server_kubeconfig": str(server.absolute())}


@contextmanager
def _exclusive(state: Path) -> Iterator[None]:
    """Hold the state directory against a second dev plane."""
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = (state / "lock").open("w")
    except OSError as error:
        raise ConfigurationError(f"cannot use the state directory: {error}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigurationError(f"another dev plane runs in {state}") from None
        yield


@contextmanager
def _signals() -> Iterator[asyncio.Event]:
    """An event that SIGTERM and SIGINT set."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield stop
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
