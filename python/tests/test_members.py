"""A member of a saved tree is loaded alone."""

from __future__ import annotations

import numpy as np
import pytest
import waypost
from waypost.checkpoint import load_member


def test_a_member_is_loaded_alone(prefix: str) -> None:
    part = {"state": {0: {"m": np.arange(3)}}, "groups": [{"rate": 0.1, "betas": (0.9, None)}], "empty": {}}
    waypost.save(prefix, {"model": {"w": np.ones(4)}, "optimizer": part, "step": 3, "none": None})
    loaded = load_member(prefix, "optimizer")
    np.testing.assert_array_equal(loaded["state"][0].pop("m"), np.arange(3))
    assert loaded == {"state": {0: {}}, "groups": [{"rate": 0.1, "betas": (0.9, None)}], "empty": {}}
    assert load_member(prefix, "step") == 3
    assert load_member(prefix, "none") is None
    assert load_member(prefix, "other") is None


def test_only_a_dict_has_members(prefix: str) -> None:
    waypost.save(prefix, [1, 2])
    assert load_member(prefix, "0") is None
    with pytest.raises(waypost.NotFoundError):
        load_member(prefix + "-none", "0")
