"""What stands behind the port: a fake or a real server, one session for each client."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Backend", "Client", "Session"]


class Client(Protocol):
    """Who is connected. Every member may be called from any thread."""

    def reply(self, reply: bytes) -> None:
        """Send one whole reply."""
        ...

    def is_gone(self) -> bool:
        """Whether it has closed its side."""
        ...

    def close(self) -> None:
        """Close the connection: the server wants it so."""
        ...


class Session(Protocol):
    """One client's connection. `run` is called from one thread at a time."""

    def run(self, command: list[bytes]) -> None:
        """Run a command; its reply goes to the session's `reply`, perhaps later. May block as the command does."""
        ...

    def run_script(self, command: list[bytes], refusal: str) -> None:
        """Run a script as `run` does, and refuse with these words what it writes."""
        ...

    def settle(self) -> None:
        """Return when every command so far has its reply."""
        ...

    def close(self) -> None:
        """The client has gone, or is to go."""
        ...


class Backend(Protocol):
    """A server."""

    def open(self, client: Client) -> Session:
        """A session for a client that has just connected."""
        ...

    def reset(self) -> None:
        """No keys, no scripts, no subscribers: as new."""
        ...

    def stop(self) -> None:
        """End what the backend started."""
        ...
