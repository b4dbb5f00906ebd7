"""Where people sign in: the file that the setting ``sign_in`` names, or the ``OIDC_*`` variables.

The names are those of kube-apiserver's structured authentication configuration
(``apiserver.config.k8s.io``, ``AuthenticationConfiguration``), so that an issuer's entry there can be
repeated here and the same RoleBindings match.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    SecretStr,
    Tag,
    ValidationError,
    field_validator,
)
from pydantic.alias_generators import to_camel

from workspace_authz.errors import ConfigurationError

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_DISCOVERY: Final = "/.well-known/openid-configuration"
_OAUTH_METADATA: Final = "/.well-known/oauth-authorization-server"
_SERVICE_ACCOUNT_CA: Final = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt"
FULL_SCOPE: Final = "user:full"
"""OpenShift's scope with which a token can do what its owner can."""


class _Part(BaseModel):
    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
    )


class Issuer(_Part):
    """An OpenID provider."""

    url: str
    """Equal to the ``iss`` of its tokens."""
    discovery_url: str | None = Field(default=None, alias="discoveryURL")
    """Where its configuration is; below ``url`` unless given."""
    certificate_authority: str | None = None
    """Certificates in PEM, or the path of a file with them; the system's unless given."""

    @field_validator("url", "discovery_url")
    @classmethod
    def _is_safe(cls, url: str | None) -> str | None:
        return url if url is None else safe_url(url)


class Client(_Part):
    """This server, as it is registered with a provider."""

    id: str = Field(min_length=1)
    secret: SecretStr | None = None
    """Without one, and without ``secret_file``, it is a public client."""
    secret_file: Path | None = None
    """Read whenever the secret is needed, so that it can be replaced."""
    scopes: tuple[str, ...] = ("openid", "profile", "email")


class OpenShiftClient(Client):
    """An ``OAuthClient``, or a service account with the scopes that it may have."""

    scopes: tuple[str, ...] = (FULL_SCOPE,)


class CommandLineClient(_Part):
    """The public client with which ``workspace-authz login`` logs people in. Everybody may know it."""

    id: str = Field(min_length=1)
    scopes: tuple[str, ...] = ("openid", "profile", "email")


class PrefixedClaim(_Part):
    """A claim that becomes a name in Kubernetes, with a prefix in front."""

    claim: str = Field(min_length=1)
    prefix: str


class UnprefixedClaim(_Part):
    """A claim that is taken as it is."""

    claim: str = Field(min_length=1)


class ClaimMappings(_Part):
    """How claims become a user."""

    username: PrefixedClaim
    groups: PrefixedClaim | None = None
    uid: UnprefixedClaim | None = None


