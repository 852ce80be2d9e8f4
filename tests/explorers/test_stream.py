"""What each view is sent, and when: examples, and then every order of events that hypothesis can think of.

`View` (front_end.py) objects to whatever the protocol forbids; here is what has to hold beyond that.
"""

import itertools
from collections import deque

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from ig_widgets.engine import rules
from ig_widgets.explorers.core import protocol, stream
from ig_widgets.explorers.core.display import Display
from ig_widgets.explorers.core.maps import encode
from ig_widgets.explorers.core.sample_log import Pieces, SampleLog
from ig_widgets.explorers.core.settings import Settings
from ig_widgets.explorers.core.stream import Stream
from tests.explorers.front_end import AHEAD, ForbiddenMessageError, View
from tests.explorers.subjects import METHODS

HEIGHT, WIDTH = 2, 3
MAP_BYTES = HEIGHT * WIDTH * 2


def display(pixels):
    return Display("image", (HEIGHT, WIDTH), {"photo": pixels, "baseline": pixels})


def pieces(nodes):
    return Pieces(nodes.alphas.tolist(), nodes.edges)


class Kernel:
    """The stream, its views, and a path whose samples are drawn from alpha: the computing that feeds the stream."""

    def __init__(self):
        self.stream = Stream(self.send)
        self.views: dict[str, View] = {}
        self.sent = 0
        self.wire: deque[protocol.Message] = deque()
        self.delivering = False
        self.request = self.traces = 0
        self.records: dict[int, SampleLog] = {}
        self.record = self.nodes = self.ended = None
        self.evaluations = 0

    # -------------------------------------------------------- both ends of the wire

    def send(self, content, buffers):
        self.sent += 1
        assert content["view"] in self.views, "a message for a view that never was"
        self.wire.append((content, buffers))

    def deliver(self):
        """What is under way arrives, and what is said in reply, and so on."""
        if self.delivering:
            return
        self.delivering = True
        while self.wire:
            content, buffers = self.wire.popleft()
            self.views[content["view"]].receive(content, buffers)
        self.delivering = False

    def hear(self, content):
        message = protocol.parse(content)
        if isinstance(message, protocol.Want):
            self.stream.want(message.view)
        else:
            self.stream.ack(message.view, message.count)
        self.deliver()

    def view(self, name="a view", *, acknowledges=True, wants=True):
        view = self.views[name] = View(self.hear, name, acknowledges=acknowledges)
        if wants:
            view.want()
        return view

    # -------------------------------------------------------- computing

    def ask(self, method="riemann_middle", n_steps=4, trace=None):
        """A request, on a new path or on one that is known, begins."""
        self.request += 1
        if trace is None:
            self.traces += 1
            trace = self.traces
        record = self.records.setdefault(trace, SampleLog(trace, 0.5 * trace, 3.0 + trace))
        self.nodes, self.ended, self.evaluations = rules.nodes(method, n_steps), None, 0
        self.record = record
        pixels = np.full((HEIGHT, WIDTH, 3), trace % 256, np.uint8)
        wish = Settings(f"baseline {trace}", 0, "logit", method, n_steps, 0.0)
        begin = protocol.begin(trace, wish, len(self.missing), "logit", "class 0", display(pixels))
        self.stream.begin(self.request, begin)
        self.stream.publish(self.request, record, 0)
        self.deliver()
        return self

    @property
    def missing(self):
        known = set(self.record.alphas)
        return [alpha for alpha in self.nodes.alphas.tolist() if alpha not in known]

    def sample(self, count):
        """Evaluate the next `count` of what is missing."""
        alphas = np.array(self.missing[:count])
        maps = [draw_map(self.record.number, alpha) for alpha in alphas]
        density = np.array([values.sum() for values in maps])
        self.record.extend(alphas.tolist(), np.sin(alphas).tolist(), density.tolist(), [encode(m, "i2") for m in maps])
        self.evaluations += len(alphas)
        self.stream.publish(self.request, self.record, self.evaluations)
        self.deliver()
        return self

    def finish(self):
        if self.missing:
            self.sample(len(self.missing))
        self.stream.publish(self.request, self.record, self.evaluations, pieces(self.nodes), is_final=True)
        self.ended = protocol.done(self.evaluations, 0.1)
        self.stream.end(self.request, self.ended)
        self.deliver()
        return self

    def fail(self, kind="error"):
        self.ended = protocol.failed(kind, "The model broke.")
        self.stream.end(self.request, self.ended)
        self.deliver()
        return self

    def exact(self, alpha=1.0):
        """The map that the rule gives up to alpha."""
        total = np.zeros((HEIGHT, WIDTH))
        for at, start, stop in zip(self.nodes.alphas, self.nodes.edges[:-1], self.nodes.edges[1:], strict=True):
            total += (min(stop, alpha) - min(start, alpha)) * draw_map(self.record.number, at)
        return total


