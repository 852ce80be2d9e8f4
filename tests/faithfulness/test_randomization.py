"""The model randomisation check: what it draws, in which order, and what it leaves alone."""

import copy
import dataclasses
import threading

import pytest
import torch
from torch import nn

import ig_widgets as igw
from ig_widgets import errors
from ig_widgets.faithfulness import randomize_model
from tests.engine.subjects import draw


def network():
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(torch.Generator().manual_seed(7).get_state())
        model = nn.Sequential(
            nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, 8), nn.Tanh(), nn.Linear(8, 3)
        ).double().eval()  # fmt: skip
        model[1].weight.data, model[1].running_mean = torch.rand(2, 3).double()
        return model


def pictures(batch=2):
    return draw(0, batch, 1, 6, 6)


class Weights:
    """In the place of a method: keeps the weights of each model that it is given."""

    def __init__(self):
        self.seen, self.models = [], []

    def __call__(self, model, inputs):
        model(inputs)
        self.models.append(model)
        self.seen.append({name: value.clone() for name, value in model.state_dict().items()})
        return torch.ones_like(inputs)

    def drawn(self, step):
        """The layers that differ from the first model's at `step`."""
        names = {
            name.rpartition(".")[0] for name, v in self.seen[step].items() if not torch.equal(v, self.seen[0][name])
        }
        return sorted(names)


def test_cascading_draws_one_more_layer_each_time_from_the_output_downwards():
    weights = Weights()
    found = randomize_model(network(), pictures(), weights)
    assert found.layers == ("6", "4", "1", "0")
    assert [weights.drawn(k) for k in range(5)] == [[], ["6"], ["4", "6"], ["1", "4", "6"], ["0", "1", "4", "6"]]
    # What was drawn in one step is kept in the next.
    for step in range(1, 4):
        for name in weights.drawn(step):
            assert torch.equal(weights.seen[step][f"{name}.weight"], weights.seen[step + 1][f"{name}.weight"])


def test_independent_draws_one_layer_each_and_the_same_weights():
    alone, cascading = Weights(), Weights()
    found = randomize_model(network(), pictures(), alone, order="independent")
    randomize_model(network(), pictures(), cascading)
    assert [alone.drawn(k) for k in range(5)] == [[], ["6"], ["4"], ["1"], ["0"]]
    for step, name in enumerate(found.layers, 1):
        assert torch.equal(alone.seen[step][f"{name}.weight"], cascading.seen[-1][f"{name}.weight"])


def test_layers_are_those_named_with_all_inside():
    model = nn.Sequential(nn.Flatten(), nn.Sequential(nn.Linear(36, 4), nn.Linear(4, 4)), nn.Linear(4, 2)).double()
    weights = Weights()
    found = randomize_model(model, pictures(), weights, layers=["1", "2"])
    assert found.layers == ("1", "2")
    assert [weights.drawn(k) for k in range(3)] == [[], ["1.0", "1.1"], ["1.0", "1.1", "2"]]


class Twisted(nn.Module):
    """Modules are called in another order than they are registered in, and one is not called at all."""

    def __init__(self):
        super().__init__()
        self.last, self.first = nn.Linear(4, 2), nn.Linear(36, 4)
        self.used = nn.Linear(4, 4)
        self.scale = nn.Parameter(torch.arange(36.0))

    def forward(self, x):
        hidden = self.first(x.flatten(1) * self.scale)
        return self.last(nn.functional.linear(hidden, self.used.weight))


def test_the_order_is_that_of_the_calls():
    found = randomize_model(Twisted().double(), pictures(), Weights())
    # The module's own parameter, and what it uses without a call, come where it is called itself: at the beginning.
    assert found.layers[:2] == ("last", "first")
    assert set(found.layers[2:]) == {"used", ""}


def test_what_has_no_reset_or_an_idle_one_is_permuted():
    class Idle(nn.Linear):
        def reset_parameters(self):
            if not hasattr(self, "done"):
                super().reset_parameters()
            self.done = True

    for model in (Twisted().double(), nn.Sequential(nn.Flatten(), Idle(36, 3)).double()):
        weights = Weights()
        randomize_model(model, pictures(), weights)
        name = "scale" if isinstance(model, Twisted) else "1.weight"
        before, after = weights.seen[0][name].flatten(), weights.seen[-1][name].flatten()
        assert not torch.equal(before, after)
        assert torch.equal(before.sort().values, after.sort().values)


def test_seeds_are_told_apart_and_repeat():
    drawn = []
    for seed in (0, 0, 1):
        weights = Weights()
        randomize_model(network(), pictures(), weights, seed=seed)
        drawn.append(weights.seen[-1]["4.weight"])
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    # Drawn as the layer itself draws: evenly, within the bound of its size.
    assert float(drawn[0].abs().max()) <= 48**-0.5


