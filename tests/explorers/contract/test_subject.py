"""Subjects and panes without a widget: what they compute, and what views are sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import ig_widgets as igw
from ig_widgets.engine.errors import ArgumentValueError
from ig_widgets.explorers.core.pane import Numbers, Pane
from ig_widgets.explorers.core.panes import Panes
from ig_widgets.explorers.core.settings import Settings
from tests.explorers.contract.toy import Function, ToySubject, WatchedFunction, point
from tests.explorers.front_end import View
from tests.explorers.subjects import LABELS, SECONDS

SETTINGS = Settings("zeros", 1, "logit", "riemann_middle", 8, 0.0)


def asked(**changes: Any) -> Settings:
    return Settings(**vars(SETTINGS) | changes)


# ---------------------------------------------------------------- a subject


@pytest.mark.parametrize("method", ["riemann_middle", "gausslegendre", "secant"])
@pytest.mark.parametrize("channel", ["sum", "first", "second"])
def test_maps_of_samples_weighed_by_a_rule_are_the_attribution(method: str, channel: str) -> None:
    model, at = Function(), point()
    subject = ToySubject(model, at)
    settings = asked(method=method, channel=channel, baseline="halves")
    samples = subject.samples(settings, None)
    nodes = subject.methods.nodes(method, settings.n_steps)
    list(samples.extend(nodes.alphas))
    maps = subject.maps(samples, samples.keys_of(nodes), settings)
    assert maps.shape == (8, *subject.map_shape)
    start = torch.full_like(at, 0.5)[None]
    exact = igw.attribute(model, at[None], baselines=start, target=1, method=method, n_steps=8).attributions
    expected = exact[0].numpy() * {"sum": [1, 1], "first": [1, 0], "second": [0, 1]}[channel]
    np.testing.assert_allclose(np.tensordot(nodes.weights, maps, 1), expected, rtol=1e-5, atol=1e-6)


def test_a_subject_says_what_its_files_and_displays_hold() -> None:
    subject, other = ToySubject(Function(), point()), ToySubject(Function(), point(1))
    assert subject.shape == subject.map_shape == (2,)
    assert subject.mismatch(subject.state()) == ""
    assert "the point was" in subject.mismatch(other.state())
    assert "no such" in subject.mismatch({})
    display = subject.display(SETTINGS)
    assert (display.size, [len(data) for data in display.buffers()]) == (2, [8])
    assert subject.coarsen(np.ones((3, 2))) is None
    assert subject.check_input("") == ""
    with pytest.raises(ArgumentValueError, match="there is one input alone, got 'left'"):
        subject.check_input("left")


def test_a_subject_refuses_more_samples_than_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ig_widgets.explorers.core.limits.MOST_VALUES", 7 * 2)
    model = WatchedFunction()
    subject = ToySubject(model, point())
    rows = model.rows
    with pytest.raises(ArgumentValueError, match="at most 7 would fit"):
        subject.samples(SETTINGS, None)
    assert model.rows == rows
    assert subject.samples(asked(n_steps=7), None)


# ---------------------------------------------------------------- panes


class Session:
    """Panes of one subject, and the views that look at them, which are sent nothing before `settle`."""

    def __init__(self, subject: ToySubject) -> None:
        self.subject = subject
        self.views: dict[str, View] = {}
        self.wire: deque[tuple[dict[str, Any], list[bytes]]] = deque()
        self.results: list[Pane] = []
        self.pauses = self.resumes = self.checks = 0
        self.numbers = Numbers()
        self.panes = Panes(self.make, on_pause=self.on_pause, on_resume=self.on_resume)

    def make(self, index: int, settings: Settings) -> Pane:
        return Pane(self.subject, self.send, self.numbers, on_result=self.results.append, check_model=self.check_model)

    def send(self, content: dict[str, Any], buffers: list[bytes]) -> None:
        self.wire.append((content, buffers))

    def settle(self) -> None:
        """Waits for the panes; what they say arrives, and what is said in reply, and so on."""
        self.panes.wait(SECONDS)
        while self.wire:
            content, buffers = self.wire.popleft()
            self.views[content["view"]].receive(content, buffers)

    def check_model(self) -> None:
        self.checks += 1

    def on_pause(self) -> None:
        self.pauses += 1

    def on_resume(self) -> None:
        self.resumes += 1

    def open(self, name: str, pane: int = 0) -> View:
        def say(content: dict[str, Any]) -> None:
            if content["type"] == "want":
                self.panes.connect(name, pane)
            else:
                self.panes.acknowledge(name, content["count"])

        self.views[name] = View(say, name, pane=pane)
        self.views[name].want()
        return self.views[name]


@pytest.fixture
def model() -> WatchedFunction:
    return WatchedFunction()


@pytest.fixture
def session(model: WatchedFunction) -> Iterator[Session]:
    made = Session(ToySubject(model, point(), LABELS))
    yield made
    model.release()
    made.panes.close()


def test_each_pane_answers_its_settings_and_is_streamed_to_its_views(session: Session) -> None:
    views = [session.open("one"), session.open("other", pane=1)]
    wanted = [SETTINGS, asked(method="secant", baseline="ones")]
    session.panes.submit(wanted)
    session.settle()
    assert [pane.answered for pane in session.panes] == wanted
    assert sorted(map(id, session.results)) == sorted(map(id, session.panes))
    assert session.checks == 2
    for view, pane in zip(views, session.panes, strict=True):
        assert view.begin is not None
        assert view.begin["settings"] == vars(pane.settings)
        assert (view.begin["target_name"], view.begin["output_name"]) == (LABELS[1], "logit")
        assert view.kinds[-1] == "done"
        assert pane.result is not None
        exact = pane.result.attributions[0].numpy()
        assert np.abs(view.collected(1.0) - exact).max() <= view.rounding(1.0) + 1e-6
    assert len({view.request for view in views} | {view.trace for view in views}) == 2


def test_what_is_answered_is_not_asked_again_and_what_is_not_wanted_is_closed(
    session: Session, model: WatchedFunction
) -> None:
    session.panes.submit([SETTINGS, asked(baseline="ones")])
    session.panes.wait(SECONDS)
    rows, requests = model.rows, [pane.request for pane in session.panes]
    session.panes.submit([SETTINGS, asked(baseline="ones")])
    session.panes.wait(SECONDS)
    assert ([pane.request for pane in session.panes], model.rows) == (requests, rows)
    session.panes.submit([asked(n_steps=4)])
    session.panes.wait(SECONDS)
    assert len(session.panes) == 1
    assert session.panes[0].result is not None
    assert session.panes[0].result.n_steps == 4


def test_with_the_last_view_goes_the_work_and_with_the_next_it_goes_on(
    session: Session, model: WatchedFunction
) -> None:
    session.open("one")
    session.open("other")
    model.block(after=1)
    session.panes.submit([asked(n_steps=64)])
    model.await_entry()
    session.panes.disconnect("one")
    assert session.pauses == 0
    session.panes.disconnect("nobody")
    assert session.pauses == 0
    session.panes.disconnect("other")
    assert session.pauses == 1
    model.release()
    session.panes[0].wait(SECONDS)
    assert session.panes[0].result is None or not session.panes[0].result.complete
    resumes = session.resumes
    view = session.open("a third")
    assert session.resumes == resumes + 1
    session.settle()
    assert session.panes[0].result is not None
    assert session.panes[0].result.complete
    assert view.ended is not None
    assert view.ended["type"] == "done"


def test_a_request_is_cancelled_by_its_number_and_a_wait_has_an_end(session: Session, model: WatchedFunction) -> None:
    model.block()
    session.panes.submit([asked(n_steps=64), asked(n_steps=32)])
    model.await_entry()
    with pytest.raises(TimeoutError, match=r"after 0\.01 seconds"):
        session.panes.wait(0.01)
    first, second = session.panes
    session.panes.cancel(second.request)
    session.panes.cancel(second.request + 1)
    model.release()
    session.panes.wait(SECONDS)
    assert first.result is not None
    assert first.result.complete
    assert second.result is None or not second.result.complete


def test_an_error_of_a_pane_is_raised_by_who_waits(session: Session, model: WatchedFunction) -> None:
    session.panes.submit([SETTINGS, asked(method="riemann_trapezoid", n_steps=1)])
    with pytest.raises(ArgumentValueError, match="riemann_trapezoid"):
        session.panes.wait(SECONDS)
    assert session.panes[0].error is None
    # The same settings are asked anew where they failed.
    request = session.panes[1].request
    session.panes.submit([SETTINGS, asked(method="riemann_trapezoid", n_steps=1)])
    assert session.panes[1].request > request


def test_samples_that_are_forgotten_are_sampled_anew(session: Session, model: WatchedFunction) -> None:
    session.panes.submit([SETTINGS])
    session.panes.wait(SECONDS)
    rows = model.rows_with_gradient
    session.panes.forget()
    session.panes.submit([asked(n_steps=24)])  # whose points are those of 8, and 16 more
    session.panes.wait(SECONDS)
    assert model.rows_with_gradient == rows + 24


def test_an_interrupt_of_who_waits_cancels(session: Session, model: WatchedFunction) -> None:
    model.block()
    session.panes.submit([asked(n_steps=64)])
    model.await_entry()
    with pytest.raises(KeyboardInterrupt), session.panes.watched():
        raise KeyboardInterrupt
    model.release()
    assert session.panes[0].wait(SECONDS)
    assert session.panes[0].result is None


def test_views_of_panes_that_cannot_be_are_not_kept(session: Session) -> None:
    session.views["lost"] = View(lambda content: None, "lost")
    session.panes.connect("lost", 4)
    assert not session.panes._waiting_views
    session.panes.submit([SETTINGS])
    session.settle()
    assert session.views["lost"].log == []
