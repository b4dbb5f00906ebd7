"""A login on another device, for where there is no browser (RFC 8628).

PKCE is sent along: a Keycloak client that demands it does so here, too. RFC 6749, 3.1, has others ignore it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Final

from workspace_authz.client.oidc import Client, Proof, RefusedError, TokenSet, endpoint
from workspace_authz.errors import ConfigurationError

_GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
_INTERVAL_SECONDS: Final = 5.0
"""Between two questions, where the provider does not say (RFC 8628, 3.2), and what it adds by slow_down."""
_LONGEST_SECONDS: Final = 900.0


def log_in_by_device(
    client: Client,
    endpoints: Mapping[str, str],
    *,
    tell: Callable[[str], None],
    sleep: Callable[[float], None] = time.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> TokenSet:
    """Tell which page to open and which code to enter, and wait until that is done.

    Raises :class:`ConfigurationError` where it is refused, or not done in time.
    """
    token_endpoint = endpoint(endpoints, "token_endpoint", issuer=client.issuer)
    device_endpoint = endpoint(endpoints, "device_authorization_endpoint", issuer=client.issuer)
    proof = Proof()
    started = client.token(device_endpoint, {"scope": client.scope, **proof.challenged})
    try:
        device_code, page = str(started["device_code"]), str(started["verification_uri"])
        page = str(started.get("verification_uri_complete") or page)
        tell(f"Open {page} and enter the code {started['user_code']}.")
        interval = float(started.get("interval", _INTERVAL_SECONDS))
        end = monotonic() + min(float(started["expires_in"]), _LONGEST_SECONDS)
    except (KeyError, ValueError, TypeError):
        raise ConfigurationError(
            f"{client.issuer} answered nothing that a login on another device needs."
        ) from None
    while monotonic() < end:
        sleep(interval)
        try:
            form = {"grant_type": _GRANT, "device_code": device_code, "code_verifier": proof.verifier}
            answer = client.token(token_endpoint, form)
        except RefusedError as error:
            interval += _more(error)
            continue
        return client.accepted(answer)
    raise ConfigurationError("Nobody logged in in time.")


def _more(error: RefusedError) -> float:
    """Seconds to wait longer from now on (RFC 8628, 3.5). Raises ``error`` where waiting is of no use."""
    if error.code == "authorization_pending":
        return 0.0
    if error.code == "slow_down":
        return _INTERVAL_SECONDS
    raise error
