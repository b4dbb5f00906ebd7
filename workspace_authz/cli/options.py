"""Options that several commands share, and a parser whose errors are one sentence."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from workspace_authz.errors import ConfigurationError
from workspace_authz.lazy import load
from workspace_authz.types import is_namespace_name

OK: Final = 0
NO: Final = 1
ERROR: Final = 2
"""Exit statuses: yes, no, and an error. The first two are those of ``kubectl auth can-i``."""

PROGRAM: Final = "workspace-authz"

_DEMAND: Final = "workspace_authz.mlflow_adapter.compat:demand_for_command"


class Parser(argparse.ArgumentParser):
    """Raises instead of printing. Never repeats an unknown argument, because it may be a token."""

    def __init__(self, *, prog: str, description: str, epilog: str | None = None) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        """argparse calls this for a wrong command line. Raises :class:`ConfigurationError`."""
        raise ConfigurationError(f"{message}; see {self.prog} --help")

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parse options and arguments in any order. Raises :class:`ConfigurationError` for wrong ones."""
        parsed, unknown = self.parse_known_intermixed_args(list(arguments))
        for argument in unknown:
            if argument.startswith("-"):
                self.error(f"unknown option {argument.partition('=')[0]}")
        if unknown:
            self.error("too many arguments")
        return parsed


def command_parser(name: str, description: str, *, epilog: str | None = None) -> Parser:
    """A parser for one command."""
    return Parser(prog=f"{PROGRAM} {name}", description=description, epilog=epilog)


def add_caller(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the caller and the cluster."""
    group = parser.add_argument_group("caller and cluster")
    token = group.add_mutually_exclusive_group()
    token.add_argument(
        "--token",
        metavar="TOKEN",
        help="the caller's token (others on this machine see it: prefer the next two); default: "
        "MLFLOW_TRACKING_TOKEN, else the current user of the kubeconfig, or the pod's service account",
    )
    token.add_argument("--token-file", metavar="FILE", help="a file with the token; - for standard input")
    add_kubeconfig(group)


def add_kubeconfig(parser: argparse._ActionsContainer) -> None:
    """Add the option that names a kubeconfig."""
    parser.add_argument(
        "--kubeconfig", metavar="FILE", help="default: KUBECONFIG, else the pod's own, else ~/.kube/config"
    )


def add_namespace(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the workspace."""
    parser.add_argument(
        "-n",
        "--namespace",
        metavar="NAME",
        help="the workspace; default: MLFLOW_WORKSPACE, else the namespace of the kubeconfig, or the pod's",
    )


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the option that chooses text or JSON."""
    parser.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="text (default) or json"
    )


def add_store(parser: argparse._ActionsContainer, option: str, *, variable: str, what: str) -> None:
    """Add an option that names one of the server's stores."""
    parser.add_argument(
        option, metavar="URI", default=os.environ.get(variable), help=f"{what}; default: {variable}"
    )


def add_databases(parser: argparse._ActionsContainer) -> None:
    """Add the options that name the server's databases."""
    add_backend_store(parser, what="the database (the variable keeps a password out of the process list)")
    what = "the registry's, if it has its own"
    add_store(parser, "--registry-store-uri", variable="MLFLOW_REGISTRY_STORE_URI", what=what)


def add_backend_store(parser: argparse._ActionsContainer, *, what: str) -> None:
    """Add the option that names MLflow's database."""
    add_store(parser, "--backend-store-uri", variable="MLFLOW_BACKEND_STORE_URI", what=what)


def backend_store_uri(options: argparse.Namespace) -> str:
    """MLflow's database. Raises :class:`ConfigurationError` if it is not given."""
    if not options.backend_store_uri:
        raise ConfigurationError("Give MLflow's database: --backend-store-uri, or MLFLOW_BACKEND_STORE_URI.")
    return str(options.backend_store_uri)


def namespace_name(text: str) -> str:
    """``text`` if it can be the name of a namespace. Raises :class:`ConfigurationError` if not."""
    if not is_namespace_name(text):
        raise ConfigurationError(f"{text[:80]!r} cannot be the name of a namespace.")
    return text


def run_with_mlflow(command: str, options: argparse.Namespace, *, target: str) -> int:
    """Run ``target``, which imports MLflow, after a look at whether this MLflow has what ``command`` needs.

    Raises :class:`ConfigurationError` if it has not.
    """
    demand: Callable[[str], None] = load(_DEMAND, extra="server")
    demand(f"{PROGRAM} {command}")
    action: Callable[[argparse.Namespace], int] = load(target, extra="server")
    return action(options)
