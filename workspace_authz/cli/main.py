"""``workspace-authz``: the command line. A command's module is imported only when the command runs."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from workspace_authz import __version__
from workspace_authz.cli.options import ERROR, OK, PROGRAM, Parser
from workspace_authz.errors import AuthzError, ExitError, UnavailableError
from workspace_authz.lazy import load

_DESCRIBE: Final = "workspace_authz.kubernetes.connection:describe_failure"
_INTERRUPTED: Final = 130
"""The exit status of a process that SIGINT ended, as in shells: 128 + 2."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its line in the help, and its code."""

    summary: str
    target: str
    """``module:function``. The function takes the arguments and returns the exit status."""
    extra: str = ""
    """The extra of the package with the command's dependencies; empty for the base install."""
    logs: int = logging.CRITICAL
    """The lowest level that the command logs to standard error."""


COMMANDS: Final[Mapping[str, Command]] = MappingProxyType(
    {
        "whoami": Command("who you are to Kubernetes, and so to MLflow", "workspace_authz.cli.whoami:run"),
        "can-i": Command("may you do this in MLflow? yes or no", "workspace_authz.cli.can_i:run"),
        "explain": Command(
            "what would become of a request to MLflow, step by step", "workspace_authz.cli.explain:run"
        ),
        "grant": Command("give rights in a workspace, as plain RBAC", "workspace_authz.cli.grants.grant:run"),
        "revoke": Command("take them back", "workspace_authz.cli.grants.revoke:run"),
        "who": Command("who holds what in a workspace", "workspace_authz.cli.grants.who:who"),
        "who-can": Command("who may do this in MLflow", "workspace_authz.cli.grants.who:who_can"),
        "convert": Command(
            "the permissions of basic-auth or mlflow-oidc-auth, as plain RBAC",
            "workspace_authz.cli.convert:run",
            extra="server",
        ),
        "login": Command(
            "log in at an OpenID Connect provider, for MLflow's clients", "workspace_authz.cli.login:log_in"
        ),
        "logout": Command("forget that login, and end it", "workspace_authz.cli.login:log_out"),
        "token": Command(
            "the token that this package's client plugin would send", "workspace_authz.cli.login:print_token"
        ),
        "fetch": Command(
            "a model into a directory, as KServe's storage initializers do it",
            "workspace_authz.cli.fetch:run",
        ),
        "keys": Command("access keys for programs: create, list, revoke", "workspace_authz.cli.keys:run"),
        "routes": Command("every route of MLflow and the rule for it", "workspace_authz.cli.routes:run"),
        "check": Command(
            "what is wrong with this installation, and the fix", "workspace_authz.cli.check:run"
        ),
        "workspaces": Command(
            "whose data the workspaces hold: list, adopt, purge", "workspace_authz.cli.workspaces.command:run"
        ),
        "database": Command(
            "the schema of the server's databases: upgrade, check", "workspace_authz.cli.database.command:run"
        ),
        "gc": Command(
            "delete for good what was deleted long ago, in every workspace",
            "workspace_authz.cli.upkeep.command:collect_garbage",
        ),
        "archive-traces": Command(
            "move old traces from the database to the archive",
            "workspace_authz.cli.upkeep.command:archive_traces",
        ),
        "serve": Command(
            "answer proxies in front of an MLflow that cannot load the app",
            "workspace_authz.cli.serve:run",
            extra="server",
            logs=logging.WARNING,
        ),
        "devplane": Command(
            "a Kubernetes API on this machine, for development",
            "workspace_authz.cli.devplane:run",
            extra="devplane",
            logs=logging.WARNING,
        ),
        "demo": Command(
            "two teams, five callers and a guarded MLflow, on this machine",
            "workspace_authz.apps.demo.main:run",
            extra="demo",
            logs=logging.WARNING,
        ),
    }
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status. An error is one line on standard error."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = _dispatch(given)
        sys.stdout.flush()
    except AuthzError as error:
        sys.stderr.write(f"{PROGRAM}: {_one_line(error)}\n")
        return error.status if isinstance(error, ExitError) else ERROR
    except BrokenPipeError:
        # The reader of the pipe has gone. Without this, the interpreter reports an error at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ERROR
    except KeyboardInterrupt:
        return _INTERRUPTED
    return status


def _dispatch(given: Sequence[str]) -> int:
    if given and given[0] in COMMANDS:
        command = COMMANDS[given[0]]
        logging.basicConfig(level=command.logs, format="%(levelname)s: %(message)s")
        run: Callable[[Sequence[str]], int] = load(command.target, extra=command.extra)
        return run(given[1:])
    parser = _parser()
    if given:
        parser.parse(given[:1])
    parser.print_help()
    return OK


def _parser() -> Parser:
    width = max(map(len, COMMANDS))
    summaries = "\n".join(f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items())
    parser = Parser(
        prog=PROGRAM,
        description="Kubernetes decides who may do what in MLflow.",
        epilog=f"commands:\n{summaries}\n\n{PROGRAM} COMMAND --help says more about one.",
    )
    parser.add_argument("command", metavar="COMMAND", choices=tuple(COMMANDS))
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    return parser


def _one_line(error: AuthzError) -> str:
    """The message of ``error``. For an API server that did not answer, the cause too."""
    text = " ".join(str(error).split())
    if isinstance(error, UnavailableError) and error.__cause__ is not None:
        return f"{text} ({load(_DESCRIBE)(error.__cause__)})"
    return text


if __name__ == "__main__":
    sys.exit(main())
