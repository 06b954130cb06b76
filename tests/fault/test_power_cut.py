"""The power-cut campaign in short (tools/torture: at length), and its controls: without syncs it finds what is lost."""

import os

import pytest
from campaign import NOSYNC, SEED, needs_disks, nothing_wrong, scratch  # noqa: F401

import power_cut
from moves import ACTIONS

CUTS = 40


@needs_disks
def test_what_was_acknowledged_survives_a_power_cut(scratch):
    nothing_wrong(power_cut.run(scratch, SEED, CUTS), CUTS)


@needs_disks
def test_also_of_files_that_somebody_moves_meanwhile(scratch):
    nothing_wrong(power_cut.run(scratch, f"{SEED}-moves", CUTS, moves=ACTIONS), CUTS)


@needs_disks
def test_one_recording_step_by_step(scratch):
    """tools/torture --every-cut takes each step."""
    result = power_cut.every_cut(scratch, SEED, step=29)
    assert not result.failures and result.cases > 10 and result.findings.records, result


@needs_disks
@pytest.mark.parametrize("pattern, what", [
    ("*", "log record"),         # nothing at all is synced
    ("*/journal/*.wal", "log record"),
    ("*/data/tmp*", "its blob"),  # the bytes of blobs before they get their names, and whatever is synced together
    ("*.ndjson", "log record"),  # what goes round the journal
])
def test_without_these_syncs_it_does_not(scratch, monkeypatch, pattern, what):
    """The check can fail: a daemon whose syncs do nothing loses what it acknowledged, and it is noticed."""
    assert os.access(NOSYNC, os.X_OK), f"no {NOSYNC}"
    monkeypatch.setenv("DETRITUS_NOSYNC", pattern)

    def lost(findings):
        return any(what in found for found in findings.lost)

    result = power_cut.run(scratch, f"{SEED}-control", 200, binary=NOSYNC, give_up=lost)
    assert lost(result.findings), f"{result.cases} cuts of a daemon that does not sync {pattern}, and nothing was lost"
