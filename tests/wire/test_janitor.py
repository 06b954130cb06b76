"""Retention: what is too old goes, what is still referred to or held stays."""

import contextlib
import sqlite3

import pytest

from harness import crash, ctl, grpc, otlp
from harness.crash import attachment_part, dump_part, metadata_part, upload
from harness.daemon import ACME, IS_REFERENCE, sha256, wait_until

EVERYTHING_GOES = {"logs": {"ttl_days": 0}, "crashes": {"ttl_days": 0}, "janitor": {"interval_secs": 1}}
OLD_THINGS_GO = {"janitor": {"interval_secs": 1}}
ours = pytest.mark.ours


def cycles(daemon, more=1):
    """Waits until the janitor has been round again, from a fresh start."""
    seen = daemon.metric("detritus_janitor_cycles_total")
    daemon.wait_metric("detritus_janitor_cycles_total", lambda n: n >= seen + more)


def edit(daemon, *statements):
    """Changes the database of a daemon that is not running."""
    assert not daemon.running
    with contextlib.closing(sqlite3.connect(daemon.data_dir / "detritus.db")) as database:
        database.execute("PRAGMA foreign_keys = ON")
        with database:
            for sql, parameters in statements:
                assert database.execute(sql, parameters).rowcount == 1, sql


def again(start_daemon, daemon, config):
    """The same data directory under other settings."""
    return start_daemon(config, directory=daemon.directory)


def test_crashes_go(start_daemon, source):
    daemon = start_daemon(EVERYTHING_GOES)
    dump, note = b"MDMP soon gone", b"a note, soon gone too"
    response = upload(daemon, "1.1", ACME, metadata_part(source), dump_part(dump), attachment_part("note", note))
    assert response.status == 201
    wait_until(lambda: not daemon.mirror_files(source) and not daemon.blob(sha256(dump)).exists()
               and not daemon.blob(sha256(note)).exists(), "the crash's end")
    freed = len(dump) + len(note)
    daemon.wait_metric("detritus_janitor_blobs_freed_total", lambda n: n == 2)
    assert daemon.metric("detritus_janitor_bytes_freed_total") >= freed
    if not daemon.reference:
        assert daemon.rows("SELECT * FROM crash") == daemon.rows("SELECT * FROM blob") == []
        assert daemon.rows("SELECT * FROM attachment") == []
    # What is gone may come again.
    assert upload(daemon, "1.1", ACME, metadata_part(source), dump_part(dump)).json()["dedup"] is False


def test_logs_go(start_daemon, source):
    daemon = start_daemon(EVERYTHING_GOES)
    for _ in range(1 if IS_REFERENCE else 3):
        grpc.export(daemon, otlp.export_lines(source, 10), ACME).accepted()
        if daemon.reference:
            wait_until(lambda: daemon.log_files(source), "the log file")
        wait_until(lambda: not daemon.log_files(source), "the log file's end")
    assert daemon.metric("detritus_janitor_bytes_freed_total") > 0


@ours
def test_lines_written_after_a_deletion_are_there(start_daemon, source):
    """The descriptor of a deleted file is not written to."""
    daemon = start_daemon(EVERYTHING_GOES)
    grpc.export(daemon, otlp.export_lines(source, body="first"), ACME).accepted()
    wait_until(lambda: not daemon.log_files(source), "the log file's end")
    daemon.stop()
    daemon = again(start_daemon, daemon, {})
    grpc.export(daemon, otlp.export_lines(source, body="second"), ACME).accepted()
    assert [line["body"] for line in daemon.log_lines(source)] == ["second"]


def test_young_things_stay(start_daemon, source):
    daemon = start_daemon({"logs": {"ttl_days": 1}, "crashes": {"ttl_days": 1}, "janitor": {"interval_secs": 1}})
    crash.report(daemon, "1.1", ACME, source)
    grpc.export(daemon, otlp.export_lines(source), ACME).accepted()
    daemon.log_lines(source, 1)
    cycles(daemon, 2)
    assert len(daemon.mirror_files(source)) == len(daemon.log_files(source)) == 1
    assert daemon.metric("detritus_janitor_blobs_freed_total") == 0
    assert daemon.metric("detritus_janitor_last_logs_deleted") == 0


@ours
def test_age_is_by_receipt(start_daemon, source):
    """A crash of ten years ago that came in today is young."""
    daemon = start_daemon(OLD_THINGS_GO)
    crash.report(daemon, "1.1", ACME, source, timestamp="2016-05-19T00:00:00Z")
    cycles(daemon, 2)
    assert len(daemon.crash_rows(source)) == 1


