"""The messages: both sides read tests/fixtures/protocol/, and nothing else passes."""

import base64
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ig_widgets.engine import rules
from ig_widgets.explorers.core import protocol
from ig_widgets.explorers.core.display import Display
from ig_widgets.explorers.core.maps import EncodedMap, encode
from ig_widgets.explorers.core.sample_log import Pieces, SampleLog
from ig_widgets.explorers.core.settings import Settings
from ig_widgets.explorers.core.stream import Stream
from tests.explorers.front_end import ForbiddenMessageError, check

FIXTURES = {
    path.stem: json.loads(path.read_text())
    for path in sorted((Path(__file__).parent.parent / "fixtures" / "protocol").glob("*.json"))
}
MAPS = st.floats(-1e6, 1e6).flatmap(
    lambda size: hnp.arrays(
        np.float64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=6), elements=st.floats(-abs(size), abs(size))
    )
)


def chosen(direction: str, valid: bool) -> list[str]:
    return [name for name, f in FIXTURES.items() if f["direction"] == direction and f["valid"] is valid]


def form(value: object) -> object:
    """What a JSON value is made of: the keys of mappings, the types of all else; numbers of a list are alike."""
    if isinstance(value, dict):
        return {key: form(item) for key, item in value.items()}
    if isinstance(value, list):
        forms = [form(item) for item in value]
        return forms[:1] if all(f == forms[0] for f in forms) else forms
    return type(value)


# ---------------------------------------------------------------- fixtures


def test_there_are_fixtures_of_every_kind():
    for direction in ("browser->kernel", "kernel->browser"):
        assert len(chosen(direction, True)) >= 3
        assert len(chosen(direction, False)) >= 3
    assert {f["direction"] for f in FIXTURES.values()} == {"browser->kernel", "kernel->browser"}


@pytest.mark.parametrize("name", chosen("browser->kernel", True))
def test_valid_messages_of_the_browser_are_understood(name):
    message = FIXTURES[name]["message"]
    parsed = protocol.parse(message)
    assert type(parsed).__name__.lower() == message["type"]
    assert vars(parsed) == {key: value for key, value in message.items() if key != "type"}


@pytest.mark.parametrize("name", chosen("browser->kernel", False))
def test_invalid_messages_of_the_browser_are_refused(name):
    with pytest.raises(protocol.ProtocolError):
        protocol.parse(FIXTURES[name]["message"])


@pytest.mark.parametrize("name", chosen("kernel->browser", True))
def test_reference_front_end_takes_the_valid_messages_of_the_kernel(name):
    check(FIXTURES[name]["message"], [base64.b64decode(b) for b in FIXTURES[name]["buffers"]])


@pytest.mark.parametrize("name", chosen("kernel->browser", False))
def test_reference_front_end_refuses_the_invalid_messages_of_the_kernel(name):
    with pytest.raises(ForbiddenMessageError):
        check(FIXTURES[name]["message"], [base64.b64decode(b) for b in FIXTURES[name]["buffers"]])


# ---------------------------------------------------------------- what the kernel says


def made_messages() -> dict[str, protocol.Message]:
    """Each message of the kernel, made by the functions that make it, and sent by the stream that adds to it."""
    sent: list[protocol.Message] = []
    stream = Stream(lambda content, buffers: sent.append((content, buffers)))
    stream.want("a view")
    pixels = np.zeros((2, 3, 3), np.uint8)
    display = Display("image", (2, 3), {"photo": pixels, "baseline": pixels})
    settings = Settings("black", 285, "logit", "riemann_middle", 2, 0.0)
    nodes = rules.nodes("riemann_middle", 2)
    record = SampleLog(1, -0.5, 1.5)
    stream.begin(3, protocol.begin(1, settings, 2, "logit", "Egyptian cat", display))
    pieces = Pieces(nodes.alphas.tolist(), nodes.edges)
    maps = [encode(np.full((2, 3), density / 6), "i2") for density in (1.9, 2.2)]
    record.extend(pieces.keys, [0.1, 1.1], [1.9, 2.2], maps)
    stream.publish(3, record, 2, pieces, is_final=True)
    stream.end(3, protocol.done(2, 0.25))
    stream.begin(4, protocol.begin(1, settings, 2, "logit", "Egyptian cat", display))
    stream.end(4, protocol.failed("error", "The gradient is NaN at alpha = 0.25.", "Check the model in float64."))
    made = {content["type"]: (content, buffers) for content, buffers in sent}
    assert len(made) == 5
    return made


@pytest.mark.parametrize("kind", ["begin", "samples", "plan", "done", "failed"])
def test_messages_of_the_kernel_have_the_form_of_the_fixture(kind):
    content, buffers = made_messages()[kind]
    fixture = FIXTURES[kind]
    assert form(json.loads(json.dumps(content))) == form(fixture["message"])
    assert [len(b) for b in buffers] == [len(base64.b64decode(b)) for b in fixture["buffers"]]
    check(content, buffers)


def test_maps_of_the_dependence_have_the_form_of_the_fixture():
    mean, deviation = np.linspace(-1, 1, 6).reshape(2, 3), np.linspace(0, 1, 6).reshape(2, 3)
    named = {"mean": encode(mean, "i2"), "standard_deviation": encode(deviation, "i2")}
    content, buffers = protocol.maps("dependence", 2, mean.shape, named)
    content = {**content, "view": "a view", "request": 0}
    fixture = FIXTURES["maps"]
    assert form(json.loads(json.dumps(content))) == form(fixture["message"])
    assert [len(b) for b in buffers] == [len(base64.b64decode(b)) for b in fixture["buffers"]]
    check(content, buffers)


