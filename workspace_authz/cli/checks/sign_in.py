"""Where people sign in with a browser: does each provider answer, and as whom?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from workspace_authz.cli.checks.finding import Finding, failing, ok
from workspace_authz.cli.checks.probe import TIMEOUT
from workspace_authz.identity.sign_in.tls import provider_tls
from workspace_authz.settings.sign_in_file import OidcConfiguration, ProviderConfiguration

_CHECK: Final = "sign-in"


async def provider(configuration: ProviderConfiguration) -> Finding:
    """Whether the provider's configuration can be had, and is the one of the file."""
    name, url = configuration.name, configuration.metadata_url
    try:
        found = await _fetch(url, configuration.authority)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        return failing(
            _CHECK,
            f"the provider {name} does not answer at {url}: {type(error).__name__}",
            fix="check its URL and certificateAuthority in WORKSPACE_AUTHZ_SIGN_IN, and the network",
        )
    if isinstance(configuration, OidcConfiguration) and found.get("issuer") != configuration.issuer.url:
        return failing(
            _CHECK,
            f"the provider {name} calls itself {found.get('issuer')}",
            fix="set issuer.url to exactly that in the file of WORKSPACE_AUTHZ_SIGN_IN",
        )
    missing = {"authorization_endpoint", "token_endpoint"} - found.keys()
    if missing:
        return failing(
            _CHECK, f"the provider {name} names no {' and no '.join(sorted(missing))}", fix="check its URL"
        )
    return ok(_CHECK, f"the provider {name} answers at {url}")


async def _fetch(url: str, authority: str | None) -> Mapping[str, Any]:
    tls = await asyncio.to_thread(provider_tls, authority)
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT, trust_env=True) as session,
        session.get(url, ssl=tls) as answer,
    ):
        answer.raise_for_status()
        found = json.loads(await answer.read())
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found
