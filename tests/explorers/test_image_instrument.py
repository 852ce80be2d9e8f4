"""What a person asks of an image explorer beyond one map: other readings, baselines, panes, tolerance, regions."""

import io
import json
import zlib

import numpy as np
import pytest
import torch
import traitlets
from PIL import Image

import ig_widgets as igw
from tests.explorers.subjects import SECONDS, Classifier, Watched, photo

LABELS = ["tench", "Egyptian cat", "espresso", "rocket", "<b>tench</b>"]


def ready(explorer):
    explorer.wait(SECONDS)
    return explorer.result


# ---------------------------------------------------------------- what is explained


@pytest.mark.parametrize("output", ["logit", "probability", "log-probability", "margin"])
def test_output_is_the_reading_of_the_scores_that_is_asked_for(explore, output):
    model, image = Classifier(), photo()[None]
    explorer = explore(model, image[0], target=1, output=output)
    scores = model(image)[0].detach()
    second = int(scores.index_fill(0, torch.tensor(1), -torch.inf).argmax())
    reading = {
        "logit": lambda x: model(x),
        "probability": lambda x: model(x).softmax(1),
        "log-probability": lambda x: model(x).log_softmax(1),
        "margin": lambda x: model(x) - model(x)[:, [second]],
    }[output]
    expected = igw.attribute(reading, image, target=1, method="riemann_middle", n_steps=8)
    result = ready(explorer)
    torch.testing.assert_close(result.attributions, expected.attributions, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(result.output, expected.output)


def test_output_can_be_switched_and_is_named(explore):
    explorer = explore(target=1, labels=LABELS)
    view = explorer.comm.open_view()
    ready(explorer)
    explorer.output = "margin"
    ready(explorer)
    explorer.comm.settle()
    assert view.begin["settings"]["output"] == "margin"
    assert view.begin["output_name"].startswith("margin over ")
    assert abs(view.plan["sum"] - float(explorer.result.output - explorer.result.baseline_output)) < 0.2


def test_a_model_of_probabilities_is_not_asked_for_logits(explore):
    model = Classifier()
    explorer = explore(lambda x: model(x).softmax(1))
    assert explorer.output == "probability"
    assert "logit" not in explorer._outputs
    with pytest.raises(traitlets.TraitError, match="'logit'"):
        explorer.output = "logit"


# ---------------------------------------------------------------- baselines


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (igw.baselines.blur(), "blur"),
        (igw.baselines.blur(3), "blur(sigma=3)"),
        ("blur( sigma = 3.0 )", "blur(sigma=3)"),
        (igw.baselines.uniform(seed=7), "noise(seed=7)"),
        ("gaussian noise(sigma=0.25, seed=2)", "gaussian noise(sigma=0.25, seed=2)"),
        (igw.baselines.constant((1.0, 0.0, 0.0)), "colour(#ff0000)"),
        ("colour(#ff0000)", "colour(#ff0000)"),
        (igw.baselines.white(), "white"),
        (igw.baselines.max_distance(), "max distance"),
    ],
    ids=str,
)
def test_baselines_have_one_text_each_by_which_they_are_asked_for(explore, given, text):
    explorer = explore(baseline=given)
    assert explorer.baseline == text
    explorer.baseline = "black"
    explorer.baseline = text
    assert explorer.baseline == text


def test_parameters_of_a_baseline_are_heeded(explore):
    image = photo()[None]
    explorer = explore(image=image[0], baseline="blur(sigma=1.5)", target=0)
    expected = igw.baselines.blur(1.5)(image.float())
    start = ready(explorer).path._path.baselines[0]
    torch.testing.assert_close(start.float(), expected, rtol=1e-5, atol=1e-6)


