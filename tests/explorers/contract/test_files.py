"""What an explorer sends to be saved."""

import json

import numpy as np
import pytest

from tests.explorers.contract.toy import point
from tests.explorers.subjects import SECONDS, ready, tasks_of


@pytest.mark.parametrize(("kind", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("npz", b"PK")])
def test_files_are_sent_to_the_view_that_asks(explore, kind, start, tmp_path):
    explorer = explore(target=1)
    ready(explorer)
    explorer.comm.hear({"type": "export", "view": "v", "kind": kind}, [])
    assert tasks_of(explorer).wait(SECONDS)
    explorer.comm.settle()
    (sent,) = [message for message in explorer.comm.files if message[0]["type"] == "file"]
    assert sent[0] == {"type": "file", "name": f"attribution.{kind}", "view": "v", "request": 0}
    assert sent[1][0].startswith(start)
    getattr(explorer, f"to_{kind}")(tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == sent[1][0]


def test_arrays_say_all_that_was_sampled(explore, tmp_path):
    x = point()[None]
    for options in ({"method": "gausslegendre"}, {"method": "secant"}, {"method": "auto", "tol": 0.01}):
        explorer = explore(inputs=x[0], target=1, **options)
        result = ready(explorer)
        explorer.to_npz(tmp_path / "x.npz")
        with np.load(tmp_path / "x.npz", allow_pickle=False) as arrays:
            found = dict(arrays)
        settings = json.loads(str(found["settings"]))
        exact = result.attributions[0].numpy()
        np.testing.assert_array_equal(found["attributions"], exact)
        summed = np.tensordot(found["weights"], found["maps"], 1)
        assert np.abs(summed - exact).max() < 1e-3 * np.abs(exact).max()
        assert found["weights"] @ found["density"] == pytest.approx(exact.sum(), rel=1e-6)
        assert settings["convergence_delta"] == pytest.approx(float(result.convergence_delta))
        assert (found["output_alphas"][0], found["output_alphas"][-1]) == (0, 1)
