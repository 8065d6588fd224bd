"""docs/under-fault.md is made from the table that the tests here run."""

from __future__ import annotations

from docs.make_under_fault import PAGE, page
from tests.integration.under_fault.matrix import PROVIDERS
from weaver_ai.testing.faults import every, fault


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m docs.make_under_fault"


def test_the_table_has_every_fault_of_a_provider() -> None:
    assert set(every(fault.openai)) <= {case.fault(fault.openai) for case in PROVIDERS}
    assert set(every(fault.anthropic)) <= {case.fault(fault.anthropic) for case in PROVIDERS}