def test_given_baselines_are_offered_by_name(explore):
    image = photo()[None]
    explorer = explore(image=image[0], target=0)
    model = explorer._model
    half = image * 0.5
    for given, made in [
        (half, half),
        (lambda x: x * 0.25, image * 0.25),
        (np.full((16, 16, 3), 255, np.uint8), torch.ones_like(image)),
        (Image.new("RGB", (64, 40), (255, 255, 255)), torch.ones_like(image)),
        (igw.baselines.mean(torch.rand(4, 3, 16, 16).double()), None),
    ]:
        explorer.baseline = given
        assert explorer.baseline in explorer._baselines
        result = ready(explorer)
        if made is not None:
            expected = igw.attribute(model, image, baselines=made, target=0, method="riemann_middle", n_steps=8)
            torch.testing.assert_close(result.attributions, expected.attributions, rtol=1e-5, atol=1e-7)
    assert len(set(explorer._baselines)) == len(explorer._baselines) == 8 + 5


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (torch.zeros(1, 3, 4, 4), ["shape (1, 3, 4, 4)", "(1, 3, 16, 16)"]),
        (torch.full((1, 3, 16, 16), torch.nan), ["NaN"]),
        (lambda x: None, ["must return a tensor", "NoneType"]),
        ("blur(sigma=-1)", ["sigma", "-1"]),
        ("blur(radius=2)", ["takes the parameters: sigma", "radius"]),
        ("blur(sigma=much)", ["sigma=much"]),
        ("colour(red)", ["red"]),
        ("<script>", ["'<script>'", "black"]),
        ("x" * 10_000, ["black"]),
        (3, ["int"]),
    ],
    ids=lambda v: str(v)[:30],
)
def test_a_baseline_that_cannot_be_is_refused_in_words_and_the_last_one_stays(explore, value, words):
    explorer = explore(baseline="blur")
    with pytest.raises(traitlets.TraitError) as caught:
        explorer.baseline = value
    assert all(word in str(caught.value) for word in words), caught.value
    assert len(str(caught.value)) < 500
    assert explorer.baseline == "blur"
    assert len(explorer._baselines) == 8


def test_gallery_says_what_the_model_makes_of_each_baseline(explore):
    model, image = Classifier(), photo()[None]
    explorer = explore(model, image[0], labels=LABELS, target=2, baseline="blur(sigma=2)")
    cards = {card.name: card for card in explorer.gallery()}
    assert set(cards) == {*explorer._baselines, "blur(sigma=2)"}
    for made, name in ((torch.ones_like(image), "white"), (torch.zeros_like(image), "black")):
        scores = model(made)[0].detach()
        card = cards[name]
        p = scores.softmax(0)
        assert card.output == pytest.approx(float(scores[2]))
        assert card.entropy == pytest.approx(float(-(p * p.log2()).sum()), rel=1e-6)
        assert [label for label, _ in card.top] == [LABELS[i] for i in p.topk(3).indices.tolist()]
        assert card.is_neutral == (float(p.max()) <= 0.5)
        with Image.open(io.BytesIO(card.thumbnail)) as picture:
            assert np.asarray(picture).mean() == 255 * float(made.mean())


# ---------------------------------------------------------------- to a tolerance


def test_auto_samples_until_the_estimated_error_is_within_tol(explore):
    model, image = Classifier(), photo()[None]
    explorer = explore(model, image[0], target=1, method="auto", tol=0.02)
    view = explorer.comm.open_view()
    result = ready(explorer)
    explorer.comm.settle()
    fine = igw.attribute(model, image, target=1, method="secant", n_steps=2000).attributions
    assert float((result.attributions - fine).norm() / fine.norm()) < 0.04
    assert result.converged
    assert view.ended["type"] == "done"
    assert view.plan["final"]
    assert view.plan["error"] == pytest.approx(float(result.error_estimate[0]))
    drawn = view.collected(1.0)
    exact = result.attributions[0].sum(0).numpy()
    assert np.abs(drawn - exact).max() <= view.rounding(1.0) + 1e-6


def test_auto_again_costs_nothing_and_a_cancelled_one_goes_on(explore):
    model = Watched()
    explorer = explore(model, method="auto", tol=0.02)
    first = ready(explorer)
    spent = model.rows
    explorer.method = "riemann_middle"
    ready(explorer)
    between = model.rows
    explorer.method = "auto"
    assert torch.equal(ready(explorer).attributions, first.attributions)
    assert model.rows == between > spent