def test_plan_of_two_samples_is_that_of_the_fixture():
    """The fixture's path (F from -0.5 to 1.5, density 1.9 and 2.2) by the middle rule, number by number."""
    content, _ = made_messages()["plan"]
    stated = FIXTURES["plan"]["message"]
    assert content["entries"] == stated["entries"]
    assert content["density"] == stated["density"]
    assert content["sum"] == pytest.approx(stated["sum"], abs=1e-12)
    assert content["delta"] == pytest.approx(stated["delta"], abs=1e-12)
    assert content["outputs"][0] == stated["outputs"][0]
    assert content["outputs"][-1] == stated["outputs"][-1]
    assert content["final"] is True


# ---------------------------------------------------------------- maps in 16 bits


def decode(encoded: EncodedMap, shape: tuple[int, ...]) -> np.ndarray:
    return encoded.decode().reshape(shape)


@given(MAPS)
@example(np.zeros((2, 2)))
@example(np.array([[1.0, -1.0]]))
@example(np.array([[5e-324, 0.0]]))
@example(np.full((2, 2), 1e308))
@example(np.array([[1e-300, -2e-300]]))
@example(np.array([[4.27851462e-315]]))
@example(np.array([[7.2e-304]]))
def test_encoding_errs_by_half_a_step_at_most(values):
    encoded = encode(values, "i2")
    step = np.abs(values).max() / 32767
    # A map whose step is no normal float64 any more is one of zeros.
    bound = max(step * (0.5 + 1e-9), np.finfo(np.float64).tiny * 32767)
    assert np.abs(decode(encoded, values.shape) - values).max() <= bound
    assert encoded.scale > 0
    assert math.isfinite(encoded.scale)


@given(hnp.arrays(np.float32, (3, 4), elements=st.floats(-1e6, 1e6, width=32)), st.sampled_from([1.0, 1e-20, 1e20]))
def test_encoding_of_float32_errs_by_half_a_step_at_most(values, factor):
    values = values * np.float32(factor)
    values[np.abs(values) < 1e-30] = 0
    step = float(np.abs(values).max()) / 32767
    difference = decode(encode(values, "i2"), values.shape) - values.astype(np.float64)
    assert np.abs(difference).max() <= step * 0.503  # 32767 times the rounding of float32 on top


@pytest.mark.parametrize("largest", [1e-33, 1e-36, 1e-38, 1e-40, 1e-44])
def test_encoding_of_float32_maps_that_nearly_vanish(largest):
    """As of a saturated softmax. The map is drawn by its own scale, so that it must not come out as something else."""
    values = np.array([[1.0, -0.5, 0.25, 0.0]], np.float32) * np.float32(largest)
    decoded = decode(encode(values, "i2"), values.shape)
    assert np.abs(decoded - values.astype(np.float64)).max() <= float(values.max()) * 1e-4


def test_encoding_of_zeros_is_zeros():
    encoded = encode(np.zeros((2, 3), np.float32), "i2")
    assert encoded.data == bytes(12)
    assert encoded.scale > 0


def test_encoding_is_little_endian_int16_and_symmetric():
    encoded = encode(np.array([[1.0, -1.0, 0.0, 2.0]]) * 3, "i2")
    assert encoded.data[6:] == b"\xff\x7f"  # 32767: the largest value is the end of the range
    assert encode(np.array([[-7.0]]), "i2").data == b"\x01\x80"  # -32767; -32768 is not used
    assert encoded.data[4:6] == b"\x00\x00"
    assert decode(encoded, (4,)) == pytest.approx([3, -3, 0, 6], abs=3.1 * 6 / 65534)


# ---------------------------------------------------------------- maps in float32


@given(MAPS)
@example(np.zeros((2, 2)))
@example(np.full((2, 2), 1e308))
@example(np.array([[1e-300, -2e-300]]))
@example(np.array([[5e-324, 0.0]]))
def test_small_maps_are_float32_and_err_by_its_rounding(values):
    encoded = encode(values)
    assert encoded.dtype == "f4"
    assert len(encoded) == values.size
    largest = np.abs(values).max()
    assert np.abs(decode(encoded, values.shape) - values).max() <= max(largest * 2.0**-24, np.finfo(np.float64).tiny)
    if 1e-30 <= largest <= 1e30:
        assert encoded.scale == 1


def test_the_size_of_a_map_decides_its_dtype():
    assert encode(np.ones(4095)).dtype == "f4"
    assert encode(np.ones((64, 64))).dtype == "i2"


# ---------------------------------------------------------------- whatever a browser may send

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NEARLY = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["want", "ack", "cancel", "wish"]) | JSON,
        "view": st.text(max_size=70) | JSON,
        "count": st.integers(-2, 2**54) | JSON,
        "request": st.integers(-2, 2**54) | JSON,
        "more": JSON,
    },
)


@given(NEARLY | JSON)
@example({"type": "want", "view": "v" * 65})
@example({"type": "ack", "view": "v", "count": True})
@example({"type": "ack", "view": "v", "count": 2.0})
@example({"type": "ack", "view": "v", "count": 2**53})
@example({"type": ["ack"], "view": "v", "count": 1})
@example(b"want")
def test_parse_returns_a_message_or_raises_a_protocol_error(content):
    try:
        message = protocol.parse(content)
    except protocol.ProtocolError as error:
        assert str(error).endswith(".")  # noqa: PT017  (a sentence, for the log; either of two outcomes is good)
        return
    assert content["type"] == type(message).__name__.lower()
    assert 0 < len(message.view) <= 64
    for name in {"count", "request"} & vars(message).keys():
        value = getattr(message, name)
        assert type(value) is int
        assert 0 <= value < 2**53
