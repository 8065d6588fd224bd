"""Questions to a trace: patterns made of conditions, each of which says why it does not hold."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from weaver_ai.spans.tree import Forest

__all__ = ["Condition", "Either", "Never", "SpanPattern", "Verdict", "find"]

__tracebackhide__ = True  # a failure shows the line that asked, and the user's own predicates


class Condition(ABC):
    """One thing that a span must be: `label` says where it looks, `expected` what it wants to see there."""

    __slots__ = ("expected", "label")

    def __init__(self, label: str, expected: str) -> None:
        self.label: str = label
        self.expected: str = expected

    @abstractmethod
    def holds(self, position: int, forest: Forest) -> bool: ...

    @abstractmethod
    def was(self, position: int, forest: Forest) -> str:
        """What there is instead, or nevertheless."""

    def apart(self, position: int, forest: Forest) -> tuple[str, str]:
        """What there is, and where inside of it that isn't as expected: empty where one sees it."""
        return self.was(position, forest), ""

    def in_full(self, position: int, forest: Forest) -> tuple[str, str]:
        """What is expected and what there is, with nothing left out."""
        return self.expected, self.was(position, forest)

    def asked(self) -> str:
        """The argument that made this condition."""
        return f"{self.label}={self.expected}"

    def candidates(self, forest: Forest) -> Sequence[int] | None:
        """Positions in order, among them all that can match; None where no index helps."""
        return None

    @property
    def attributes(self) -> Sequence[str]:
        """The attributes that it looks at."""
        return ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one condition says of one span."""

    condition: Condition
    matched: bool
    position: int
    forest: Forest

    @property
    def label(self) -> str:
        return self.condition.label

    @property
    def expected(self) -> str:
        return self.condition.expected

    @property
    def actual(self) -> str:
        return self.condition.was(self.position, self.forest)

    @property
    def apart(self) -> tuple[str, str]:
        return self.condition.apart(self.position, self.forest)

    @property
    def in_full(self) -> tuple[str, str]:
        return self.condition.in_full(self.position, self.forest)


@final
class SpanPattern:
    """A span to look for: every condition holds. Patterns combine with `&`, `|` and `~`."""

    __slots__ = ("conditions",)

    def __init__(self, conditions: Sequence[Condition]) -> None:
        self.conditions: tuple[Condition, ...] = tuple(conditions)

    def __and__(self, other: SpanPattern) -> SpanPattern:
        return SpanPattern(self.conditions + other.conditions)

    def __or__(self, other: SpanPattern) -> SpanPattern:
        return SpanPattern([Either(self, other)])

    def __invert__(self) -> SpanPattern:
        return SpanPattern([Never(self)])

    def __repr__(self) -> str:
        return f"span({self.asked()})"

    def asked(self) -> str:
        """The arguments that made this pattern."""
        names = [condition.asked() for condition in self.conditions if condition.label == "name"]
        values = [condition.asked() for condition in self.conditions if condition.label in condition.attributes]
        others = [
            condition.asked()
            for condition in self.conditions
            if condition.label != "name" and condition.label not in condition.attributes
        ]
        mapping = [("" if names else "attributes=") + "{" + ", ".join(values) + "}"] if values else []
        return ", ".join(part for part in (*names, *mapping, *others) if part)

    def check(self, position: int, forest: Forest) -> tuple[Verdict, ...]:
        """Every condition's verdict, in the order of the question."""
        return tuple(
            Verdict(condition, condition.holds(position, forest), position, forest) for condition in self.conditions
        )

    def matches(self, position: int, forest: Forest) -> bool:
        return all(condition.holds(position, forest) for condition in self.conditions)

    def candidates(self, forest: Forest) -> Sequence[int] | None:
        """The shortest list that an index gives for one of the conditions."""
        lists = [found for condition in self.conditions if (found := condition.candidates(forest)) is not None]
        return min(lists, key=len, default=None)

    @property
    def attributes(self) -> Sequence[str]:
        """The attributes that it looks at."""
        return tuple(dict.fromkeys(name for condition in self.conditions for name in condition.attributes))


@final
class Either(Condition):
    """One of the patterns matches."""

    __slots__ = ("options",)

    def __init__(self, *options: SpanPattern) -> None:
        super().__init__("either", " | ".join(map(repr, options)))
        self.options: tuple[SpanPattern, ...] = options

    def asked(self) -> str:
        return self.expected

    def holds(self, position: int, forest: Forest) -> bool:
        return any(option.matches(position, forest) for option in self.options)

    def was(self, position: int, forest: Forest) -> str:
        lacking = [[v for v in option.check(position, forest) if not v.matched] for option in self.options]
        return "; ".join(f"{verdict.label} {verdict.actual}" for verdict in min(lacking, key=len)) or "one of them"

    def candidates(self, forest: Forest) -> Sequence[int] | None:
        found: set[int] = set()
        for option in self.options:
            positions = option.candidates(forest)
            if positions is None:
                return None
            found.update(positions)
        return sorted(found)

    @property
    def attributes(self) -> Sequence[str]:
        return tuple(name for option in self.options for name in option.attributes)


@final
class Never(Condition):
    """The pattern does not match."""

    __slots__ = ("pattern",)

    def __init__(self, pattern: SpanPattern) -> None:
        super().__init__("not", f"~{pattern!r}")
        self.pattern: SpanPattern = pattern

    def asked(self) -> str:
        return self.expected

    def holds(self, position: int, forest: Forest) -> bool:
        return not self.pattern.matches(position, forest)

    def was(self, position: int, forest: Forest) -> str:
        return "; ".join(f"{verdict.label} {verdict.actual}" for verdict in self.pattern.check(position, forest))

    @property
    def attributes(self) -> Sequence[str]:
        return self.pattern.attributes


def find(pattern: SpanPattern | None, forest: Forest, domain: Sequence[int] | None = None) -> list[int]:
    """The positions that match, in order; of `domain` (in order) where one is given, else of the whole forest.

    An index is used where a condition has one, so a question by name or by an attribute's value costs
    in proportion to the spans with that name or value, not to all of them.
    """
    if pattern is None:
        return list(range(len(forest)) if domain is None else domain)
    candidates = pattern.candidates(forest)
    if candidates is None:
        candidates = range(len(forest)) if domain is None else domain
    elif domain is not None:
        if len(domain) <= len(candidates):
            narrow = set(candidates)
            candidates = [position for position in domain if position in narrow]
        else:
            places = {position: place for place, position in enumerate(domain)}
            candidates = sorted((each for each in candidates if each in places), key=places.__getitem__)
    return [position for position in candidates if pattern.matches(position, forest)]
