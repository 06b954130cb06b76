"""The disk-full campaign in short; tools/torture: at length."""

from campaign import SEED, needs_disks, nothing_wrong, scratch  # noqa: F401

import disk_full

CASES = 4


@needs_disks
def test_a_full_disk_costs_nothing_that_was_acknowledged(scratch):
    nothing_wrong(disk_full.run(scratch, SEED, CASES), CASES)