def draw_map(trace, alpha):
    return np.random.default_rng([trace, int(alpha * 2**40)]).normal(size=(HEIGHT, WIDTH))


def assert_complete(kernel, view):
    """The view's picture is that of the request, to the rounding of its maps."""
    assert view.request == kernel.request
    assert view.plan["final"] is True
    assert view.plan["evaluations"] == kernel.evaluations
    assert view.ended["type"] == "done"
    entries = view.plan["entries"]
    assert sum(entry[1] for entry in entries) == pytest.approx(1, abs=1e-12)
    assert [kernel.record.alphas[entry[0]] for entry in entries] == kernel.nodes.alphas.tolist()
    for _, weight, start, stop in entries:
        assert weight == pytest.approx(stop - start, abs=1e-15)
    assert [entry[1] for entry in entries] == pytest.approx(kernel.nodes.weights.tolist(), abs=1e-12)
    assert view.plan["sum"] == pytest.approx(kernel.exact().sum(), abs=1e-9)
    ends = kernel.record.output - kernel.record.baseline_output
    assert view.plan["delta"] == pytest.approx(kernel.exact().sum() - ends, abs=1e-9)
    for alpha in (0.0, 0.31, 0.5, 1.0):
        difference = np.abs(view.collected(alpha) - kernel.exact(alpha)).max()
        assert difference <= view.rounding(alpha) * (1 + 1e-9) + 1e-12


@pytest.fixture
def kernel(monkeypatch):
    monkeypatch.setattr(stream, "_BATCH_BYTES", 2 * MAP_BYTES)  # two maps a batch
    return Kernel()


# ---------------------------------------------------------------- examples


def test_nothing_is_sent_before_a_view_wants_it(kernel):
    kernel.ask().sample(3).finish()
    assert kernel.sent == 0
    kernel.view("silent", wants=False)
    kernel.ask().finish()
    assert kernel.sent == 0


def test_view_that_comes_before_the_first_request_waits_for_it(kernel):
    view = kernel.view()
    assert view.log == []
    kernel.ask().finish()
    assert_complete(kernel, view)


def test_each_block_is_followed_by_a_plan_over_what_is_there(kernel):
    view = kernel.view()
    kernel.ask(n_steps=8)
    assert view.kinds == ["begin"]
    kernel.sample(2)
    assert view.kinds == ["begin", "samples", "plan"]
    assert len(view.plan["entries"]) == 2
    assert view.plan["final"] is False
    kernel.sample(1)
    assert len(view.plan["entries"]) == 3
    kernel.finish()
    assert view.kinds[-2:] == ["plan", "done"]
    assert_complete(kernel, view)


def test_coarse_plan_weighs_each_sample_by_the_nearest_piece(kernel):
    view = kernel.view()
    kernel.ask("riemann_left", 8).sample(3)  # 0, 1/8, 2/8
    assert [tuple(e) for e in view.plan["entries"]] == [
        (0, 0.0625, 0.0, 0.0625),
        (1, 0.125, 0.0625, 0.1875),
        (2, 0.8125, 0.1875, 1.0),
    ]


def test_plan_tells_outputs_at_both_ends_and_at_each_sample(kernel):
    view = kernel.view()
    kernel.ask("riemann_middle", 4).finish()
    assert [point[0] for point in view.plan["outputs"]] == [0.0, 0.125, 0.375, 0.625, 0.875, 1.0]
    assert view.plan["outputs"][0][1] == kernel.record.baseline_output
    assert view.plan["outputs"][-1][1] == kernel.record.output
    assert [point[0] for point in view.plan["density"]] == [0.125, 0.375, 0.625, 0.875]


