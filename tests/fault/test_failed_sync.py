"""The campaign of the failing disk in short; tools/torture: at length."""

from campaign import SEED, needs_disks, nothing_wrong, scratch  # noqa: F401

import failed_sync

CASES = 4


@needs_disks
def test_after_a_failed_sync_nothing_is_acknowledged(scratch):
    nothing_wrong(failed_sync.run(scratch, SEED, CASES), CASES)
