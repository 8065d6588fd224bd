"""The `weaver` command."""


def main() -> int:
    raise NotImplementedError
