"""The generator of data directories: the same seed makes the same rows, and the daemon takes what it made for its own."""

import contextlib
import json
import re
import sqlite3

import pytest

from harness.daemon import wait_until
from harness.generate import generate

pytestmark = pytest.mark.ours

SMALL = ("--crashes", 600, "--sources", 40, "--projects", 3, "--days", 20)


def rows(data_dir, sql):
    with contextlib.closing(sqlite3.connect(f"file:{data_dir}/detritus.db?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute(sql)]


def everything(data_dir):
    tables = [row["name"] for row in rows(data_dir, "SELECT name FROM sqlite_schema WHERE type = 'table'"
                                                    " AND name NOT LIKE 'sqlite_%'")]
    assert {"source", "crash", "attachment", "blob", "log_file", "usage", "blob_use"} <= set(tables)
    return {table: rows(data_dir, f"SELECT * FROM {table}") for table in tables}


def test_a_seed_makes_the_same_rows(tmp_path):
    until = ("--until", "2026-11-24T12:00:00Z")
    for name, seed in (("one", 7), ("same", 7), ("other", 8)):
        generate(tmp_path / name, *SMALL, *until, "--seed", seed)
    assert everything(tmp_path / "one") == everything(tmp_path / "same")
    assert everything(tmp_path / "one") != everything(tmp_path / "other")


@pytest.mark.parametrize("files", [[], ["--files"]], ids=["rows", "files"])
def test_the_books_are_right(tmp_path, files):
    said = generate(tmp_path, *SMALL, *files)
    assert said.startswith("600 crashes with ") and ("rows only" in said) == (not files)
    assert rows(tmp_path, "PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    assert rows(tmp_path, "PRAGMA foreign_key_check") == []
    [count] = rows(tmp_path, "SELECT count(*) AS crashes, count(DISTINCT source_project) AS projects,"
                             " count(DISTINCT kind) AS kinds, count(DISTINCT version) > 4 AS versions,"
                             " count(DISTINCT panic_text) > 30 AS panics, sum(dedup) > 20 AS dedup, sum(held) < 60 AS held,"
                             " max(received_at) > strftime('%Y-%m-%d', 'now', '-2 days') AS now,"
                             " min(received_at) < strftime('%Y-%m-%d', 'now', '-18 days') AS days FROM crash")
    assert count == {"crashes": 600, "projects": 3, "kinds": 3, "versions": 1, "panics": 1, "dedup": 1, "held": 1,
                     "now": 1, "days": 1}
    assert rows(tmp_path, "SELECT sha256 FROM blob WHERE refs <>"
                          " (SELECT count(*) FROM crash WHERE dump_sha256 = sha256) +"
                          " (SELECT count(*) FROM attachment AS a WHERE a.sha256 = blob.sha256)") == []
    assert rows(tmp_path, "SELECT sum(len) AS n FROM blob") == \
        rows(tmp_path, "SELECT crash_bytes AS n FROM usage WHERE project = ''")
    assert rows(tmp_path, "SELECT 1 FROM source WHERE last_seen_at < first_seen_at"
                          " OR NOT EXISTS (SELECT 1 FROM log_file WHERE source_id = source.id)") == []
    for row in rows(tmp_path, "SELECT crash.*, project, install_id FROM crash JOIN source ON source.id = source_id"):
        said = json.loads(row["metadata"])
        assert said["source"] == {key: row[key] for key in ("project", "platform", "version", "install_id")}
        assert said["build"] == {key: row[key] for key in ("git_sha", "profile", "target_triple")}
        assert (said["panic_text"], said["context"]) == (row["panic_text"], json.loads(row["context"]))
        # A client's clock is its own, but nothing made up crashes after it was received.
        assert row["crashed_at"] < row["received_at"]


def test_the_daemon_takes_it_for_its_own(start_daemon, tmp_path):
    generate(tmp_path / "daemon-0/data", *SMALL, "--files")
    daemon = start_daemon({"logs": {"ttl_days": 100}})
    assert daemon.disorder() == []
    assert daemon.rows("SELECT count(*) AS n FROM crash") == [{"n": 600}]
    daemon.stop()
    # After a stop that was not in order it looks at everything, and finds nothing to put right.
    (daemon.data_dir / "lock").write_text("1\nrunning\n")
    daemon.start()
    said = daemon.log.wait(r"the last stop was not orderly.*")
    assert daemon.disorder() == [], said
    assert not re.search(r"ERROR|blobs_lost=[1-9]|damaged=[1-9]", daemon.log.text()), daemon.log.text()


def test_the_mirror_says_what_the_database_says(start_daemon, tmp_path):
    data_dir = tmp_path / "daemon-0/data"
    generate(data_dir, *SMALL, "--files")
    sql = ("SELECT project, install_id, crash.platform, crash.version, dump_sha256, dump_content_encoding, kind, crashed_at,"
           " received_at, git_sha, profile, target_triple, panic_text, context, metadata, dedup"
           " FROM crash JOIN source ON source.id = source_id ORDER BY dump_sha256, crashed_at")
    before = rows(data_dir, sql)
    for name in ("detritus.db", "detritus.db-wal", "detritus.db-shm"):
        (data_dir / name).unlink(missing_ok=True)
    daemon = start_daemon({"logs": {"ttl_days": 100}})
    wait_until(lambda: daemon.rows("SELECT count(*) AS n FROM crash")[0]["n"] == 600, "the crashes of the mirror")
    assert daemon.rows(sql) == before


def test_a_directory_in_use_is_left_alone(start_daemon):
    daemon = start_daemon()
    with daemon.unchanged():
        assert "lock" in generate(daemon.data_dir, *SMALL, status=1)


def test_the_same_crashes_do_not_go_in_twice(tmp_path):
    until = ("--until", "2026-11-24T12:00:00Z")
    generate(tmp_path, *SMALL, *until)
    assert "there already" in generate(tmp_path, *SMALL, *until, status=1)
    assert rows(tmp_path, "SELECT count(*) AS n FROM crash") == [{"n": 600}]
    generate(tmp_path, *SMALL, *until, "--seed", 2)
    assert rows(tmp_path, "SELECT count(*) AS n FROM crash") == [{"n": 1200}]