# ---------------------------------------------------------------- panes


def test_panes_differ_from_the_explorer_in_what_they_are_given(explore):
    model, image = Classifier(), photo()[None]
    explorer = explore(model, image[0], target=1, labels=LABELS)
    explorer.compare(
        {"baseline": igw.baselines.white()}, {"target": "espresso", "method": "gausslegendre", "n_steps": 5}
    )
    explorer.wait(SECONDS)
    expected = [
        igw.attribute(model, image, target=1, method="riemann_middle", n_steps=8),
        igw.attribute(model, image, target=1, baselines=torch.ones_like(image), method="riemann_middle", n_steps=8),
        igw.attribute(model, image, target=2, method="gausslegendre", n_steps=5),
    ]
    for result, by_hand in zip(explorer.results, expected, strict=True):
        torch.testing.assert_close(result.attributions, by_hand.attributions, rtol=1e-5, atol=1e-7)
    explorer.target = 3
    explorer.wait(SECONDS)
    by_hand = igw.attribute(
        model, image, target=3, baselines=torch.ones_like(image), method="riemann_middle", n_steps=8
    )
    torch.testing.assert_close(explorer.results[1].attributions, by_hand.attributions, rtol=1e-5, atol=1e-7)
    torch.testing.assert_close(explorer.results[2].attributions, expected[2].attributions)
    explorer.compare()
    assert len(explorer.results) == 1


def test_each_pane_is_streamed_to_those_who_want_it(explore):
    explorer = explore(target=1)
    explorer.compare({"baseline": "white"})
    views = [explorer.comm.open_view(name=f"view {pane}", pane=pane) for pane in range(2)]
    explorer.wait(SECONDS)
    explorer.comm.settle()
    assert [view.begin["settings"]["baseline"] for view in views] == ["black", "white"]
    assert all(view.ended["type"] == "done" for view in views)
    for view, result in zip(views, explorer.results, strict=True):
        exact = result.attributions[0].sum(0).numpy()
        assert np.abs(view.collected(1.0) - exact).max() <= view.rounding(1.0) + 1e-6
    assert views[0].begin["request"] != views[1].begin["request"]
    assert views[0].begin["trace"] != views[1].begin["trace"]


def test_a_pane_may_be_wanted_before_it_is_there(explore):
    # As a browser does it: whoever hears of a new pane asks for it, and only then is the trait sent.
    explorer = explore(target=1)
    view = explorer.comm.open_view(pane=1)
    explorer.wait(SECONDS)
    explorer.comm.set_traits(n_steps=4)
    explorer.comm.set_traits(_panes=[{}, {"baseline": "white"}])
    explorer.wait(SECONDS)
    explorer.comm.settle()
    assert view.begin["settings"]["baseline"] == "white"
    assert view.ended["type"] == "done"


def test_a_change_of_one_pane_leaves_the_others_alone(explore):
    model = Watched()
    explorer = explore(model, target=1)
    explorer.compare({"baseline": "white"}, {"baseline": "white", "n_steps": 4})
    explorer.wait(SECONDS)
    asked = [pane.request for pane in explorer._asked]
    explorer.n_steps = 6
    explorer.wait(SECONDS)
    assert [pane.request == before for pane, before in zip(explorer._asked, asked, strict=True)] == [False, False, True]


@pytest.mark.parametrize(
    ("panes", "kind", "words"),
    [
        ([{}] * 4, igw.IGError, "up to 3 mappings"),
        (["blur"], igw.IGError, "got str"),
        ([{"alpha": 1}], igw.IGError, "alpha"),
        ([{"target": 9}], traitlets.TraitError, "9"),
        ([{"baseline": "purple"}], traitlets.TraitError, "purple"),
    ],
    ids=str,
)
def test_panes_that_cannot_be_are_refused_and_those_there_stay(explore, panes, kind, words):
    explorer = explore()
    explorer.compare({"baseline": "white"})
    with pytest.raises(kind, match=words):
        explorer.compare(*panes)
    assert explorer._panes == [{}, {"baseline": "white"}]
    explorer.wait(SECONDS)


