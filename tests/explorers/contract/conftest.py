"""The contract is tested with the toy, and with images where both may differ (`BOTH`)."""

from __future__ import annotations

import pytest

from tests.explorers.contract.cases import TOY, Case


@pytest.fixture
def case(request: pytest.FixtureRequest) -> Case:
    """Which explorer the fixtures make."""
    chosen: Case = getattr(request, "param", TOY)
    return chosen
