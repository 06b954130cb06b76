"""tests/bench/promise of detritusd: what is acknowledged is there, and a daemon that does not sync is found out."""

import os
import pathlib
import sys
import types

import pytest
from campaign import NOSYNC, needs_disks, scratch  # noqa: F401

from harness.daemon import DETRITUSCTL, DETRITUSD, REPO

sys.path.insert(0, str(REPO / "tests/bench"))
from suite import promise  # noqa: E402

TOOLS = types.SimpleNamespace(
    detritusctl=DETRITUSCTL, load=os.environ.get("DETRITUS_LOAD", str(REPO / "build/tools/load/detritus-load")))
ALL = promise.EXPORTS * promise.RECORDS


def test_what_was_acknowledged_survives_a_kill(scratch):
    assert promise.after_kill("detritus", DETRITUSD, TOOLS, scratch, 0) == ALL


@needs_disks
@pytest.mark.parametrize("daemon, survives", [(DETRITUSD, True), (NOSYNC, False)], ids=["as it is", "without syncs"])
def test_what_was_acknowledged_survives_a_power_cut(scratch, daemon, survives, monkeypatch):
    monkeypatch.setenv("DETRITUS_NOSYNC", "*")
    assert pathlib.Path(daemon).exists()
    assert (promise.after_power_cut("detritus", daemon, TOOLS, scratch, 0) == ALL) == survives