@pytest.mark.parametrize("panes", [[], [{"target": 1}], [{}] * 5, [{}, {"alpha": 0.5}], [{}, 3], [{}, {"target": "x"}]])
def test_panes_of_a_browser_are_checked(explore, panes):
    explorer = explore()
    with pytest.raises(traitlets.TraitError):
        explorer._panes = panes
    assert explorer._panes == [{}]


# ---------------------------------------------------------------- regions


@pytest.mark.parametrize(
    "region",
    [(2, 3, 10, 12), [(1, 1), (14, 2), (7, 13)], np.eye(16, dtype=bool)],
    ids=["rectangle", "polygon", "mask"],
)
def test_a_region_is_audited_by_asking_the_model(explore, region):
    model, image = Classifier(), photo()[None]
    explorer = explore(model, image[0], target=1, baseline="white")
    explorer.region = region
    audit = explorer.audit()
    mask = torch.from_numpy(igw.faithfulness.region_mask(region, 16, 16))
    attributions = explorer.result.attributions[0].sum(0)
    white = torch.ones_like(image)
    assert audit.attribution_sum == pytest.approx(float(attributions[mask].sum()), rel=1e-6)
    assert audit.share == pytest.approx(float(attributions[mask].sum() / attributions.sum()), rel=1e-6)
    assert audit.output == pytest.approx(model(image)[0, 1].item())
    assert audit.output_without_region == pytest.approx(model(torch.where(mask, white, image))[0, 1].item(), rel=1e-5)
    assert audit.output_with_region_only == pytest.approx(model(torch.where(mask, image, white))[0, 1].item(), rel=1e-5)


def test_regions_of_the_front_end_become_a_table_in_both(explore):
    explorer = explore(target=1)
    explorer.wait(SECONDS)
    explorer._regions = [
        {"kind": "rectangle", "box": [0, 0, 8, 16]},
        {"kind": "rectangle", "box": [8, 0, 16, 16]},
    ]
    explorer._chores.wait(SECONDS)
    audits = explorer.audits()
    assert explorer.region == (8, 0, 16, 16)
    assert len(audits) == len(explorer._audits) == 2
    total = float(explorer.result.attributions.sum())
    assert sum(row["sum"] for row in explorer._audits) == pytest.approx(total, rel=1e-6)
    assert [row["without"] for row in explorer._audits] == [a.output_without_region for a in audits]
    explorer.region = None
    explorer._chores.wait(SECONDS)
    assert explorer._regions == explorer._audits == []
    with pytest.raises(ValueError, match="no region"):
        explorer.audit()


@pytest.mark.parametrize(
    "region", [(5, 5, 5, 9), (20, 20, 30, 30), np.zeros((16, 16), bool), np.ones((4, 4), bool), "all", (1, 2, 3)]
)
def test_a_region_without_pixels_is_refused_and_the_last_one_stays(explore, region):
    explorer = explore()
    explorer.region = (0, 0, 4, 4)
    with pytest.raises(traitlets.TraitError, match="region"):
        explorer.region = region
    assert explorer.region == (0, 0, 4, 4)
    assert explorer._regions == [{"kind": "rectangle", "box": [0, 0, 4, 4]}]


@pytest.mark.parametrize(
    "data",
    [
        3,
        {"kind": "circle"},
        {"kind": "rectangle", "box": [0, 0, "4", 4]},
        {"kind": "rectangle", "box": [0, 0, float("nan"), 4]},
        {"kind": "polygon", "points": [[1, 2], [3]]},
        {"kind": "polygon", "points": [[0, 0]] * 20_000},
        {"kind": "mask", "runs": [0, 256, 1]},
        {"kind": "mask", "runs": [256]},
        {"kind": "mask", "runs": [-1, 257]},
    ],
    ids=lambda d: str(d)[:40],
)
def test_regions_of_a_browser_are_checked(explore, data):
    explorer = explore()
    with pytest.raises(traitlets.TraitError):
        explorer._regions = [data]
    assert explorer._regions == []


