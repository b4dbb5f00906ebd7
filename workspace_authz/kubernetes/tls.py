"""TLS to an API server: how it is verified, and how we show a client certificate."""

from __future__ import annotations

import ssl
from contextlib import suppress

from workspace_authz.errors import ConfigurationError
from workspace_authz.kubernetes.configuration import ApiConfiguration
from workspace_authz.kubernetes.own_credential import ClientCertificate

_PEM = "-----BEGIN "


def tls_of(configuration: ApiConfiguration, certificate: ClientCertificate | None = None) -> ssl.SSLContext:
    """How to verify the API server and, with ``certificate``, how to show who we are.

    Blocks. Raises :class:`ConfigurationError` for certificates that cannot be used.
    """
    try:
        context = _verifying(configuration)
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or type(error).__name__
        raise ConfigurationError(
            f"The certificates of the Kubernetes configuration cannot be used: {reason}."
        ) from error
    if certificate is not None:
        certificate.load_into(context)
    if not configuration.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    # Many clusters' own CAs lack the extensions that Python 3.13's strict mode demands.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


def trust_again(context: ssl.SSLContext, configuration: ApiConfiguration) -> None:
    """Trust what the CA file holds by now, too: a cluster's CA is rotated while we run. Reads a file."""
    if configuration.ca_file and not configuration.ca_data:
        with suppress(OSError):
            context.load_verify_locations(cafile=configuration.ca_file)


def _verifying(configuration: ApiConfiguration) -> ssl.SSLContext:
    data = configuration.ca_data
    if data:
        # What stands before the first certificate is a remark.
        return ssl.create_default_context(cadata=data[data.index(_PEM) :])
    return ssl.create_default_context(cafile=configuration.ca_file)
