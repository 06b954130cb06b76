"""An unmodified detritus-client 0.1.0 against our daemon and against its own receiver, detritus-server 0.1.0: what both
leave on disk is compared key by key. DETRITUS_REFERENCE names a detritusd of the reference; without it one is installed
by cargo into the cache."""

import copy
import json
import os
import pathlib
import shutil

import pytest

from conftest import CACHE, attempt, cargo_build
from harness import children, daemon as harness
from harness.crash import Source
from harness.daemon import ACME, Daemon

pytestmark = [pytest.mark.slow, pytest.mark.interop]

SERVER = "detritus-server@0.1.0"
INSTALL_ID = "11111111-2222-4333-8444-555555555555"
SOURCE = Source("acme", INSTALL_ID)

# The differences we accept, and no others. In a log line: keys that only our lines have.
LOG_KEYS_OURS = {
    "platform": "linux",
    "version": "1.4.2",
    "scope": {"name": "detritus-client", "version": "0.1.0", "attributes": {}},
}
# Keys that differ from run to run: the client stamps each record.
LOG_KEYS_VARYING = {"time_unix_nano", "observed_time_unix_nano"}
# In the JSON index: nothing. Crashes are shipped to both from one spool, so every byte is the same.
INDEX_DIFFERENCES = {}


@pytest.fixture(scope="module")
def client():
    """The client program, built."""
    return cargo_build("detritus-client-interop")


@pytest.fixture(scope="module")
def reference_path():
    """The reference receiver's binary."""
    given = os.environ.get("DETRITUS_REFERENCE")
    if given:
        return pathlib.Path(given)
    if not shutil.which("cargo"):
        pytest.skip("cargo is not installed, and DETRITUS_REFERENCE is not set")
    root = CACHE / "reference"
    if not (root / "bin/detritusd").exists():
        wrong = attempt("cargo", "install", "--locked", "--root", root, "--target-dir", CACHE / "cargo-target", SERVER)
        if wrong:
            pytest.skip(f"detritus-server does not install here: {wrong}")
    return root / "bin/detritusd"


@pytest.fixture
def reference(reference_path, tmp_path, monkeypatch):
    monkeypatch.setattr(harness, "IS_REFERENCE", True)
    monkeypatch.setattr(harness, "DETRITUSD", str(reference_path))
    started = Daemon(tmp_path / "reference").start()
    monkeypatch.undo()
    yield started
    started.stop()


def run(client, *arguments):
    done = children.run([str(client), *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done
    assert "[observability]" not in done.stderr, done.stderr
    return done.stdout.strip()


def comparable(line, ours):
    line = copy.deepcopy(line)
    for key in LOG_KEYS_VARYING:
        assert isinstance(line.pop(key), int)
    if ours:
        scope = line.get("scope", {})
        scope.setdefault("attributes", {})  # may be left out while it is empty
        assert {key: line.pop(key, None) for key in LOG_KEYS_OURS} == LOG_KEYS_OURS
    return line


@pytest.mark.ours
def test_tracing_events_are_the_same_lines(client, start_daemon, reference, tmp_path):
    ours = start_daemon()
    for daemon in (ours, reference):
        run(client, "logs", daemon.url, ACME.secret, INSTALL_ID, tmp_path / ("queue-" + daemon.directory.name))
    got = [comparable(line, True) for line in ours.log_lines(SOURCE, 6)]
    expected = [comparable(line, False) for line in reference.log_lines(SOURCE, 6)]
    for mine, theirs in zip(got, expected):
        assert list(mine) and mine == theirs
    assert [line["severity_text"] for line in got] == ["ERROR", "WARN", "INFO", "DEBUG", "TRACE", "INFO"]


def spooled(client, directory, context=b'{"tick": 42}'):
    """A spool with one pending crash."""
    context_file = directory / "context.json"
    context_file.write_bytes(context)
    run(client, "panic", INSTALL_ID, directory / "spool", context_file)
    [_] = (directory / "spool/pending").iterdir()
    return directory / "spool"


def tree(daemon):
    root = daemon.data_dir / "crashes"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_a_panic_is_the_same_report(client, start_daemon, reference, tmp_path):
    ours = start_daemon()
    spool = spooled(client, tmp_path)
    for daemon in (ours, reference):
        copied = shutil.copytree(spool, tmp_path / ("spool-" + daemon.directory.name))
        assert run(client, "ship", daemon.url, ACME.secret, copied) == "1"
        assert list((copied / "pending").iterdir()) == []
    mine, theirs = tree(ours), tree(reference)
    assert mine.keys() == theirs.keys()  # the same blobs under the same hashes, the same index file
    for name in mine:
        if name.endswith(".bin"):
            assert mine[name] == theirs[name], name
            continue
        got, expected = json.loads(mine[name]), json.loads(theirs[name])
        differences = {key: (got.get(key), expected.get(key)) for key in got.keys() | expected.keys()
                       if got.get(key) != expected.get(key)}
        assert differences == INDEX_DIFFERENCES, name
        assert list(got) == list(expected) and list(got["metadata"]) == list(expected["metadata"])
        assert got["dump"]["content_encoding"] == "zstd"


def test_the_client_may_ship_again(client, start_daemon, tmp_path):
    """A client that crashed between upload and rename sends the same report twice."""
    ours = start_daemon()
    spool = spooled(client, tmp_path)
    again = shutil.copytree(spool, tmp_path / "again")
    assert run(client, "ship", ours.url, ACME.secret, spool) == "1"
    assert run(client, "ship", ours.url, ACME.secret, again) == "1"
    assert len(ours.mirror_files(SOURCE)) == 1


@pytest.mark.ours
def test_what_the_reference_wrote_is_taken_over(client, reference, start_daemon, tmp_path):
    """Its data directory under our daemon: indexed, deduplicated against, appended to."""
    spool = spooled(client, tmp_path)
    kept = shutil.copytree(spool, tmp_path / "kept")
    run(client, "logs", reference.url, ACME.secret, INSTALL_ID, tmp_path / "queue")
    assert run(client, "ship", reference.url, ACME.secret, spool) == "1"
    reference.log_lines(SOURCE, 6)
    reference.stop()
    shutil.copytree(reference.data_dir, tmp_path / "taken-over/data")
    ours = start_daemon(directory=tmp_path / "taken-over")
    [row] = ours.crash_rows(SOURCE)
    assert row["panic_text"].startswith("the interop panic")
    assert run(client, "ship", ours.url, ACME.secret, kept) == "1"
    run(client, "logs", ours.url, ACME.secret, INSTALL_ID, tmp_path / "queue")
    assert len(ours.crash_rows(SOURCE)) == len(ours.mirror_files(SOURCE)) == 1
    ours.log_lines(SOURCE, 12)
