"""What the tests here have in common: the harness of tests/wire, where scratch files go, and skipping by name.

Import it first: it makes `harness` known."""

import os
import pathlib
import shutil
import sys
import tempfile

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "wire")]

import device  # noqa: E402

NOSYNC = os.environ.get("DETRITUSD_NOSYNC", str(HERE.parents[1] / "build/tests/detritusd-nosync"))
SEED = os.environ.get("DETRITUS_FAULT_SEED", "suite")

missing = device.missing()
needs_disks = pytest.mark.skipif(missing is not None, reason=f"needs root, FUSE, loop devices and nbdkit: {missing}")


@pytest.fixture
def scratch():
    """A directory in memory, where that is to be had: the disks under test are files, and copied often."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix="detritus-fault-", dir=memory()))
    yield directory
    shutil.rmtree(directory)


def memory():
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def nothing_wrong(result, cases):
    """A campaign that ran, had something to look for, and found nothing wrong."""
    assert not result.failures, result
    assert result.cases == cases and result.findings.records and result.findings.blobs, result.row()
