"""The certificates that our HTTP clients trust, read once: reading them costs more than a request."""

import functools
import ssl

import httpx


@functools.cache
def trusted() -> ssl.SSLContext:
    """Return the context for `verify` of an httpx client: those of certifi, or of SSL_CERT_FILE where it is set."""
    return httpx.create_ssl_context()