def test_late_view_is_given_everything(kernel):
    kernel.ask(n_steps=9).finish()
    assert_complete(kernel, kernel.view())


def test_each_batch_is_followed_by_its_plan(kernel):
    """A view that comes late draws what it has, and does not wait for the rest."""
    kernel.ask(n_steps=9).finish()
    kinds = kernel.view().kinds
    assert kinds.count("samples") == 5
    assert {after for before, after in itertools.pairwise(kinds) if before == "samples"} == {"plan"}


def test_late_view_is_given_what_there_is_in_the_middle(kernel):
    kernel.ask(n_steps=9).sample(4)
    view = kernel.view()
    assert len(view.maps) == 4
    kernel.finish()
    assert_complete(kernel, view)


def test_late_view_is_told_of_a_failure(kernel):
    kernel.ask().fail()
    view = kernel.view()
    assert view.kinds == ["begin", "failed"]


def test_view_that_starts_again_is_given_everything_again(kernel):
    view = kernel.view(acknowledges=False)
    kernel.ask(n_steps=9).finish()
    view.start_again()
    view.acknowledges = True
    view.want()
    assert_complete(kernel, view)


def test_same_trace_is_sent_no_sample_twice(kernel):
    view = kernel.view()
    kernel.ask("riemann_left", 8).finish()
    before = view.received
    kernel.ask("riemann_left", 4, trace=1).finish()  # View objects to an id that comes twice
    assert view.received == before
    assert kernel.evaluations == 0
    assert_complete(kernel, view)
    kernel.ask("riemann_right", 4, trace=1).finish()
    assert view.received == before + 1  # alpha = 1 alone is new
    assert_complete(kernel, view)


def test_new_request_on_the_same_trace_has_a_plan_at_once(kernel):
    """Of what the view has already: it may take long until there is more, or be cancelled before."""
    view = kernel.view()
    kernel.ask("riemann_left", 8).sample(3).fail("cancelled")
    kernel.ask("gausslegendre", 8, trace=1)
    assert view.plan["request"] == kernel.request
    assert len(view.plan["entries"]) == 3
    kernel.fail("cancelled")
    assert view.kinds[-3:] == ["begin", "plan", "failed"]


def test_new_trace_is_sent_from_its_first_sample(kernel):
    view = kernel.view()
    kernel.ask(n_steps=6).finish()
    kernel.ask(n_steps=3).finish()
    assert view.trace == 2
    assert sorted(view.maps) == [0, 1, 2]
    assert_complete(kernel, view)
    kernel.ask(n_steps=6, trace=1).finish()  # and back: the view has dropped it
    assert_complete(kernel, view)


def test_two_batches_ahead_and_no_further(kernel):
    view = kernel.view(acknowledges=False)
    kernel.ask(n_steps=9).finish()
    assert view.received == AHEAD
    assert len(view.maps) == 4
    assert view.ended is None  # done comes after all samples
    view.acknowledge(1)
    assert view.received == 3
    view.acknowledge(1)
    assert view.received == 3
    view.acknowledge(3)
    assert view.received == 5
    assert_complete(kernel, view)


def test_view_that_does_not_answer_is_sent_nothing_more(kernel):
    dead, live = kernel.view("dead", acknowledges=False), kernel.view("live")
    kernel.ask(n_steps=9).finish()
    said = len(dead.log)
    for _ in range(5):
        kernel.ask(n_steps=9).finish()
        kernel.ask().fail()
    kernel.ask().finish()
    assert len(dead.log) == said
    assert_complete(kernel, live)
    dead.acknowledges = True
    dead.acknowledge()  # it was asleep
    assert_complete(kernel, dead)


def test_view_that_was_asleep_through_other_paths_keeps_what_it_has(kernel):
    view = kernel.view(acknowledges=False)
    kernel.ask(n_steps=9).finish()
    kernel.ask(n_steps=9).finish()
    kernel.ask(n_steps=9, trace=1).finish()
    view.acknowledges = True
    view.acknowledge()
    assert view.received == 5  # 9 samples of the first path, two a batch
    assert_complete(kernel, view)


