"""The `weaver` command: one module a verb, each imported whole only when it runs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from weaver_ai import __version__
from weaver_ai.cli.demo import add_to as add_demo
from weaver_ai.cli.doctor import add_to as add_doctor
from weaver_ai.cli.otel_variables import wrong_variable
from weaver_ai.cli.serve import add_to as add_serve
from weaver_ai.cli.tasks import add_to as add_tasks
from weaver_ai.cli.worker import add_to as add_worker
from weaver_ai.errors import WeaverError

__all__ = ["main"]

USAGE_ERROR = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code: 0, 1 when a check found something, 2 when it couldn't begin."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.verb is None:
        parser.print_help()
        return USAGE_ERROR
    try:
        return int(options.run(options))
    except WeaverError as error:
        hint = f" ({error.hint})" if error.hint else ""
        print(f"weaver: {error.message}{hint}", file=sys.stderr)
        return USAGE_ERROR
    except ValueError as error:
        if (line := wrong_variable(error, os.environ)) is None:
            raise
        print(f"weaver: {line}", file=sys.stderr)
        return USAGE_ERROR
    except KeyboardInterrupt:
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="weaver", description="Serve agents, traced. Settings come from WEAVER_* variables and .env."
    )
    parser.add_argument("--version", action="version", version=f"weaver {__version__}")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    add_serve(verbs)
    add_worker(verbs)
    add_tasks(verbs)
    add_doctor(verbs)
    add_demo(verbs)
    return parser