@ours
def test_what_is_shared_stays(start_daemon, source):
    daemon = start_daemon()
    shared_dump, old_dump, shared_note, old_note = b"MDMP shared", b"MDMP old", b"shared note", b"old note"
    old, other_old, young = source, crash.Source.fresh(), crash.Source.fresh()
    upload(daemon, "1.1", ACME, metadata_part(old), dump_part(shared_dump), attachment_part("a", shared_note),
           attachment_part("b", old_note))
    upload(daemon, "1.1", ACME, metadata_part(other_old), dump_part(old_dump))
    upload(daemon, "1.1", ACME, metadata_part(young), dump_part(b"MDMP young"), attachment_part("dump", shared_dump),
           attachment_part("note", shared_note))
    daemon.nothing_left()
    daemon.stop()
    ids = [daemon.crash_rows(one)[0]["id"] for one in (old, other_old)]
    edit(daemon, *(("UPDATE crash SET received_at = '2020-01-01T00:00:00.000Z' WHERE id = ?", (id,)) for id in ids))
    daemon = again(start_daemon, daemon, OLD_THINGS_GO)
    daemon.wait_metric("detritus_janitor_blobs_freed_total", lambda n: n == 2)
    assert daemon.metric("detritus_janitor_bytes_freed_total") >= len(old_dump) + len(old_note)
    cycles(daemon, 2)
    assert not daemon.mirror_files(old) and not daemon.mirror_files(other_old)
    for gone in (old_dump, old_note):
        assert not daemon.blob(sha256(gone)).exists()
    for kept in (shared_dump, shared_note, b"MDMP young"):
        assert daemon.blob(sha256(kept)).read_bytes() == kept
    assert {row["sha256"]: row["refs"] for row in daemon.rows("SELECT sha256, refs FROM blob")} == {
        sha256(shared_dump): 1, sha256(shared_note): 1, sha256(b"MDMP young"): 1}


@ours
def test_what_is_held_stays(start_daemon, source):
    daemon = start_daemon()
    other = crash.Source.fresh()
    dump, note = b"MDMP held", b"held note"
    upload(daemon, "1.1", ACME, metadata_part(source), dump_part(dump), attachment_part("note", note))
    crash.report(daemon, "1.1", ACME, other, b"MDMP not held")
    daemon.nothing_left()
    daemon.stop()
    edit(daemon, ("UPDATE crash SET held = 1 WHERE id = ?", (daemon.crash_rows(source)[0]["id"],)))
    daemon = again(start_daemon, daemon, EVERYTHING_GOES)
    wait_until(lambda: not daemon.blob(sha256(b"MDMP not held")).exists(), "the other crash's end")
    cycles(daemon, 2)
    assert len(daemon.crash_rows(source)) == 1 and len(daemon.mirror_files(source)) == 1
    assert daemon.blob(sha256(dump)).read_bytes() == dump and daemon.blob(sha256(note)).read_bytes() == note


@ours
def test_old_log_files_go_by_their_day(start_daemon, source):
    daemon = start_daemon()
    grpc.export(daemon, otlp.export_lines(source), ACME).accepted()
    daemon.nothing_left()
    daemon.stop()
    [path] = daemon.log_files(source)
    path.rename(path.with_name("2020-01-01.ndjson"))
    edit(daemon, ("UPDATE log_file SET day = '2020-01-01' WHERE day = ?", (path.stem,)))
    daemon = again(start_daemon, daemon, OLD_THINGS_GO)
    grpc.export(daemon, otlp.export_lines(source), ACME).accepted()
    wait_until(lambda: [one.name for one in daemon.log_files(source)] == [path.name] or
               (len(daemon.log_files(source)) == 1 and daemon.log_files(source)[0].stem != "2020-01-01"),
               "the old file's end")
    wait_until(lambda: not daemon.rows("SELECT 1 FROM log_file WHERE day = '2020-01-01'"), "its row's end")


@ours
def test_a_dump_that_comes_again_while_it_goes(start_daemon, source):
    """Uploads that dedup race with the deletion: an acknowledged report's blob is never missing."""
    daemon = start_daemon(EVERYTHING_GOES)
    dump = b"MDMP now you see me"
    for n in range(60):
        crash.report(daemon, "1.1", ACME, source, dump, timestamp=f"2026-05-19T00:{n:02}:00Z")
        assert "row without blob" not in str(daemon.disorder())


@ours
def test_the_janitor_keeps_time(start_daemon):
    daemon = start_daemon(OLD_THINGS_GO)
    cycles(daemon, 2)
    assert daemon.metric("detritus_janitor_cycle_duration_seconds_count", 0, result="ok") >= 2
    assert daemon.metric("detritus_janitor_cycle_duration_seconds_count", 0, result="error") == 0


@ours
def test_sources_of_which_nothing_is_left_go(start_daemon):
    daemon = start_daemon({"janitor": {"interval_secs": 3600}})
    sources = [crash.Source.fresh() for _ in range(500)]
    for n, gone in enumerate(sources):
        if n % 2:
            crash.report(daemon, "1.1", ACME, gone)
        else:
            grpc.export(daemon, otlp.export_lines(gone, 1), ACME).accepted()
    daemon.stop()
    kept = {sources[0].install_id, sources[1].install_id}
    daemon = again(start_daemon, daemon, {"crashes": {"ttl_days": 0}, "logs": {"ttl_days": 0},
                                          "janitor": {"interval_secs": 3600}})
    assert daemon.rows("SELECT * FROM source") == []
    for source in sources[:2]:
        crash.report(daemon, "1.1", ACME, source)
    daemon.stop()
    daemon = again(start_daemon, daemon, OLD_THINGS_GO)
    cycles(daemon)
    assert {row["install_id"] for row in daemon.rows("SELECT install_id FROM source")} == kept
    ids = [row["id"] for row in daemon.rows("SELECT id FROM crash")]
    ctl.run(daemon.data_dir, "crashes", "delete", *ids, "--yes")
    wait_until(lambda: daemon.rows("SELECT * FROM source") == [], "the rows of sources without crashes")
