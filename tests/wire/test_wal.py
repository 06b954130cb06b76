"""Somebody at the sqlite3 prompt who forgets a transaction: the WAL grows, and the daemon says who it is."""

import re
import shutil
import subprocess

import pytest

from harness import children, ctl
from harness.crash import report
from harness.daemon import ACME, wait_until

pytestmark = pytest.mark.ours

WATCHED_BYTES = 24 << 20
LARGE = {"text": "x" * 60000}


@pytest.fixture
def reader():
    """reader(daemon): sqlite3 with a transaction open."""
    started = []

    def begin(daemon):
        process = children.start([shutil.which("sqlite3"), "-readonly", str(daemon.data_dir / "detritus.db")],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        started.append(process)
        process.stdin.write("BEGIN; SELECT 'begun', count(*) FROM crash;\n")
        process.stdin.flush()
        assert process.stdout.readline().startswith("begun")
        return process

    yield begin
    for process in started:
        children.end(process)


def fill(daemon, source, done):
    """Uploads with much metadata until done()."""
    for n in range(2000):
        if done():
            return
        report(daemon, "1.1", ACME, source, b"MDMP %d" % n, context=LARGE)
    raise AssertionError("2,000 uploads were not enough")


def trouble(daemon):
    return daemon.metric("detritus_trouble", kind="index_reader")


def test_reader_in_a_transaction_is_named(start_daemon, source, reader):
    daemon = start_daemon()
    process = reader(daemon)
    fill(daemon, source, lambda: trouble(daemon) == 1)
    assert daemon.metric("detritus_index_wal_bytes") >= WATCHED_BYTES
    assert (daemon.data_dir / "detritus.db-wal").stat().st_size >= WATCHED_BYTES
    named = f"sqlite3 (pid {process.pid})"
    assert re.search(re.escape(named) + ".*WAL", daemon.log.text())
    assert named in ctl.run(daemon.data_dir, "status", status=1).stdout
    assert named in ctl.run(daemon.data_dir, "doctor").stdout
    assert daemon.request("1.1", "GET", "/healthz").status == 204  # it stops nothing
    children.end(process)
    fill(daemon, source, lambda: trouble(daemon) == 0)
    assert daemon.metric("detritus_index_wal_bytes") < WATCHED_BYTES
    wait_until(lambda: "the WAL of the database has been cut again" in daemon.log.text(), "the end in the log")


def test_no_reader(start_daemon, source):
    """The control: as much is uploaded, and nobody is named."""
    daemon = start_daemon()
    seen = []

    def enough():
        seen.append(daemon.metric("detritus_index_wal_bytes"))
        return len(seen) > 400

    fill(daemon, source, enough)
    assert max(seen) < WATCHED_BYTES and trouble(daemon) == 0