def test_a_map_that_does_not_depend_on_a_layer_stays_when_it_is_drawn_anew():
    head = nn.Linear(3, 1, bias=False).double()
    body = nn.Linear(36, 3).double()
    model = nn.Sequential(nn.Flatten(), body, head)
    inner = lambda m, x: igw.attribute(lambda p: m[1](m[0](p)), x, target=0, chunk_size=8)  # noqa: E731
    found = randomize_model(model, pictures(), inner, layers=["2", "1"])
    assert torch.allclose(found.correlations[:, 0], torch.ones(2, dtype=torch.float64))
    assert torch.allclose(found.absolute_correlations[:, 0], torch.ones(2, dtype=torch.float64))
    assert torch.equal(found.randomized[0], found.attributions)
    assert bool((found.correlations[:, 1] < 0.9).all())


def test_an_edge_detector_passes_for_a_map_and_fails_the_check():
    def edges(_, x):
        return nn.functional.pad(x.diff(dim=3).abs(), (0, 1))

    found = randomize_model(network(), pictures(), edges)
    assert torch.allclose(found.correlations, torch.ones(2, 4, dtype=torch.float64))


def test_of_a_linear_model_the_correlation_is_that_of_its_weights():
    model, x = nn.Sequential(nn.Flatten(), nn.Linear(36, 1)).double(), torch.ones(1, 1, 6, 6, dtype=torch.float64)
    weights = Weights()
    randomize_model(model, x, weights)
    old, new = (weights.seen[k]["1.weight"][0] for k in (0, 1))
    ranks = torch.stack([w.argsort().argsort() for w in (old, new)]).double()
    found = randomize_model(model, x)
    assert float(found.correlations) == pytest.approx(float(torch.corrcoef(ranks)[0, 1]), abs=1e-9)
    ranks = torch.stack([w.abs().argsort().argsort() for w in (old, new)]).double()
    assert float(found.absolute_correlations) == pytest.approx(float(torch.corrcoef(ranks)[0, 1]), abs=1e-9)


def test_the_model_and_the_random_state_stay():
    model = network().requires_grad_(False)
    model[0].weight.requires_grad_()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    tensors = {name: id(value) for name, value in model.named_parameters()}
    called = []
    model.register_forward_hook(lambda *_: called.append(1) if _[0] is model else None)
    randomize_model(model, pictures(), target=0)
    assert called == []
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert {name: id(value) for name, value in model.named_parameters()} == tensors
    assert [p.requires_grad for p in model.parameters()][:2] == [True, False]
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert len(model[0]._forward_pre_hooks) == 0


def test_progress_and_cancel():
    done, cancel = [], threading.Event()
    randomize_model(network(), pictures(), Weights(), on_progress=lambda *now: done.append(now))
    assert done == [(k, 5) for k in range(1, 6)]

    def on_progress(*now):
        if now[0] == 3:
            cancel.set()

    with pytest.raises(errors.Cancelled, match=r"^Cancelled after 3 of 5 maps"):
        randomize_model(network(), pictures(), Weights(), on_progress=on_progress, cancel=cancel)


def test_what_cannot_work_is_refused():
    x, model, wrong = pictures(), network(), errors.ArgumentTypeError
    for message, kind, call in (
        ("model must be a torch.nn.Module", wrong, lambda: randomize_model(lambda p: p, x)),
        ("order must be one of", ValueError, lambda: randomize_model(model, x, order="all")),
        ("layers must be a list", wrong, lambda: randomize_model(model, x, layers="6")),
        ("layers is empty", ValueError, lambda: randomize_model(model, x, layers=[])),
        ("layers names 'head', .* it has '0', '1', '4', '6'", ValueError,
         lambda: randomize_model(model, x, layers=["head"])),
        ("layers names '2', which has no parameters", ValueError, lambda: randomize_model(model, x, layers=["2"])),
        ("layers names a module twice", ValueError, lambda: randomize_model(model, x, layers=["6", "6"])),
        ("model has no parameters", ValueError, lambda: randomize_model(nn.ReLU(), x, Weights())),
        ("explain is given, so that", ValueError, lambda: randomize_model(model, x, Weights(), target=0)),
    ):  # fmt: skip
        with pytest.raises(kind, match=f"^{message}") as caught:
            call()
        assert isinstance(caught.value, errors.IGError)


def test_results_are_frozen_and_print_their_numbers():
    found = randomize_model(network(), pictures(), target=0)
    head, *lines = repr(found).splitlines()
    assert head.startswith("drawn anew, down to")
    for number, line in enumerate(lines, 1):
        assert line.startswith(f"{number} {found.layers[number - 1]}")
        assert f"{float(found.correlations[:, number - 1].mean()):.3g}" in line
    assert "<table>" in found._repr_html_()
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.order = "independent"
    empty = randomize_model(network(), pictures(), Weights())  # a map without any order
    assert bool(empty.correlations.isnan().all())
    assert "nan" not in repr(empty)