@pytest.mark.parametrize("kind", ["error", "cancelled"])
def test_failure_is_told_before_the_samples_that_a_view_lacks(kernel, kind):
    view = kernel.view(acknowledges=False)
    kernel.ask(n_steps=20).sample(9)
    kernel.fail(kind)
    assert view.ended is None  # two batches are on their way: it is not known to be alive
    view.acknowledge(1)
    assert view.ended["kind"] == kind
    assert len(view.maps) < 9


def test_failure_before_the_first_sample_is_told_at_once(kernel):
    view = kernel.view()
    kernel.ask().fail()
    assert view.kinds == ["begin", "failed"]


@pytest.mark.parametrize("count", [0, 1, 3, 100, 2**53 - 1])
def test_acknowledgement_that_cannot_be_is_not_believed(kernel, count):
    view = kernel.view(acknowledges=False)
    kernel.ask(n_steps=99).finish()
    view.acknowledge(2)
    said = len(view.log)
    assert view.received == 4
    kernel.stream.ack(view.name, count if count < 3 else count + 2)  # decreasing, or more than was ever sent
    assert len(view.log) == said


def test_acknowledgement_of_an_unknown_view_is_ignored(kernel):
    kernel.ask().finish()
    kernel.stream.ack("nobody", 1)
    kernel.stream.ack("nobody", 0)
    assert kernel.sent == 0


def test_what_an_old_request_still_says_is_dropped(kernel):
    view = kernel.view()
    kernel.ask(n_steps=3)
    old_record, old_nodes, old = kernel.record, kernel.nodes, kernel.request
    kernel.sample(3)
    kernel.ask(n_steps=5)
    said = len(view.log)
    kernel.stream.publish(old, old_record, 3)
    kernel.stream.publish(old, old_record, 3, pieces(old_nodes), is_final=True)
    kernel.stream.end(old, protocol.done(3, 0.1))
    kernel.stream.end(old, protocol.failed("error", "Old news."))
    assert len(view.log) == said
    kernel.finish()
    assert_complete(kernel, view)


def test_views_are_served_each_at_its_own_pace(kernel):
    slow, quick = kernel.view("slow", acknowledges=False), kernel.view("quick")
    kernel.ask(n_steps=20).finish()
    assert_complete(kernel, quick)
    assert slow.received == 2
    slow.acknowledge()
    assert slow.received == 4
    assert quick.kinds.count("done") == 1


def test_reference_front_end_would_notice():
    """It is the judge of this file: it has to object to a third batch, a repeated id, a plan of what it lacks."""
    sent = []
    view = View(lambda content: None, acknowledges=False)
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    one = encode(np.ones((HEIGHT, WIDTH)), "i2")

    def say(message):
        content, buffers = message
        sent.append(content["type"])
        view.receive({**content, "view": view.name, "request": 1}, buffers)

    wish = Settings("black", 0, "logit", "riemann_middle", 4, 0.0)
    say(protocol.begin(1, wish, 4, "logit", "class 0", display(pixels)))
    say(protocol.samples(1, 0, [one]))
    for wrong in (
        protocol.samples(1, 0, [one]),
        protocol.samples(2, 0, [one]),
        protocol.plan(1, [(1, 1.0, 0.0, 1.0)], [], [], 1.0, 0.0, 1, False),
        protocol.plan(1, [(0, 0.5, 0.0, 0.5)], [], [], 1.0, 0.0, 1, False),
        protocol.done(1, 0.1),
    ):
        with pytest.raises(ForbiddenMessageError):
            say(wrong)
    say(protocol.samples(1, 1, [one]))
    with pytest.raises(ForbiddenMessageError, match="under way"):
        say(protocol.samples(1, 2, [one]))


# ---------------------------------------------------------------- any order of events


