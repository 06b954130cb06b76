"""A clock that jumps deletes nothing. A preloaded library (tests/fault/shifted_clock.c) shifts the daemon's clock by what
a file says, which the test changes while the daemon runs."""

import os
import pathlib
import time

import pytest

from harness import ctl, grpc, otlp
from harness.crash import dump_part, metadata_part, upload
from harness.daemon import ACME, DETRITUSD, Daemon, sha256, wait_until

pytestmark = pytest.mark.ours

LIBRARY = os.environ.get("DETRITUS_SHIFTED_CLOCK") or str(pathlib.Path(DETRITUSD).parents[2] / "tests/libshifted-clock.so")
DAY_SECS = 86400
EACH_SECOND = {"janitor": {"interval_secs": 1}}
DUMP = b"MDMP that must stay"


@pytest.fixture
def clock(tmp_path):
    return Clock(tmp_path / "shift")


class Clock:
    def __init__(self, path):
        self.path = path
        self.shift(0)

    def shift(self, secs):
        fresh = self.path.with_suffix(".new")
        fresh.write_text(f"{secs}\n")
        fresh.rename(self.path)

    def environment(self):
        return {"LD_PRELOAD": LIBRARY, "DETRITUS_CLOCK_SHIFT": str(self.path), "ASAN_OPTIONS": "verify_asan_link_order=0"}


def start(start_daemon, clock, **settings):
    return start_daemon(EACH_SECOND, environment=clock.environment(), **settings)


def store(daemon, source):
    assert upload(daemon, "1.1", ACME, metadata_part(source), dump_part(DUMP)).status == 201
    grpc.export(daemon, otlp.export_lines(source, 3), ACME).accepted()


def cycles(daemon, more=2):
    seen = daemon.metric("detritus_janitor_cycles_total")
    daemon.wait_metric("detritus_janitor_cycles_total", lambda n: n >= seen + more)


def expect_everything(daemon, source, log_files=1):
    assert daemon.blob(sha256(DUMP)).exists()
    assert len(daemon.mirror_files(source)) == 1
    assert len(daemon.log_files(source)) == log_files
    assert len(daemon.rows("SELECT * FROM crash")) == 1


def trouble(daemon):
    return daemon.metric("detritus_trouble", kind="retention_clock")


def test_running_daemon_whose_clock_is_ahead_for_a_moment(start_daemon, clock, source):
    daemon = start(start_daemon, clock)
    store(daemon, source)
    cycles(daemon)
    clock.shift(100 * DAY_SECS)
    wait_until(lambda: trouble(daemon) == 1, "doubts about the clock")
    cycles(daemon)
    expect_everything(daemon, source)
    [entry] = [t for t in daemon.request("1.1", "GET", "/healthz?detail").json()["troubles"] if t["kind"] == "retention_clock"]
    assert "ahead by 100 days" in entry["reason"] and "--confirm-clock" in entry["reason"]
    assert daemon.request("1.1", "GET", "/healthz").status == 204
    assert "ahead by 100 days" in ctl.run(daemon.data_dir, "status", status=1).stdout
    clock.shift(0)
    wait_until(lambda: trouble(daemon) == 0, "the clock being believed again")
    cycles(daemon)
    expect_everything(daemon, source)
    assert daemon.log.text().count("retention deletes nothing") == 1


def test_start_with_a_clock_ahead(start_daemon, clock, source):
    daemon = start(start_daemon, clock)
    store(daemon, source)
    daemon.stop()
    clock.shift(100 * DAY_SECS)
    daemon = start(start_daemon, clock, directory=daemon.directory)
    cycles(daemon)
    expect_everything(daemon, source)
    asked = ctl.run(daemon.data_dir, "gc", status=1)
    assert "ahead by" in asked.stderr and "--confirm-clock" in asked.stderr
    expect_everything(daemon, source)
    ctl.run(daemon.data_dir, "gc", "--confirm-clock")
    assert not daemon.log_files(source) and not daemon.mirror_files(source)
    assert trouble(daemon) == 0


def test_gc_without_a_daemon(start_daemon, clock, source):
    daemon = start(start_daemon, clock)
    store(daemon, source)
    daemon.stop()
    clock.shift(100 * DAY_SECS)
    gc, environment = ("gc", "--config", daemon.directory / "detritusd.yaml"), clock.environment()
    asked = ctl.call(*gc, environment=environment, status=1)
    assert "ahead by" in asked.stderr
    assert daemon.log_files(source) and daemon.mirror_files(source)
    ctl.call(*gc, "--confirm-clock", environment=environment)
    assert not daemon.log_files(source) and not daemon.mirror_files(source)


def test_first_start_in_1970(start_daemon, clock, source):
    clock.shift(3600 - int(time.time()))
    daemon = start(start_daemon, clock)
    store(daemon, source)
    cycles(daemon)
    assert [path.name for path in daemon.log_files(source)] == ["1970-01-01.ndjson"]
    clock.shift(0)
    wait_until(lambda: trouble(daemon) == 0, "the clock being believed")
    cycles(daemon)
    expect_everything(daemon, source)
    daemon.stop()
    daemon = start(start_daemon, clock, directory=daemon.directory)
    cycles(daemon)
    expect_everything(daemon, source)


def test_start_that_fails_deletes_nothing(start_daemon, source):
    daemon = start_daemon({"janitor": {"interval_secs": 3600}})
    store(daemon, source)
    other = start_daemon()
    address = "%s:%d" % other.address
    daemon.stop()
    everything_goes = {"logs": {"ttl_days": 0}, "crashes": {"ttl_days": 0}}
    for broken in ({"bind": address}, {"listeners": [{"bind": "127.0.0.1:0"}, {"bind": address}]},
                   {"tokens_config": "/nonexistent/tokens.toml"}):
        Daemon(daemon.directory, {**everything_goes, **broken}).refuses_to_start()
        expect_everything(daemon, source)
    daemon = start_daemon(everything_goes, directory=daemon.directory)
    wait_until(lambda: not daemon.log_files(source) and not daemon.mirror_files(source), "the control: all goes")
