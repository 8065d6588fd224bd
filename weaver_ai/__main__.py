"""`python -m weaver_ai` is the `weaver` command."""

from weaver_ai.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
