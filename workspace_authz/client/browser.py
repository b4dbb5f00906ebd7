"""A login in the browser of this machine: a code with PKCE, which comes back on loopback (RFC 8252, 7.3)."""

from __future__ import annotations

import hmac
import threading
import webbrowser
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Empty, SimpleQueue
from typing import Final
from urllib.parse import parse_qs, urlencode, urlsplit

from workspace_authz.client.oidc import Client, Proof, TokenSet, endpoint
from workspace_authz.errors import ConfigurationError

_PATH: Final = "/callback"
_SECONDS: Final = 300.0
_POLL_SECONDS: Final = 0.05
_DONE: Final = b"You are logged in. You can close this page."
_FAILED: Final = b"This is not the end of a login that was begun here."


def log_in_by_browser(
    client: Client,
    endpoints: Mapping[str, str],
    *,
    tell: Callable[[str], None],
    port: int = 0,
    open_page: Callable[[str], object] = webbrowser.open,
    seconds: float = _SECONDS,
) -> TokenSet:
    """Open the provider's page in a browser, and wait for its answer on ``port`` (0: any that is free).

    Raises :class:`ConfigurationError` where it is refused, or not done within ``seconds``.
    """
    authorize = endpoint(endpoints, "authorization_endpoint", issuer=client.issuer)
    token_endpoint = endpoint(endpoints, "token_endpoint", issuer=client.issuer)
    proof, answers = Proof(), SimpleQueue[Mapping[str, str]]()
    with _listening(port, state=proof.state, answers=answers) as listener:
        back = f"http://127.0.0.1:{listener.server_port}{_PATH}"
        page = (
            f"{authorize}{'&' if '?' in authorize else '?'}{urlencode(_question(client, proof, back=back))}"
        )
        tell(f"Log in in your browser; if none opens, open {page}")
        thread = threading.Thread(target=listener.serve_forever, args=(_POLL_SECONDS,), daemon=True)
        thread.start()
        try:
            open_page(page)
            answer = answers.get(timeout=seconds)
        except Empty:
            raise ConfigurationError(
                "Nobody logged in in time; `--device` needs no browser on this machine."
            ) from None
        finally:
            listener.shutdown()
            thread.join()
    code = _code(client, answer)
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": back,
        "code_verifier": proof.verifier,
    }
    return client.accepted(client.token(token_endpoint, form), nonce=proof.nonce)


def _question(client: Client, proof: Proof, *, back: str) -> dict[str, str]:
    return {
        "response_type": "code",
        "client_id": client.client_id,
        "redirect_uri": back,
        "scope": client.scope,
        "state": proof.state,
        "nonce": proof.nonce,
        **proof.challenged,
    }


def _code(client: Client, answer: Mapping[str, str]) -> str:
    if answer.get("iss", client.issuer) != client.issuer:  # RFC 9207
        raise ConfigurationError(f"The answer to the login came from another provider than {client.issuer}.")
    if "code" not in answer:
        raise ConfigurationError(
            f"{client.issuer} refused the login: {answer.get('error', 'without a reason')[:100]}."
        )
    return answer["code"]


def _listening(port: int, *, state: str, answers: SimpleQueue[Mapping[str, str]]) -> HTTPServer:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            given = {name: values[0] for name, values in parse_qs(address.query).items() if len(values) == 1}
            # Another page may call this address, so what has not our state ends nothing.
            ours = address.path == _PATH and hmac.compare_digest(
                given.get("state", "").encode(), state.encode()
            )
            text = _DONE if ours and "code" in given else _FAILED
            self.send_response(200 if ours else 400)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(text)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(text)
            if ours:
                answers.put(given)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the address holds the code."""

    try:
        return HTTPServer(("127.0.0.1", port), Handler)
    except OSError as error:
        raise ConfigurationError(f"Port {port} of this machine cannot be used: {error.strerror}.") from error
