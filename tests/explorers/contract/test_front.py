"""The front end: one text for all explorers of a page, and nothing of it left with those that are closed."""

from __future__ import annotations

import comm
import pytest
from ipykernel.comm.comm import BaseComm

from ig_widgets.explorers import ImageExplorer
from ig_widgets.explorers.widget.frontend import front_end, hash_of
from tests.explorers.contract.cases import IMAGE

pytestmark = pytest.mark.parametrize("case", [IMAGE], indirect=True, ids=str)


def test_all_explorers_have_one_front_end_known_by_its_hash(explore):
    one, other = explore(), explore()
    assert one._front == other._front == front_end("image.js")
    assert one._front_hash == other._front_hash == hash_of(one._front)
    assert hash_of(one._front) != hash_of(one._front + " ")
    assert len(one._esm) < 2000
    assert ImageExplorer._esm == front_end("loader.js")


def test_a_closed_explorer_leaves_no_text_with_its_host(explore):
    explorer = explore()
    sent = []
    publish = explorer.comm.publish_msg
    explorer.comm.publish_msg = lambda kind, data=None, **rest: (sent.append((kind, data)), publish(kind, data, **rest))
    explorer.close()
    updates = [data["state"] for _, data in sent if data and data.get("method") == "update"]
    assert {name: value for state in updates for name, value in state.items()}.items() >= {("_front", ""), ("_css", "")}
    assert sent[-1][0] == "comm_close"


def test_a_browser_cannot_replace_it(explore, caplog):
    explorer = explore()
    before = explorer._front
    explorer.comm.set_traits(_front="export default 1")
    explorer.comm.set_traits(_front_hash="0")
    assert explorer._front == before
    assert explorer._front_hash == hash_of(before)
    assert caplog.text.count("a front end cannot set") == 2


def test_what_a_front_end_says_goes_where_it_says_itself(explore, monkeypatch):
    """And not to the subshell of what the kernel was told last, which may have ended."""
    monkeypatch.setattr(comm, "create_comm", BaseComm)
    explorer = explore()
    assert isinstance(explorer.comm, BaseComm)
    explorer.comm._reply_subshell_id = "one that has ended"
    for own in (None, "a subshell"):
        route = getattr(explorer.comm, "_reply_subshell_for", lambda _data, default: default)
        assert route({"method": "update", "state": {}}, own) == own