# ---------------------------------------------------------------- beside the samples


def test_what_a_browser_sets_and_cannot_be_is_answered_in_words(explore):
    explorer = explore(target=1)
    for state in ({"target": 99}, {"baseline": "blur(sigma=-2)"}, {"n_steps": 0}, {"_regions": [{}]}, {"_panes": []}):
        before = explorer._notice.get("number", 0)
        explorer.set_state(state)
        assert explorer._notice["number"] == before + 1
        (name,) = state
        assert name.strip("_").rstrip("s") in explorer._notice["text"] or "sigma" in explorer._notice["text"]
    assert (explorer.target, explorer.baseline, explorer.n_steps) == (1, "black", 8)
    explorer.wait(SECONDS)


@pytest.mark.parametrize("difference", [{"baseline": "purple"}, {"n_steps": 1000}, {"target": 99}, {"output": "x"}])
def test_a_pane_of_a_browser_that_cannot_be_is_answered_in_words(explore, difference):
    explorer = explore(target=1)
    explorer.comm.set_traits(_panes=[{}, difference])
    assert explorer._panes == [{}]
    assert explorer._notice["number"] == 1
    assert next(iter(difference)) in explorer._notice["text"].lower()
    # What can be is written as the explorer writes it.
    explorer.comm.set_traits(_panes=[{}, {"baseline": "noise(seed=0)"}])
    assert explorer._panes == [{}, {"baseline": "noise"}]
    explorer.wait(SECONDS)


def png(size, color):
    out = io.BytesIO()
    Image.new("RGB", size, color).save(out, "PNG")
    return out.getvalue()


def test_a_dropped_file_becomes_the_baseline(explore):
    image = photo()[None]
    explorer = explore(image=image[0], target=1)
    explorer.comm.hear({"type": "upload", "view": "v", "name": "snow (2).png"}, [png((50, 20), (255, 255, 255))])
    assert explorer._chores.wait(SECONDS)
    assert explorer.baseline == "snow 2 .png"
    expected = igw.attribute(
        explorer._model, image, baselines=torch.ones_like(image), target=1, method="riemann_middle", n_steps=8
    )
    torch.testing.assert_close(ready(explorer).attributions, expected.attributions, rtol=1e-5, atol=1e-7)


def bomb():
    """A file of a few bytes that says it is a picture of 20,000 x 20,000 pixels."""
    whole = bytearray(png((8, 8), (0, 0, 0)))
    whole[16:24] = (20_000).to_bytes(4, "big") * 2
    whole[29:33] = zlib.crc32(bytes(whole[12:29])).to_bytes(4, "big")
    return bytes(whole)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no picture"),
        (b"%PDF-1.7", "no picture"),
        (png((9, 9), (1, 2, 3))[:40], "no picture"),
        (bomb(), "more pixels"),
    ],
    ids=["empty", "another kind", "cut off", "20,000 x 20,000"],
)
def test_a_file_that_is_no_picture_is_answered_in_words_and_the_last_baseline_stays(explore, data, words):
    explorer = explore(baseline="blur")
    result = ready(explorer)
    explorer.comm.hear({"type": "upload", "view": "v", "name": "<img src=x onerror=alert(1)>.png"}, [data])
    assert explorer._chores.wait(SECONDS)
    assert words in explorer._notice["text"]
    assert len(explorer._notice["text"]) < 400
    assert explorer.baseline == "blur"
    assert explorer.result is result


def test_cards_are_made_when_the_front_end_asks(explore):
    explorer = explore(target=2, labels=LABELS, baseline="blur(sigma=2)")
    assert explorer._cards == []
    explorer.comm.hear({"type": "gallery", "view": "v"}, [])
    assert explorer._chores.wait(SECONDS)
    by_name = {card["name"]: card for card in explorer._cards}
    assert set(by_name) == {*explorer._baselines, "blur(sigma=2)"}
    (sigma,) = by_name["blur(sigma=2)"]["parameters"]
    assert sigma["value"] == 2
    assert sigma["low"] < 2 < sigma["high"]
    assert by_name["colour"]["parameters"] == [{"name": "value", "colour": "#808080"}]
    assert by_name["noise"]["parameters"][0]["name"] == "seed"


