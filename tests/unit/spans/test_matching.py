from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from weaver_ai.spans.matching import assign

RIGHT = 5
graphs = st.lists(st.lists(st.integers(0, RIGHT - 1), unique=True, max_size=RIGHT), max_size=5)


def best(edges):
    """The size of a maximum matching, by trying everything."""
    numbers = [*range(RIGHT), *[None] * len(edges)]
    return max(
        sum(other is not None for other in choice)
        for choice in permutations(numbers, len(edges))
        if all(other is None or other in edges[one] for one, other in enumerate(choice))
    )


@given(graphs)
def test_it_is_a_matching_and_none_is_larger(edges):
    pairs = assign(edges, RIGHT)
    taken = [other for other in pairs if other is not None]
    assert len(taken) == len(set(taken))
    assert all(other is None or other in edges[one] for one, other in enumerate(pairs))
    assert len(taken) == best(edges)


@given(graphs, st.integers(0, RIGHT))
def test_it_covers_the_required_and_all_of_the_left_where_one_matching_does(edges, required):
    def possible():
        for choice in permutations(range(RIGHT), len(edges)):
            if all(other in edges[one] for one, other in enumerate(choice)) and set(range(required)) <= set(choice):
                return True
        return False

    pairs = assign(edges, RIGHT, required=required)
    covers = None not in pairs and set(range(required)) <= set(pairs)
    assert covers is (len(edges) <= RIGHT and possible())


def test_a_long_chain_of_displacements_needs_no_deep_stack():
    size = 3000
    edges = [[number, number + 1] for number in range(size)]
    edges.append([0])
    assert None not in assign(edges, size + 1)
