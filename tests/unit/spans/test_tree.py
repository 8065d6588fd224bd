from tests.unit.spans.building import TRACE, forest, make
from weaver_ai.spans.tree import Forest

OTHER = "f" * 32


def names(forest, positions):
    return [forest.spans[position].name for position in positions]


def test_spans_stand_in_the_order_of_start_then_sequence():
    spans = [make("c", 3, start=2), make("b", 2, start=1, sequence=9), make("a", 1, start=1, sequence=4)]
    assert [span.name for span in Forest(spans).spans] == ["a", "b", "c"]


def test_children_descendants_and_ancestors():
    tree = forest("""
        root
          a
            a1
              a11
            a2
          b
    """)
    assert names(tree, tree.children(0)) == ["a", "b"]
    assert names(tree, tree.descendants(0)) == ["a", "a1", "a11", "a2", "b"]
    assert names(tree, tree.ancestors(3)) == ["a1", "a", "root"]
    assert list(tree.ancestors(0)) == []
    assert tree.children(3) == ()


def test_an_orphan_is_a_root_and_says_so():
    tree = Forest([make("root", 1), make("orphan", 2, parent=99), make("below", 3, parent=2, start=1)])
    assert names(tree, tree.roots) == ["root", "orphan"]
    assert [tree.is_orphan(position) for position in range(3)] == [False, True, False]
    assert tree.parent(1) is None


def test_a_parent_is_looked_for_in_its_own_trace():
    tree = Forest([make("root", 1), make("stranger", 2, parent=1, trace=OTHER)])
    assert tree.is_orphan(1)
    assert tree.traces == {TRACE: [0], OTHER: [1]}


def test_a_span_that_came_open_and_ended_is_kept_as_it_ended():
    opened, ended = make("s", 1, duration=None), make("s", 1, duration=5)
    assert Forest([opened, ended]).spans == (ended,)
    assert Forest([ended, opened]).spans == (ended,)


def test_parents_in_a_circle_are_cut_at_the_earliest_span():
    tree = Forest([make("a", 1, parent=2), make("b", 2, parent=1, start=1), make("self", 3, parent=3, start=2)])
    assert names(tree, tree.roots) == ["a", "self"]
    assert names(tree, tree.descendants(0)) == ["b"]
    assert list(tree.ancestors(1)) == [0]
    assert list(tree.descendants(2)) == []


def test_a_trace_may_be_deeper_than_the_interpreters_stack():
    depth = 20_000
    tree = Forest([make("s", number, number - 1 or None, start=number) for number in range(1, depth + 1)])
    assert sum(1 for _ in tree.descendants(0)) == depth - 1
    assert sum(1 for _ in tree.ancestors(depth - 1)) == depth - 1
    assert tree.roots == [0]


def test_indexes():
    tree = Forest(
        [
            make("x", 1, attributes={"k": 1}),
            make("y", 2, start=1, attributes={"k": "1"}),
            make("x", 3, start=2, attributes={"k": [1]}),
        ]
    )
    assert tree.names == {"x": [0, 2], "y": [1]}
    assert tree.having("k") == [0, 1, 2]
    assert (tree.valued("k", 1), tree.valued("k", "1"), tree.valued("k", 2)) == ([0], [1], ())
    assert tree.having("other") == []
