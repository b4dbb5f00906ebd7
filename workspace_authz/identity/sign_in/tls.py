"""How providers are verified. Apart from the HTTP client, which only a server has."""

from __future__ import annotations

import ssl


def provider_tls(certificate_authority: str | None) -> ssl.SSLContext:
    """How a provider is verified: by certificates in PEM, by a file with them, or by the system's.

    Blocks. Raises ``OSError`` or ``ValueError``.
    """
    if certificate_authority is None:
        return ssl.create_default_context()
    if "-----BEGIN " in certificate_authority:
        context = ssl.create_default_context(cadata=certificate_authority)
    else:
        context = ssl.create_default_context(cafile=certificate_authority)
    # Many companies' own CAs lack the extensions that Python 3.13's strict mode demands.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context
