"""The real Keycloak as a process: a realm with clients, groups and people, and its administrator.

Skips the test (in CI fails it) when Keycloak is missing: ``scripts/keycloak`` fetches it.
"""

from __future__ import annotations

import json
import os
import secrets
import ssl
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from tests.harness.http import Answer, Http, bearer
from tests.harness.keycloak_realm import CLIENT, MEMBERS, PUBLIC_CLIENT, REALM, realm
from tests.harness.missing import missing
from tests.harness.plane import Object
from tests.harness.processes import Running, free_port, running
from workspace_authz.devplane.pki import create_pki

USER_PREFIX, GROUP_PREFIX = "oidc:", "oidc:"
"""What the API server puts before names of this issuer."""
_START_SECONDS: Final = 240.0
_ADMIN: Final = "administrator"
# Small, and quick to start rather than quick for long.
_JAVA: Final = "-Xms64m -Xmx400m -XX:MaxMetaspaceSize=256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1"


@dataclass(slots=True)
class Keycloak:
    """A Keycloak that runs."""

    url: str
    authority: Path
    """The certificate authority that vouches for it."""
    process: Running
    secret: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    """Of the confidential client."""
    passwords: Mapping[str, str] = field(
        default_factory=lambda: {name: secrets.token_hex(8) for name in MEMBERS}, repr=False
    )
    _http: Http = field(init=False, repr=False)
    _admin: dict[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self._http = Http(self.url, tls=ssl.create_default_context(cafile=self.authority))

    @property
    def issuer(self) -> str:
        """The realm's, as in its tokens."""
        return f"{self.url}/realms/{REALM}"

    @property
    def authentication_config(self) -> Object:
        """With which an API server trusts the realm."""
        return {
            "apiVersion": "apiserver.config.k8s.io/v1",
            "kind": "AuthenticationConfiguration",
            "jwt": [
                {
                    "issuer": {
                        "url": self.issuer,
                        "audiences": [CLIENT, PUBLIC_CLIENT],
                        "audienceMatchPolicy": "MatchAny",
                        "certificateAuthority": self.authority.read_text(),
                    },
                    "claimMappings": {
                        "username": {"claim": "preferred_username", "prefix": USER_PREFIX},
                        "groups": {"claim": "groups", "prefix": GROUP_PREFIX},
                    },
                }
            ],
        }

    def allow_redirects(self, *origins: str) -> None:
        """Let both clients return to these origins, after login and after logout."""
        for client in (CLIENT, PUBLIC_CLIENT):
            found = self._one("clients", clientId=client)
            redirects = sorted({*found["redirectUris"], *(f"{origin}/*" for origin in origins)})
            self.admin("PUT", f"clients/{found['id']}", {"redirectUris": redirects})

    def add_to_group(self, user: str, group: str) -> None:
        """Make somebody a member."""
        self.admin("PUT", self._membership(user, group), {})

    def remove_from_group(self, user: str, group: str) -> None:
        """The opposite."""
        self.admin("DELETE", self._membership(user, group))

    def sessions_of(self, user: str) -> int:
        """How many sessions somebody has at the provider."""
        return len(self.admin("GET", f"users/{self._id_of(user)}/sessions").json)

    def end_sessions(self, user: str) -> None:
        """Log somebody out everywhere: their refresh tokens end."""
        self.admin("POST", f"users/{self._id_of(user)}/logout")

    def enable(self, user: str, enabled: bool) -> None:
        """Let somebody log in, or no longer."""
        self.admin("PUT", f"users/{self._id_of(user)}", {"enabled": enabled})

    def rotate_keys(self) -> None:
        """Sign with a new key from now on. Tokens of the old one stay valid."""
        config = {"priority": [str(1000 + secrets.randbelow(10**6))], "algorithm": ["RS256"]}
        component = {
            "name": f"rotated-{secrets.token_hex(4)}",
            "providerId": "rsa-generated",
            "providerType": "org.keycloak.keys.KeyProvider",
            "config": config,
        }
        self.admin("POST", "components", component)

    def change_realm(self, **settings: object) -> None:
        """Change settings of the realm, for example ``accessTokenLifespan`` in seconds."""
        self.admin("PUT", "", settings)

    def tokens(self, user: str, *, scope: str = "openid") -> dict[str, Any]:
        """Somebody's tokens by their password, without a browser: the token endpoint's answer."""
        asked = {
            "grant_type": "password",
            "client_id": CLIENT,
            "client_secret": self.secret,
            "username": user,
            "password": self.passwords[user],
            "scope": scope,
        }
        answer = self._form(f"/realms/{REALM}/protocol/openid-connect/token", asked)
        assert answer.status == 200, answer.text
        granted: dict[str, Any] = answer.json
        return granted

    def id_token(self, user: str) -> str:
        """Somebody's ID token, in the same way."""
        return str(self.tokens(user)["id_token"])

    def admin(self, method: str, path: str, body: object = None) -> Answer:
        """One request to the realm's administration. Raises ``AssertionError`` when it is refused."""
        whole = f"/admin/realms/{REALM}/{path}".rstrip("/")
        answer = self._send(method, whole, body)
        assert answer.status < 300, f"{method} {whole}: {answer.status} {answer.text}"
        return answer

    def answers(self) -> bool:
        """Whether it has started."""
        with suppress(OSError):
            return self._http.request("GET", "/realms/master").status == 200
        return False

    def prepare(self, password: str) -> None:
        """Make the realm, as the administrator with this password."""
        asked = {
            "grant_type": "password",
            "client_id": "admin-cli",
            "username": _ADMIN,
            "password": password,
        }
        path = "/realms/master/protocol/openid-connect/token"
        self._admin = bearer(self._form(path, asked).json["access_token"])
        assert self._send("PUT", "/admin/realms/master", {"accessTokenLifespan": 36_000}).status == 204
        self._admin = bearer(self._form(path, asked).json["access_token"])  # one that lasts
        made = self._send("POST", "/admin/realms", realm(self.secret, self.passwords))
        assert made.status == 201, made.text

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _id_of(self, user: str) -> str:
        return str(self._one("users", username=user, exact="true")["id"])

    def _membership(self, user: str, group: str) -> str:
        return f"users/{self._id_of(user)}/groups/{self._one('groups', search=group, exact='true')['id']}"

    def _one(self, kind: str, **query: str) -> Object:
        """The only object of a kind that a query finds."""
        found: list[Object] = self.admin("GET", f"{kind}?{urlencode(query)}").json
        (only,) = found
        return only

    def _form(self, path: str, fields: Mapping[str, str]) -> Answer:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self._http.request("POST", path, headers=headers, body=urlencode(fields).encode())

    def _send(self, method: str, path: str, body: object = None) -> Answer:
        headers = {**self._admin, "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        return self._http.request(method, path, headers=headers, body=content)


@contextmanager
def running_keycloak(state: Path) -> Iterator[Keycloak]:
    """A Keycloak on loopback with its realm, for as long as the block lasts."""
    program = _folder() / "bin" / "kc.sh"
    state.mkdir(parents=True, exist_ok=True)
    pki, port, password = create_pki(state / "pki"), free_port(), secrets.token_hex(16)
    # Another host name than the MLflow servers' 127.0.0.1: another site for browsers, and no shared cookies.
    url = f"https://localhost:{port}"
    command: list[str | Path] = [
        *(program, "start", "--optimized", "--cache=local", "--http-host=127.0.0.1"),
        *(f"--https-port={port}", f"--hostname={url}"),
        *(f"--https-certificate-file={pki.serving_cert}", f"--https-certificate-key-file={pki.serving_key}"),
    ]
    environment = {
        "JAVA_OPTS": _JAVA,
        "KC_BOOTSTRAP_ADMIN_USERNAME": _ADMIN,
        "KC_BOOTSTRAP_ADMIN_PASSWORD": password,
        "QUARKUS_TRANSACTION_MANAGER_OBJECT_STORE_DIRECTORY": str(state / "transactions"),
    }
    with running(command, log=state / "keycloak.log", environment=environment) as process:
        keycloak = Keycloak(url, pki.ca_cert, process)
        with closing(keycloak):
            process.wait_until(keycloak.answers, seconds=_START_SECONDS)
            keycloak.prepare(password)
            yield keycloak


def _folder() -> Path:
    """Where Keycloak is. Skips the test, or in CI fails it, when it is nowhere."""
    found = os.environ.get("KEYCLOAK")
    return Path(found or missing("Keycloak is missing: KEYCLOAK=$(scripts/keycloak)"))
