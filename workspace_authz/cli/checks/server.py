"""What a server is like from the outside, and whether its environment keeps its secrets."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import aiohttp

from workspace_authz.cli.checks.finding import Finding, failing, ok, warning

VARIABLE: Final = "MLFLOW_CRYPTO_KEK_PASSPHRASE"
_PUBLIC_ONE: Final = "mlflow-default-kek-passphrase-for-development-only"
"""MLflow's (``mlflow.utils.crypto``): with it anybody who reads the database reads the gateway's secrets."""
_MAKE: Final = (
    "kubectl -n mlflow create secret generic mlflow-crypto "
    '--from-literal=passphrase="$(openssl rand -hex 32)"; for secrets that exist: mlflow crypto rotate-kek'
)
_SECONDS: Final = aiohttp.ClientTimeout(total=10)
_TRUE: Final = frozenset({"true", "1"})


def is_server(environ: Mapping[str, str]) -> bool:
    """Whether this is a server's environment, best its pod, and not an administrator's machine."""
    return "MLFLOW_BACKEND_STORE_URI" in environ or "KUBERNETES_SERVICE_HOST" in environ


def passphrase(environ: Mapping[str, str]) -> Finding:
    """Whether the gateway's secrets are encrypted with a passphrase of this server's own."""
    check, given = "passphrase", environ.get(VARIABLE, "")
    if given in ("", _PUBLIC_ONE):
        how = "is not set, so it is" if not given else "is"
        what = f"{VARIABLE} {how} MLflow's publicly known one"
        return failing(check, f"{what}: who reads the database reads the gateway's secrets", fix=_MAKE)
    return ok(check, "the gateway's secrets are encrypted with a passphrase of this server's own")


def hosts(environ: Mapping[str, str]) -> Finding:
    """Whether MLflow's protection against foreign hosts and origins is on."""
    check = "hosts"
    if environ.get("MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE", "").lower() in _TRUE:
        what = (
            "MLflow's check of Host and Origin is off: pages of other sites can use a browser's credentials"
        )
        return failing(check, what, fix="unset MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE")
    if "*" in environ.get("MLFLOW_SERVER_ALLOWED_HOSTS", "").split(","):
        fix = "set WORKSPACE_AUTHZ_PUBLIC_URL, and name in MLFLOW_SERVER_ALLOWED_HOSTS what else is needed"
        return warning(check, "MLflow answers to any Host header (DNS rebinding)", fix=fix)
    return ok(check, "MLflow's check of Host and Origin is on")


def artifact_mode(environ: Mapping[str, str]) -> Finding:
    """Whether Kubernetes decides about artifacts, too."""
    check = "artifact-mode"
    if environ.get("MLFLOW_SERVE_ARTIFACTS", "true").lower() not in _TRUE:
        what = "clients reach the artifact store directly: its own credentials decide, not Kubernetes"
        return warning(check, what, fix="unset MLFLOW_SERVE_ARTIFACTS, unless that is wanted")
    return ok(check, "the server hands artifacts out itself, so Kubernetes decides about them")


async def public_urls(urls: Sequence[str]) -> list[Finding]:
    """Whether the server is there under each of its URLs, and lets nobody in without a token."""
    found = await asyncio.gather(*map(_public_url, urls))
    return [finding for findings in found for finding in findings]


async def _public_url(url: str) -> list[Finding]:
    check, url = "public-url", url.rstrip("/")
    try:
        async with aiohttp.ClientSession(timeout=_SECONDS, trust_env=True) as session:
            status, text = await _get(session, f"{url}/version")
            if status == 403 and "Host" in text:
                fix = "let the proxy pass the Host header on, and set WORKSPACE_AUTHZ_PUBLIC_URL to this URL"
                return [failing(check, f"MLflow does not answer to the host of {url}", fix=fix)]
            if status >= 400:
                fix = "look at the Route, Ingress or gateway, and the Service behind it"
                return [failing(check, f"{url}/version answers {status}", fix=fix)]
            return [ok(check, f"{url} answers"), *await _exposure(session, url)]
    except aiohttp.ClientConnectorCertificateError:
        fix = "renew the certificate, or give its authority to clients (SSL_CERT_FILE)"
        return [failing(check, f"the certificate of {url} is not trusted here", fix=fix)]
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        fix = "look at DNS, the Route, Ingress or gateway, and whether this pod may reach it"
        return [failing(check, f"{url} does not answer: {type(error).__name__}", fix=fix)]


async def _exposure(session: aiohttp.ClientSession, url: str) -> list[Finding]:
    check, open_paths = "exposure", []
    for path in ("/api/2.0/mlflow/experiments/search?max_results=1", "/metrics"):
        status, _ = await _get(session, url + path)
        if status == 200:
            open_paths.append(path.partition("?")[0])
    if open_paths:
        fix = "start MLflow with --app-name workspace-authz, and let the proxy add no credential of its own"
        return [failing(check, f"{url} answers without a token: {', '.join(open_paths)}", fix=fix)]
    return [ok(check, f"{url} lets nobody in without a token, and shows no metrics")]


async def _get(session: aiohttp.ClientSession, url: str) -> tuple[int, str]:
    async with session.get(url, allow_redirects=False) as answer:
        return answer.status, (await answer.content.read(4096)).decode(errors="replace")
