"""What a browser does with cookies, and nothing else that it does: requests are as a test spells them."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import SimpleCookie

from tests.harness.http import Answer, Headers, Http
from tests.harness.server import WORKSPACE


@dataclass(slots=True)
class Visitor:
    """Somebody's requests to one server. Cookies are kept, whatever their path."""

    url: str
    tls: ssl.SSLContext | None = None
    cookies: dict[str, str] = field(default_factory=dict, repr=False)
    """By name. A test may change them."""
    _http: Http = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._http = Http(self.url, tls=self.tls)

    def ask(
        self,
        method: str,
        path: str,
        *,
        workspace: str | None = None,
        headers: Headers = (),
        json_body: object = None,
        body: bytes | None = None,
    ) -> Answer:
        """One request with the cookies; ``path`` may be a whole address of the server."""
        given = list(headers.items() if isinstance(headers, Mapping) else headers)
        if self.cookies:
            given.append(("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items())))
        if workspace is not None:
            given.append((WORKSPACE, workspace))
        if json_body is not None:
            body = json.dumps(json_body).encode()
            given.append(("Content-Type", "application/json"))
        answer = self._http.request(method, path.removeprefix(self.url), headers=given, body=body)
        for header in answer.header("set-cookie"):
            for name, morsel in SimpleCookie(header).items():
                if morsel["max-age"] == "0":
                    self.cookies.pop(name, None)
                else:
                    self.cookies[name] = morsel.value
        return answer

    def close(self) -> None:
        """Close the connection."""
        self._http.close()


def target(answer: Answer) -> str:
    """Where a redirect leads. Raises ``AssertionError`` when it is none."""
    assert answer.status in (302, 303, 307), f"{answer.status} {answer.text}"
    (location,) = answer.header("location")
    return location