class AnyOrder(RuleBasedStateMachine):
    """Requests, samples, failures, views that come, start again, sleep and lie, in any order."""

    names = Bundle("names")

    def __init__(self):
        super().__init__()
        self.batch_bytes = stream._BATCH_BYTES
        self.kernel = Kernel()

    @initialize(maps=st.integers(1, 3))
    def choose_size_of_batches(self, maps):
        stream._BATCH_BYTES = maps * MAP_BYTES

    def teardown(self):
        try:
            self.settle()
        finally:
            stream._BATCH_BYTES = self.batch_bytes

    def is_computing(self):
        return self.kernel.record is not None and self.kernel.ended is None

    def settle(self):
        """In the end each view that answers has the whole picture of the newest request."""
        if self.kernel.record is None:
            return
        if self.kernel.ended is None:
            self.kernel.finish()
        for view in self.kernel.views.values():
            view.acknowledges = True
            view.acknowledge()
            if self.kernel.ended[0]["type"] == "done":
                assert_complete(self.kernel, view)
            else:
                assert view.ended is not None
                assert view.ended["request"] == self.kernel.request

    @rule(method=st.sampled_from(METHODS), n_steps=st.integers(2, 9), known=st.none() | st.integers(1, 4))
    def ask(self, method, n_steps, known):
        trace = known if known in self.kernel.records else None
        self.kernel.ask(method, n_steps, trace)

    @precondition(lambda self: self.is_computing() and self.kernel.missing)
    @rule(count=st.integers(1, 5))
    def sample(self, count):
        self.kernel.sample(count)

    @precondition(is_computing)
    @rule()
    def finish(self):
        self.kernel.finish()

    @precondition(is_computing)
    @rule(kind=st.sampled_from(["error", "cancelled"]))
    def fail(self, kind):
        self.kernel.fail(kind)

    @precondition(lambda self: self.kernel.request > 1)
    @rule(behind=st.integers(1, 3))
    def old_news(self, behind):
        said = self.kernel.sent
        old = max(self.kernel.request - behind, 1)
        self.kernel.stream.publish(old, SampleLog(99, 0.0, 1.0), 1, pieces(rules.nodes("riemann_left", 1)))
        self.kernel.stream.end(old, protocol.failed("error", "Old news."))
        assert self.kernel.sent == said

    @rule(target=names, name=st.sampled_from(["a", "b", "c"]), acknowledges=st.booleans())
    def want(self, name, acknowledges):
        if name in self.kernel.views:
            self.kernel.views[name].start_again()
            self.kernel.views[name].acknowledges = acknowledges
            self.kernel.views[name].want()
        else:
            self.kernel.view(name, acknowledges=acknowledges)
        return name

    @rule(name=names, behind=st.integers(0, 1))
    def acknowledge(self, name, behind):
        view = self.kernel.views[name]
        count = view.received - behind
        if count > view.acknowledged:
            view.acknowledge(count)

    @rule(name=names | st.just("nobody"), more=st.integers(1, 3))
    def lie(self, name, more):
        said = self.kernel.sent
        view = self.kernel.views.get(name)
        self.kernel.stream.ack(name, (view.received if view else 0) + more)
        if view is not None:
            self.kernel.stream.ack(name, view.acknowledged)
            self.kernel.stream.ack(name, max(view.acknowledged - 1, 0))
        assert self.kernel.sent == said

    @invariant()
    def plans_cover_all_that_a_view_has_or_needs(self):
        for view in self.kernel.views.values():
            if view.plan is None or view.plan["final"]:
                continue
            # A coarse plan uses each sample that came before it, in the order of alpha.
            record = self.kernel.records[view.plan["trace"]]
            alphas = [record.alphas[entry[0]] for entry in view.plan["entries"]]
            assert all(a < b for a, b in itertools.pairwise(alphas))
            assert all(start <= a <= stop for a, (*_, start, stop) in zip(alphas, view.plan["entries"], strict=True))
            assert len(alphas) == len(view.maps)

    @invariant()
    def views_that_answer_are_up_to_date(self):
        if self.kernel.record is None:
            return
        for view in self.kernel.views.values():
            if view.received - view.acknowledged < AHEAD:
                assert view.request == self.kernel.request
                assert len(view.maps) == len(self.kernel.record.maps) or view.trace != self.kernel.record.number
                if self.kernel.ended is not None:
                    assert view.ended is not None


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=80, stateful_step_count=25)
