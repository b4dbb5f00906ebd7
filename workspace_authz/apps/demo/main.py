"""``workspace-authz demo``: set it up, take the tour, stay up."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from workspace_authz.apps.demo import servers
from workspace_authz.apps.demo.browser import find_chromium, visitors
from workspace_authz.apps.demo.cluster import Cluster, administrator
from workspace_authz.apps.demo.guide import Row, take
from workspace_authz.apps.demo.issuer import demo_issuer, sign_in_variables
from workspace_authz.apps.demo.people import TRAINER, USERS, new_tokens, users_file
from workspace_authz.apps.demo.performers import performers
from workspace_authz.apps.demo.processes import Child
from workspace_authz.apps.demo.table import Address, table, to_try
from workspace_authz.apps.demo.tour import IN_A_BROWSER, STAGES
from workspace_authz.errors import AuthzError

_INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Demo:
    """Everything that runs, once it does."""

    cluster: Cluster
    tokens: Mapping[str, str]
    mlflow: Child
    devplane: Child
    url: str
    """Where MLflow listens."""
    address: Address


def run(argv: Sequence[str]) -> int:
    """The exit status: with ``--once`` 0 only if all was as expected; 1 also when it cannot be set up."""
    options = _parser().parse_args(argv)
    try:
        if options.state is not None:
            options.state.mkdir(parents=True, exist_ok=True, mode=0o700)
            return asyncio.run(_interruptible(options, options.state.absolute()))
        with tempfile.TemporaryDirectory(prefix="workspace-authz-demo-") as state:
            return asyncio.run(_interruptible(options, Path(state)))
    except (AuthzError, OSError) as error:
        _say(str(error))
        return 1
    except ExceptionGroup as group:  # from people who act side by side
        errors, others = group.split(AuthzError)
        if others is not None or errors is None:
            raise
        _say("\n".join(str(error) for error in errors.exceptions))
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="workspace-authz demo",
        description="A guarded MLflow with two teams on this machine, and a tour.",
    )
    parser.add_argument(
        "--once", action="store_true", help="end after the tour; 0 only if all was as expected"
    )
    parser.add_argument(
        "--state", type=Path, metavar="DIR", help="keep everything here (default: a temporary directory)"
    )
    parser.add_argument("--port", type=int, metavar="N", help="MLflow's port (default: 5000, or a free one)")
    parser.add_argument("--static-prefix", default="", metavar="/PATH", help="serve MLflow below this path")
    return parser


async def _interruptible(options: argparse.Namespace, state: Path) -> int:
    """The demo, ended in order by the first SIGINT or SIGTERM; later ones do not disturb that."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def interrupt() -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, lambda: None)
        if task is not None:
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    try:
        return await _demo(options, state)
    except asyncio.CancelledError:
        _say("ended before the tour was over")
        return _INTERRUPTED


async def _demo(options: argparse.Namespace, state: Path) -> int:
    port = servers.choose_port(options.port)
    async with _set_up(state, port=port, static_prefix=options.static_prefix) as demo:
        stages = await _tour(demo, state)
        print(table(stages), flush=True)
        status = int(not all(row.as_expected for _, rows in stages for row in rows))
        if not options.once:
            print(f"\n{to_try(demo.address, demo.tokens)}", flush=True)
            await _stay(demo)
    return status


@asynccontextmanager
async def _set_up(state: Path, *, port: int, static_prefix: str) -> AsyncIterator[Demo]:
    _say(f"keys, data and logs are in {state}")
    tokens, users, url = new_tokens(), state / "users.csv", servers.url_of(port)
    users.touch(mode=0o600)
    users.write_text(users_file(tokens))
    _say("starting a Kubernetes API (in memory, for this demo only)")
    async with (
        servers.devplane(state / "devplane", users=users) as (devplane, files),
        administrator(Path(files["admin_kubeconfig"])) as cluster,
        demo_issuer([user.name for user in USERS]) as issuer,
    ):
        # Before the server starts: it checks that it may review people whom only the provider knows.
        await cluster.let_server_review()
        _say("starting MLflow behind workspace-authz")
        environment = {
            "KUBECONFIG": files["server_kubeconfig"],
            **sign_in_variables(state, issuer=issuer.url, url=url),
        }
        async with servers.mlflow(
            state, environment=environment, port=port, static_prefix=static_prefix
        ) as mlflow:
            _say("making namespaces team-a and team-b, and everybody's RoleBinding")
            await cluster.furnish()
            tokens[TRAINER.name] = await cluster.account_token(TRAINER)
            address = Address(
                uri=url + static_prefix,
                kubeconfig=files["admin_kubeconfig"],
                audit=str(state / "audit.jsonl"),
                programs=str(servers.PROGRAM.parent),
            )
            yield Demo(cluster, tokens, mlflow, devplane, url, address)


async def _tour(demo: Demo, state: Path) -> Sequence[tuple[str, Sequence[Row]]]:
    _say("loading MLflow's SDK in a process for each person")
    async with performers(
        uri=demo.address.uri, tokens=demo.tokens, cluster=demo.cluster, state=state
    ) as everybody:
        await servers.ready(demo.mlflow, demo.url)
        _say(f"MLflow is at {demo.address.uri}; the tour begins")
        chromium, stages = find_chromium(), []
        if chromium is None:
            _say("nobody signs in with a browser: Chromium is not installed")
        else:
            everybody = {**everybody, **visitors(chromium, demo.address.uri)}
        for stage in (*STAGES, *((IN_A_BROWSER,) if chromium else ())):
            _say(stage.title)
            stages.append((stage.title, await take(stage, everybody)))
        return stages


async def _stay(demo: Demo) -> None:
    """Until a signal, or until a server ends by itself, which raises ``DemoError``."""
    deaths = [asyncio.create_task(server.death()) for server in (demo.mlflow, demo.devplane)]
    try:
        await asyncio.wait(deaths, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        _say("ending")
        return
    finally:
        for death in deaths:
            death.cancel()
    raise next(death.result() for death in deaths if death.done())


def _say(line: str) -> None:
    print(f"demo: {line}", file=sys.stderr, flush=True)
