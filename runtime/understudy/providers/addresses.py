"""Addresses, certificates and proxies: the one file that knows httpx."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from understudy.providers.network import Network
from understudy_protocols.errors import ConfigError

KEEP_ALIVE = 20.0
"""How long an idle connection is kept; seconds.  Servers often close theirs
sooner, and those are noticed."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def checked(base_url: str) -> str:
    """Return *base_url*.

    Raises:
      ConfigError: it is no address, or has a password in it.
    """
    try:
        url = httpx.URL(base_url)
        # A path is put behind it.
        bare = not url.query and not url.fragment
        usable = url.scheme in ("http", "https") and bool(url.host) and bare
    except httpx.InvalidURL:
        usable = False
    else:
        if url.userinfo:
            raise ConfigError(
                f"the address of {url.host} has a name or a password in it, which "
                "would be shown; leave it out, and give a key"
            )
    if not usable:
        raise ConfigError(
            f"{base_url!r} is no address; give one such as https://api.example.com/v1"
        )
    return base_url


def pool(base_url: str, network: Network) -> httpcore.AsyncConnectionPool:
    """Return a pool for the connections to *base_url*, which counts none of them."""
    url = httpx.URL(base_url)
    proxy = _proxy(url)
    secure = url.scheme == "https" or proxy is not None
    return httpcore.AsyncConnectionPool(
        # Made only where it is needed: it reads a file of 200 kB.
        ssl_context=httpx.create_ssl_context() if secure else None,
        proxy=proxy,
        max_connections=None,  # they are counted here
        keepalive_expiry=KEEP_ALIVE,
        network_backend=network,
    )


@lru_cache(maxsize=256)
def target(address: str) -> tuple[httpcore.URL, bytes]:
    """Return an address as the pool wants it, and the name of its host."""
    url = httpx.URL(address)
    wanted = httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
    )
    return wanted, url.netloc


def _proxy(url: httpx.URL) -> httpcore.Proxy | None:
    """Return the proxy that the environment names for *url*.

    Raises:
      ConfigError: it names none that can be used.
    """
    proxies = getproxies()
    address = proxies.get(url.scheme) or proxies.get("all")
    if not address or url.host in _LOOPBACK or proxy_bypass(url.netloc.decode()):
        return None
    if "://" not in address:
        address = f"http://{address}"
    try:
        proxy = httpx.Proxy(address)
    except (ValueError, httpx.InvalidURL):
        problem = "is no address of a proxy"
    else:
        if not proxy.url.scheme.startswith("socks") or find_spec("socksio"):
            return httpcore.Proxy(str(proxy.url), proxy.raw_auth, proxy.headers.raw)
        problem = "speaks SOCKS, which needs httpx[socks]"
    # Its address is not repeated: there may be a password in it.
    raise ConfigError(
        f"the proxy that the environment names for {url.host} {problem}; "
        "name another one, or put the host into no_proxy"
    )
