"""Which hosts a guarded test may reach."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import final

__all__ = ["AllowedHosts"]

_NAME = re.compile(r"[a-z0-9*?_-]+(?:\.[a-z0-9*?_-]+)*")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@final
class AllowedHosts:
    """Loopback, this machine's own name, and what is listed: names, `*` globs, addresses, networks (`10.0.0.0/8`).

    Raises:
        ValueError: an entry is none of these, a URL for instance.

    >>> hosts = AllowedHosts(["*.internal", "10.0.0.0/8"])
    >>> hosts.reach("db.internal"), hosts.reach("10.1.2.3"), hosts.reach("127.0.0.1"), hosts.reach("example.com")
    (True, True, True, False)
    """

    def __init__(self, listed: Iterable[str] = ()) -> None:
        self._names: list[str] = ["localhost", "*.localhost", "localhost.localdomain", "ip6-localhost"]
        self._own_name = socket.gethostname().lower()
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        self._learned: set[_Address] = set()
        for entry in listed:
            self._add(entry.strip().lower())

    def reach(self, host: str) -> bool:
        """Whether a connection to it may be made. Loopback is loopback by any of its spellings."""
        address = _address(host)
        if address is None:
            return self.name(host)
        if address.is_loopback or address.is_unspecified or address in self._learned:
            return True
        return any(address in network for network in self._networks)

    def name(self, host: str) -> bool:
        """Whether the name may be resolved; an address needs no resolving."""
        host = host.lower().rstrip(".")
        if not host or host == self._own_name or _address(host) is not None:
            return True
        return any(fnmatchcase(host, name) for name in self._names)

    def learn(self, host: str, addresses: Iterable[str]) -> None:
        """What an allowed name was resolved to may be reached."""
        if _address(host) is None and self.name(host):
            self._learned.update(address for text in addresses if (address := _address(text)) is not None)

    def _add(self, entry: str) -> None:
        try:
            self._networks.append(ipaddress.ip_network(entry, strict=False))
        except ValueError:
            if not _NAME.fullmatch(entry):
                raise ValueError(f"{entry!r} is no host name, address or network") from None
            self._names.append(entry)


def _address(host: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped if isinstance(mapped, ipaddress.IPv4Address) else address
