"""Full data beside which no set may be certified."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_up import workplace

from raydistill.certify.candidate import TrialChoice
from raydistill.certify.run import certify_study
from raydistill.core.recipes import RECIPES
from raydistill.errors import DivergedError
from raydistill.storage.store import Store


def test_full_data_on_which_a_network_diverges_is_not_certified_beside(study: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rate of 1e30 leaves no weight finite; the test split stays sealed."""
    monkeypatch.setitem(RECIPES, "default", replace(RECIPES["default"], lr=1e30))
    with pytest.raises(DivergedError, match=r"trains on the full data.* is nan at step \d+; name a"):
        certify_study(study, TrialChoice(), workplace(), networks=2, again=False)
    assert not study.exists("certificate.json")
    assert not study.parent.files("test_openings")
