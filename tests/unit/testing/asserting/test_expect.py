import pytest

from tests.unit.spans.building import drawn, make
from tests.unit.spans.refund import refund
from tests.unit.testing.asserting.recorder import Recorder
from weaver_ai.spans import Status
from weaver_ai.testing import ExpectationFailed, Spans, SpanView, any_order, contains, span, tree

OTHER = "f" * 32


@pytest.fixture
def desk():
    return Spans(Recorder(refund()))


def names(spans):
    return [span.name for span in spans]


def test_the_contract_of_the_design():
    spans = Spans(
        Recorder(
            [
                make("workflow support", 1, duration=41),
                make("invoke_agent classifier", 2, 1, start=1, attributes={"gen_ai.operation.name": "invoke_agent"}),
                make(
                    "chat gpt-5",
                    3,
                    2,
                    start=2,
                    attributes={"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 3},
                ),
                make("invoke_agent billing", 4, 1, start=5, attributes={"gen_ai.operation.name": "invoke_agent"}),
                make("chat gpt-5", 5, 4, start=6, attributes={"gen_ai.operation.name": "chat"}),
                make(
                    "execute_tool refund",
                    6,
                    4,
                    start=7,
                    attributes={
                        "gen_ai.operation.name": "execute_tool",
                        "gen_ai.tool.name": "refund",
                        "gen_ai.tool.call.arguments": '{"order":7}',
                    },
                ),
                make("chat gpt-5", 7, 4, start=8, attributes={"gen_ai.operation.name": "chat"}),
            ]
        )
    )

    run = spans.one("workflow support")  # 0 or 2+ fails, and explains
    run.expect(
        tree(
            "workflow support",
            span("invoke_agent classifier", {"gen_ai.operation.name": "invoke_agent"}),
            tree(
                "invoke_agent billing",
                "chat *",
                span("execute_tool refund", {"gen_ai.tool.call.arguments": contains({"order": 7})}),
                "chat *",
            ),
        )
    )
    assert run.tools == ["refund"]
    assert run.usage.total_tokens > 0
    assert run.cost >= 0
    assert [s.name for s in run.children][0] == "invoke_agent classifier"  # noqa: RUF015 # as the design writes it
    spans.none(status="error")
    spans.in_order("invoke_agent classifier", "invoke_agent billing")


def test_one(desk):
    assert desk.one("workflow support").name == "workflow support"
    for question in ({"name": "nothing"}, {"name": "chat *"}):
        with pytest.raises(ExpectationFailed):
            desk.one(**question)


def test_first_some_all_none_count(desk):
    chats = desk.all("chat *")
    assert names(chats) == ["chat gpt-5"] * 3
    assert desk.first("chat *") == chats[0]
    assert desk.some("chat *") == chats
    assert desk.count("chat *") == 3
    assert desk.all("nothing") == []
    assert desk.count("nothing") == 0
    assert desk.none("nothing") is None
    for fails in (lambda: desk.first("nothing"), lambda: desk.some("nothing"), lambda: desk.none("chat *")):
        with pytest.raises(ExpectationFailed):
            fails()


def test_without_a_question_a_verb_means_every_span(desk):
    assert desk.count() == len(desk) == 7
    assert desk.first() == desk[0]
    assert desk.all() == list(desk)
    assert (desk[-1], desk[1:3], desk[9:]) == (desk.all()[-1], desk.all()[1:3], [])
    with pytest.raises(IndexError, match=r"^there is no spans\[7\]: spans has 7 spans$"):
        desk[7]
    Spans(Recorder()).none()
    with pytest.raises(ExpectationFailed):
        desk.none()


def test_in_order_takes_for_each_the_earliest_after_the_one_before(desk):
    found = desk.in_order("invoke_agent *", "chat *", span("chat *", open=True))
    assert [span.sequence for span in found] == [2, 3, 7]
    for names_ in (("chat *",) * 4, ("invoke_agent billing", "invoke_agent classifier"), ("nothing",)):
        with pytest.raises(ExpectationFailed):
            desk.in_order(*names_)


def test_order_is_the_start_then_the_sequence():
    spans = Spans(Recorder([make("b", 1, sequence=2), make("a", 2, sequence=1), make("c", 3, start=-1)]))
    assert names(spans) == ["c", "a", "b"]
    spans.in_order("a", "b")


def test_what_is_around_a_span(desk):
    run, tool = desk.one("workflow support"), desk.one("execute_tool refund")
    assert names(run.children) == ["invoke_agent classifier", "invoke_agent billing"]
    assert names(run.descendants) == names(desk)[1:]
    assert names(tool.ancestors) == ["invoke_agent billing", "workflow support"]
    assert tool.parent == run.children[1]
    assert run.parent is None
    assert tool.trace.roots == [run]
    assert run in tool.ancestors
    assert tool not in run.children
    assert run.children.one("* billing").children.count("chat *") == 2
    assert tool.ancestors.first().name == "invoke_agent billing"
    assert run.trace.count("chat *") == 3
    run.children.none("chat *")


def test_a_view_has_the_fields_of_its_span(desk):
    tool = desk.one("execute_tool refund")
    assert tool.span is desk._look().forest.spans[5]
    for field in ("name", "trace_id", "span_id", "parent_id", "kind", "start", "end", "duration", "is_open", "status"):
        assert getattr(tool, field) == getattr(tool.span, field)
    assert tool.attributes == tool.span.attributes
    for field in ("events", "links", "scope", "resource", "sequence"):
        assert getattr(tool, field) is getattr(tool.span, field)
    assert tool.status == Status("error", "card declined")


def test_views_of_one_span_are_equal_and_hash_so(desk):
    assert desk.one("workflow support") == desk.first()
    assert len({desk.one("workflow support"), desk.first(), desk[1]}) == 2
    assert desk[0] != desk[1]
    assert desk[0] != "workflow support"


def test_a_trace_is_apart_from_others():
    spans = Spans(Recorder([make("a", 1), make("b", 2, trace=OTHER), make("c", 3, 1)]))
    assert names(spans.one("a").trace) == ["a", "c"]
    assert spans.one("b").trace.trace_id == OTHER
    spans.one("b").trace.none("a")


def test_expect_takes_a_name_a_pattern_or_a_tree(desk):
    run = desk.one("workflow support")
    run.expect("workflow *")
    run.expect(span(kind="server"))
    run.expect(tree("workflow support", any_order("* billing", "* classifier")))
    for wrong in (
        "workflow",
        span(kind="client"),
        tree("workflow support"),
        tree("workflow support", "* billing", ...),
    ):
        with pytest.raises(ExpectationFailed):
            run.expect(wrong)


def test_repr_is_short_and_telling(desk):
    assert repr(desk) == (
        "<spans: 7 'workflow support', 'invoke_agent classifier', 'chat gpt-5', 'invoke_agent billing', ...>"
    )
    assert (
        repr(desk[0].children) == "<'workflow support'.children: 2 'invoke_agent classifier', 'invoke_agent billing'>"
    )
    assert repr(desk[2].children) == "<'chat gpt-5'.children: 0>"
    assert repr(desk[5]) == "<span 'execute_tool refund' 3ms error>"
    assert repr(desk[6]) == "<span 'chat gpt-5' open>"


def test_the_indexes_are_built_once_for_what_does_not_change():
    recorder = Recorder(drawn("a\n  b"))
    spans = Spans(recorder)
    assert spans.count("a") == spans.count("b") == 1
    assert recorder.snapshots == 1
    recorder.end(recorder.begin("c"))
    assert spans.count("c") == 1
    assert recorder.snapshots == 2


def test_an_attribute_set_on_an_open_span_is_seen_at_once():
    recorder = Recorder()
    spans = Spans(recorder)
    number = recorder.begin("a")
    spans.none("a", {"k": 1})
    recorder.spans[number - 1] = make("a", number, duration=None, attributes={"k": 1})
    assert isinstance(spans.one("a", {"k": 1}), SpanView)


def test_scope_narrows_to_what_began_inside():
    recorder = Recorder()
    spans = Spans(recorder)
    before = recorder.begin("before")
    with spans.scope() as act:
        inside = recorder.begin("inside", parent=before)
        recorder.end(before)
        assert names(act) == ["inside"]
        with act.scope() as inner:
            recorder.begin("innermost", parent=inside)
    recorder.begin("after")
    recorder.end(inside)
    assert names(act) == ["inside", "innermost"]
    assert names(inner) == ["innermost"]
    assert act.one("inside").parent == spans.one("before")
    assert not act.one("inside").is_open
    assert names(spans) == ["before", "inside", "innermost", "after"]


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (
            {"order.id": 7, "customer": "Ann"},
            "span 'a' has no attribute 'order_id'; did you mean 'order.id'? It has: 'order.id', 'customer'",
        ),
        ({"customer": "Ann"}, "span 'a' has no attribute 'order_id'; it has: 'customer'"),
        ({}, "span 'a' has no attribute 'order_id'; it has: none"),
    ],
)
def test_an_attribute_that_is_not_there_is_explained(attributes, message):
    found = Spans(Recorder([make("a", 1, attributes=attributes)])).one("a").attributes
    with pytest.raises(KeyError) as missing:
        found["order_id"]
    assert missing.value.args == (message,)
    assert found == attributes
    assert found.get("order_id") is None
    assert "order_id" not in found