class _Provider(_Part):
    """What all kinds of providers have."""

    name: str = Field(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")
    title: str = ""
    client: Client
    allowed_groups: tuple[str, ...] = ()
    """Who may sign in: members of one of these groups, without a prefix. Empty: everybody."""
    renew_seconds: float = Field(default=300.0, ge=1, le=86_400)
    """How often the provider is asked again, at least."""


class OidcConfiguration(_Provider):
    """A provider of OpenID Connect."""

    kind: Literal["oidc"] = "oidc"
    issuer: Issuer
    claim_mappings: ClaimMappings
    trusted_by_api_server: bool = Field(default=False, alias="trustedByAPIServer")
    """Whether the API server accepts ID tokens of this client: then they are the callers' tokens."""
    command_line: CommandLineClient | None = None
    """Told to clients on the command line, whose ID tokens are accepted as bearer tokens: by the API server
    where it trusts the provider, otherwise by this server, which then reviews by name."""

    @property
    def metadata_url(self) -> str:
        """Where the provider says what its endpoints are (OpenID Connect Discovery 1.0, section 4)."""
        return self.issuer.discovery_url or self.issuer.url.rstrip("/") + _DISCOVERY

    @property
    def authority(self) -> str | None:
        """Who vouches for its certificate: PEM, or a file; None for the system's authorities."""
        return self.issuer.certificate_authority


class OpenShiftConfiguration(_Provider):
    """The OAuth server of an OpenShift cluster."""

    kind: Literal["openshift"]
    client: OpenShiftClient
    api_server: str = "https://kubernetes.default.svc"
    """The URL of the cluster's API server, which names the OAuth server."""
    certificate_authority: str | None = _SERVICE_ACCOUNT_CA
    """Of the API server and of the OAuth server's route: in PEM, or the path of a file."""

    @field_validator("api_server")
    @classmethod
    def _is_safe(cls, url: str) -> str:
        return safe_url(url).rstrip("/")

    @property
    def metadata_url(self) -> str:
        """Where the cluster says what the endpoints of its OAuth server are."""
        return self.api_server + _OAUTH_METADATA

    @property
    def authority(self) -> str | None:
        """As for OpenID Connect."""
        return self.certificate_authority

    @property
    def trusted_by_api_server(self) -> bool:
        """Whether the tokens are full ones, with which their owners' rights can be reviewed."""
        return FULL_SCOPE in self.client.scopes


def _kind(provider: Any) -> str:
    return str(provider.get("kind", "oidc") if isinstance(provider, dict) else provider.kind)


ProviderConfiguration: TypeAlias = Annotated[
    Annotated[OidcConfiguration, Tag("oidc")] | Annotated[OpenShiftConfiguration, Tag("openshift")],
    Discriminator(_kind),
]
"""OpenID Connect unless the field ``kind`` says otherwise."""


class SignInConfiguration(_Part):
    """All ways to sign in."""

    providers: tuple[ProviderConfiguration, ...] = ()
    tokens: bool = True
    """Whether a token can be pasted."""

    @field_validator("providers")
    @classmethod
    def _have_different_names(
        cls, providers: tuple[ProviderConfiguration, ...]
    ) -> tuple[ProviderConfiguration, ...]:
        if len({provider.name for provider in providers}) < len(providers):
            raise ValueError("two providers have the same name")
        issuers = [
            each.issuer.url for each in providers if isinstance(each, OidcConfiguration) and each.command_line
        ]
        if len(set(issuers)) < len(issuers):
            raise ValueError("two providers with a commandLine have the same issuer")
        return providers


def read_sign_in(file: str | None, environ: Mapping[str, str]) -> SignInConfiguration:
    """The configuration in ``file``; without one, of the ``OIDC_*`` variables, if they are set.

    Blocks. Raises :class:`ConfigurationError`, which quotes no value.
    """
    if file is None:
        document: Any = _of_variables(environ)
        source = "The OIDC_* variables"
    else:
        source = f"The file {file}"
        try:
            document = yaml.safe_load(Path(file).read_text("utf-8"))
        except (OSError, ValueError, yaml.YAMLError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or "it is no YAML"
            raise ConfigurationError(
                f"{source} (WORKSPACE_AUTHZ_SIGN_IN) cannot be read: {reason}."
            ) from None
    try:
        return SignInConfiguration.model_validate({} if document is None else document)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ConfigurationError(f"{source} cannot be used: {place}: {first['msg']}.") from None


def safe_url(url: str) -> str:
    """``url``, to which secrets may be sent. Raises ``ValueError`` for plain HTTP, except to this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return url
    if parts.scheme == "http" and parts.hostname in _LOOPBACK:
        return url
    raise ValueError("it must be an https URL")


def _of_variables(environ: Mapping[str, str]) -> Mapping[str, Any]:
    """The configuration of mlflow-oidc-auth's variables, as far as they mean the same (mlflow-oidc-auth 11).

    Its ``OIDC_ADMIN_GROUP_NAME`` makes administrators; here members may sign in, and RBAC says the rest.
    """
    discovery = environ.get("OIDC_DISCOVERY_URL")
    if not discovery:
        return {}
    groups = [
        name.strip()
        for variable in ("OIDC_GROUP_NAME", "OIDC_ADMIN_GROUP_NAME")
        for name in environ.get(variable, "").split(",")
    ]
    return {
        "providers": [
            {
                "name": "oidc",
                "title": environ.get("OIDC_PROVIDER_DISPLAY_NAME", ""),
                "issuer": {"url": discovery.removesuffix(_DISCOVERY), "discoveryURL": discovery},
                "client": {
                    "id": environ.get("OIDC_CLIENT_ID", ""),
                    "secret": environ.get("OIDC_CLIENT_SECRET") or None,
                    "scopes": environ.get("OIDC_SCOPE", "openid,email,profile").replace(",", " ").split(),
                },
                "claimMappings": {
                    "username": {
                        "claim": environ.get("OIDC_USERNAME_FIELD", "email").split(",")[0],
                        "prefix": "",
                    },
                    "groups": {"claim": environ.get("OIDC_GROUPS_ATTRIBUTE", "groups"), "prefix": ""},
                },
                "allowedGroups": list(filter(None, groups)),
            }
        ]
    }
