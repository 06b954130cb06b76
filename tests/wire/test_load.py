"""The load generator against the real daemon: what it says was stored is on disk, and what failed is said."""

import hashlib
import json
import os

import pytest

from harness import children
from harness.daemon import ACME, NARROW, REPO

LOAD = os.environ.get("DETRITUS_LOAD", str(REPO / "build/tools/load/detritus-load"))
# Numbers of requests, not times: nothing here depends on how fast the machine is.
COMMON = ["--connections", "6", "--threads", "2"]


def load(daemon, *arguments, token=ACME):
    done = children.run([LOAD, "--url", daemon.url, "--token", token.secret, "--project", "acme", "--json", *COMMON,
                         *arguments], capture_output=True, text=True)
    assert done.returncode in (0, 1) and not done.stderr, done
    return done.returncode, json.loads(done.stdout)


def lines_of(daemon):
    """{install id: its lines}"""
    return {path.parent.name: path.read_text().splitlines()
            for path in (daemon.data_dir / "logs/acme").glob("*/*.ndjson")}


def texts_have_their_number(lines):
    """What the benchmark tells a receiver's records by that keeps nothing but the text."""
    return all(json.loads(line)["body"] == "request finished, cart " + json.loads(line)["attributes"]["seq"]
               for some in lines.values() for line in some)


def seqs(lines):
    return sorted(int(json.loads(line)["attributes"]["seq"]) for some in lines.values() for line in some)


@pytest.mark.parametrize("how", [[], ["--random", "--rate", "20000"], ["--new-connection"]], ids="".join)
def test_every_record_is_on_disk_once(start_daemon, how):
    daemon = start_daemon()
    status, said = load(daemon, "--sources", "100", "--records", "3", "--streams", "4", "--requests", "2000", *how)
    assert (status, said["ok"], said["failed"], said["records_ok"]) == (0, 2000, 0, 6000)
    lines = lines_of(daemon)
    assert set(lines) == {f"s{n:06}" for n in range(100)} and texts_have_their_number(lines)
    assert seqs(lines) == list(range(6000))


def test_a_second_run_goes_on_where_the_first_ended(start_daemon):
    daemon = start_daemon()
    load(daemon, "--requests", "50")
    load(daemon, "--requests", "30", "--first", "50", "--sources", "7")
    assert seqs(lines_of(daemon)) == list(range(80))


def test_a_record_is_what_an_exporter_sends(start_daemon):
    daemon = start_daemon()
    load(daemon, "--requests", "1")
    [[line]] = lines_of(daemon).values()
    record = json.loads(line)
    assert record["body"] and record["severity_text"] == "INFO" and record["scope"] == {"name": "shop.checkout"}
    assert set(record["attributes"]) == {"seq", "duration_ms", "http.request.method", "code.namespace", "url.path"}
    assert record["observed_time_unix_nano"] > record["time_unix_nano"] > 10**18


@pytest.mark.parametrize("how", [[], ["--new-connection"]], ids="".join)
def test_every_dump_is_on_disk(start_daemon, how):
    daemon = start_daemon()
    status, said = load(daemon, "--crashes", "--bytes", "70000", "--sources", "20", "--requests", "100", *how)
    assert (status, said["ok"], said["failed"]) == (0, 100, 0)
    blobs = list((daemon.data_dir / "crashes/by-hash").glob("*/*.bin"))
    assert len(blobs) == 100 and all(blob.stat().st_size == 70000 for blob in blobs)
    assert all(hashlib.sha256(blob.read_bytes()).hexdigest() == blob.stem for blob in blobs)
    assert daemon.rows("SELECT count(DISTINCT source_id) AS sources, count(*) AS crashes FROM crash") == \
        [{"sources": 20, "crashes": 100}]


def test_a_refusal_is_counted_by_its_code(start_daemon):
    daemon = start_daemon()
    status, said = load(daemon, "--requests", "40", token=NARROW)  # may write installs of another prefix alone
    assert (status, said["ok"], said["failed"], said["failed_by"]) == (1, 0, 40, {"grpc 7": 40})
    status, said = load(daemon, "--crashes", "--bytes", "32", "--requests", "20", "--project", "other")
    assert (status, said["failed_by"]) == (1, {"http 403": 20})


def test_a_daemon_that_is_gone_is_an_error(start_daemon):
    daemon = start_daemon()
    daemon.stop()
    status, said = load(daemon, "--requests", "10")
    assert (status, said["ok"], said["connections_failed"]) == (1, 0, 6)
    assert "refused" in said["connection_error"]


def test_idle_connections_are_held(start_daemon):
    daemon = start_daemon()
    process = children.start([LOAD, "--url", daemon.url, "--mode", "idle", "--seconds", "3600", *COMMON])
    try:
        daemon.wait_metric("detritus_connections", lambda n: n == 7)  # and the one that asks
    finally:
        process.kill()
        process.wait()