@pytest.mark.parametrize(("kind", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("npz", b"PK")])
def test_files_are_sent_to_the_view_that_asks(explore, kind, start, tmp_path):
    explorer = explore(target=1)
    ready(explorer)
    explorer.comm.hear({"type": "export", "view": "v", "kind": kind}, [])
    assert explorer._chores.wait(SECONDS)
    explorer.comm.settle()
    (sent,) = [message for message in explorer.comm.files if message[0]["type"] == "file"]
    assert sent[0] == {"type": "file", "name": f"attribution.{kind}", "view": "v", "request": 0}
    assert sent[1][0].startswith(start)
    getattr(explorer, f"to_{kind}")(tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == sent[1][0]


def test_arrays_say_all_that_was_sampled(explore, tmp_path):
    image = photo()[None]
    for options in ({"method": "gausslegendre"}, {"method": "secant"}, {"method": "auto", "tol": 0.01}):
        explorer = explore(image=image[0], target=1, **options)
        result = ready(explorer)
        explorer.to_npz(tmp_path / "x.npz")
        with np.load(tmp_path / "x.npz", allow_pickle=False) as arrays:
            found = dict(arrays)
        settings = json.loads(str(found["settings"]))
        exact = result.attributions[0].numpy()
        np.testing.assert_array_equal(found["attributions"], exact)
        summed = np.tensordot(found["weights"], found["maps"], 1)
        assert np.abs(summed - exact.sum(0)).max() < 1e-3 * np.abs(exact).max()
        assert found["weights"] @ found["density"] == pytest.approx(exact.sum(), rel=1e-6)
        assert settings["convergence_delta"] == pytest.approx(float(result.convergence_delta))
        assert (found["output_alphas"][0], found["output_alphas"][-1]) == (0, 1)


def test_curves_are_of_samples_that_are_there(explore):
    model, image = Watched(), photo()[None]
    explorer = explore(model, image[0], target=1, method="riemann_middle", n_steps=9)
    ready(explorer)
    explorer.method, explorer.n_steps = "gausslegendre", 4
    ready(explorer)
    explorer.method, explorer.n_steps = "secant", 40
    ready(explorer)
    spent = model.rows
    assert explorer._chores.wait(SECONDS)
    assert model.rows == spent
    made = {curve["method"]: curve["points"] for curve in explorer._curves}
    assert [point[0] for point in made["riemann_middle"]] == [1, 3, 7, 9]
    assert [point[0] for point in made["gausslegendre"]] == [1, 3, 4]
    assert made["secant"][-1][:3] == [40, None, None]
    finest = explorer.result.attributions.sum(1)
    # The rule itself; in between are samples on the way to it, by the piece nearest to each.
    for method, n in (("riemann_middle", 1), ("riemann_middle", 3), ("riemann_middle", 9), ("gausslegendre", 4)):
        for _, error, _, delta in (point for point in made[method] if point[0] == n):
            expected = igw.attribute(Classifier(), image, target=1, method=method, n_steps=n)
            distance = (expected.attributions.sum(1) - finest).norm() / finest.norm()
            assert error is None or error == pytest.approx(float(distance), rel=1e-2, abs=1e-3)
            assert delta == pytest.approx(float(expected.convergence_delta[0]), abs=1e-6)


def test_curve_of_a_run_to_a_tolerance_has_its_estimates(explore):
    explorer = explore(target=1, method="auto", tol=0.01)
    result = ready(explorer)
    assert explorer._chores.wait(SECONDS)
    (curve,) = explorer._curves
    assert curve["method"] == "auto"
    assert curve["points"][-1][0] == result.evaluations
    assert curve["points"][-1][2] == pytest.approx(float(result.error_estimate[0]))


def test_region_of_the_constructor_is_audited_with_the_first_answer(explore):
    explorer = explore(target=1, region=(0, 0, 8, 8))
    explorer.wait(SECONDS)
    assert explorer._chores.wait(SECONDS)
    assert explorer._audits[0]["sum"] == pytest.approx(explorer.audit().attribution_sum)


def test_regions_are_audited_in_each_pane(explore):
    model, image = Classifier(), photo()[None]
    explorer = explore(model, image[0], target=1)
    explorer.compare({"baseline": "white"})
    explorer.regions = [(0, 0, 8, 8), np.eye(16, dtype=bool)]
    assert explorer.region.sum() == 16
    assert len(explorer.regions) == 2
    for pane, base in enumerate((torch.zeros_like(image), torch.ones_like(image))):
        mask = torch.from_numpy(explorer.regions[1])
        without = model(torch.where(mask, base, image))[0, 1].item()
        assert explorer.audits(pane)[1].output_without_region == pytest.approx(without, rel=1e-5)
    with pytest.raises(igw.IGError, match="from 0 to 1, got 2"):
        explorer.audit(2)
    with pytest.raises(traitlets.TraitError, match="no pixel"):
        explorer.regions = [(0, 0, 0, 0)]
    assert len(explorer.regions) == 2


def test_repr_says_what_is_asked(explore):
    explorer = explore(target=1, labels=LABELS, method="auto", tol=0.02)
    explorer.compare({"baseline": "white"})
    explorer.wait(SECONDS)
    assert repr(explorer) == "ImageExplorer('Egyptian cat', baseline black, to an error of 0.02, 2 panes)"
    assert len(repr(explorer.gallery()).splitlines()) == 8


# ---------------------------------------------------------------- one channel


@pytest.mark.parametrize("options", [{"method": "gausslegendre"}, {"method": "secant"}, {"method": "auto"}], ids=str)
def test_a_channel_is_drawn_of_what_was_sampled(explore, options):
    model = Watched()
    explorer = explore(model, target=1, **options)
    view = explorer.comm.open_view()
    result = ready(explorer)
    rows = model.rows
    for channel in ("blue", "sum", "red", "green", "blue"):
        explorer.channel = channel
        ready(explorer)
        explorer.comm.settle()
        assert model.rows == rows
        exact = result.attributions[0].numpy()
        exact = exact.sum(0) if channel == "sum" else exact[["red", "green", "blue"].index(channel)]
        assert view.begin["settings"]["channel"] == channel
        assert ("alone" in view.begin["output_name"]) == (channel != "sum")
        assert np.abs(view.collected(1.0) - exact).max() <= view.rounding(1.0) + 1e-6
        # What is said of completeness is of all.
        assert view.plan["sum"] == pytest.approx(float(result.attributions.sum()), rel=1e-6)
    assert explorer.snapshot()


def test_a_picture_of_one_channel_has_no_other(explore):
    explorer = explore(Classifier(channels=1), photo(channels=1))
    assert explorer._channels == ["sum"]
    with pytest.raises(traitlets.TraitError, match="'red'"):
        explorer.channel = "red"


def test_the_model_is_asked_once_about_a_baseline_until_it_changes(explore):
    model = Watched()
    explorer = explore(model, target=2)
    explorer.wait(SECONDS)
    cards = explorer.gallery()
    rows = model.rows_without_gradient
    assert repr(explorer.gallery()) == repr(cards)
    assert model.rows_without_gradient == rows
    explorer.baseline = "blur(sigma=2)"
    explorer.wait(SECONDS)
    rows = model.rows_without_gradient
    assert len(explorer.gallery()) == len(cards) + 1
    assert model.rows_without_gradient == rows + 1
    explorer.output = "probability"
    by_name = {card.name: card for card in explorer.gallery()}
    assert by_name["white"].output == pytest.approx(model(torch.ones(1, 3, 16, 16).double()).softmax(1)[0, 2].item())
    with torch.no_grad():
        next(model.parameters()).mul_(2)
    again = {card.name: card for card in explorer.gallery()}
    assert again["white"].output == pytest.approx(model(torch.ones(1, 3, 16, 16).double()).softmax(1)[0, 2].item())
    assert again["white"].output != by_name["white"].output
