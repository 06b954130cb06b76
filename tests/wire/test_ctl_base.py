"""detritusctl status, top, gc, purge, crashes delete, hold and release: beside a daemon that takes uploads, without one,
two at once, and killed midway."""

import contextlib
import fcntl
import json
import os
import pathlib
import signal
import socket
import sqlite3
import subprocess

import pytest

from harness import children, crash, ctl, grpc, otlp
from harness.bulk import Control, Uploads, fill
from harness.children import DEADLINE_SECS
from harness.crash import attachment_part, dump_part, metadata_part, upload
from harness.daemon import ACME, DETRITUSCTL, OTHER, sha256, wait_until
from harness.full_disk import fill_up

pytestmark = pytest.mark.ours

KEPT = {"logs": {"ttl_days": 36500}, "crashes": {"ttl_days": 36500}}
NOTHING_KEPT = {"logs": {"ttl_days": 0}, "crashes": {"ttl_days": 0}, "janitor": {"interval_secs": 86400}}
up_and_down = pytest.mark.parametrize("state", ["up", "down"])


def whole(data_dir):
    """SQLite finds nothing, and references are what a recount says."""
    with contextlib.closing(sqlite3.connect(f"file:{data_dir}/detritus.db?mode=ro", uri=True)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        wrong = database.execute(
            "SELECT sha256, refs, (SELECT count(*) FROM crash WHERE dump_sha256 = sha256)"
            " + (SELECT count(*) FROM attachment AS a WHERE a.sha256 = blob.sha256) AS n FROM blob WHERE refs <> n")
        assert wrong.fetchall() == []


def tidy(daemon):
    """Rows and files agree."""
    assert daemon.disorder() == []
    whole(daemon.data_dir)
    logs = {str(path.relative_to(daemon.data_dir / "logs")) for path in (daemon.data_dir / "logs").rglob("*.ndjson")}
    rows = {f"{row['project']}/{row['install_id']}/{row['day']}.ndjson" for row in daemon.rows(
        "SELECT project, install_id, day FROM log_file JOIN source ON source.id = source_id")}
    assert logs == rows


def one(data_dir, *arguments, status=0):
    [found] = ctl.objects(data_dir, *arguments, status=status)
    return found


def set_state(daemon, state):
    if state == "down" and daemon.running:
        daemon.nothing_left()
        daemon.stop()


# ---- status ----

def test_status_of_a_daemon(start_daemon, source):
    daemon = start_daemon()
    crash.report(daemon, "1.1", ACME, source)
    grpc.export(daemon, otlp.export_lines(source, 7), ACME).accepted()
    found = one(daemon.data_dir, "status")
    assert found["state"] == "up" and found["problem"] is None
    assert found["stored"]["crashes"] == found["stored"]["crashes_last_hour"] == 1
    assert found["stored"]["crash_bytes"] == len(b"MDMP a dump")
    of_daemon = found["daemon"]
    assert of_daemon["pid"] == daemon.process.pid and of_daemon["listeners"] == ["%s:%d" % daemon.address]
    assert of_daemon["ready"] and of_daemon["takes_logs"] and of_daemon["takes_crashes"] and of_daemon["reason"] is None
    assert of_daemon["last_cycle"]["ok"] is True and of_daemon["disk"]["free_bytes"] > 0
    minute = of_daemon["rates"][0]
    assert (minute["log_records"], minute["log_requests"], minute["crashes"]) == (7, 1, 1)
    text = ctl.run(daemon.data_dir, "status").stdout
    for part in (f"pid {daemon.process.pid}", "%s:%d" % daemon.address, "takes       logs, crashes", "1 crash", "retention",
                 "last minute"):
        assert part in text
    assert "\x1b" not in text


def test_status_says_what_is_refused(start_daemon):
    daemon = start_daemon({"limits": {"disk_reserve_uploads_bytes": "1024GiB"}})
    found = one(daemon.data_dir, "status", status=1)  # not all is well
    assert (found["daemon"]["takes_crashes"], found["daemon"]["takes_logs"]) == (False, True)
    assert "reserve for uploads is reached" in found["daemon"]["reason"]
    assert "logs, NO crashes: the server's disk reserve" in ctl.run(daemon.data_dir, "status", status=1).stdout


def test_status_without_a_daemon(start_daemon, source, tmp_path):
    daemon = start_daemon()
    crash.report(daemon, "1.1", ACME, source)
    daemon.stop()
    found = one(daemon.data_dir, "status", status=3)
    assert found["state"] == "down" and found["daemon"] is None and found["stored"]["crashes"] == 1
    assert "detritusd is down" in ctl.run(daemon.data_dir, "status", status=3).stdout
    daemon = start_daemon(directory=daemon.directory)
    daemon.kill()
    assert one(daemon.data_dir, "status", status=3)["state"] == "died"  # with a stale socket
    for wrong in (tmp_path, tmp_path / "nowhere"):
        found = one(wrong, "status", status=4)
        assert found["state"] == "unknown" and "is not the data directory" in found["reason"]
        assert found["stored"] is None and "detritus.db" in found["problem"]


def test_status_that_cannot_tell(start_daemon):
    """A user who may not open the socket, or not even the directory."""
    daemon = start_daemon()
    daemon.directory.chmod(0o755)
    for parent in daemon.directory.parents:
        if parent.owner() == "root" and parent != parent.parent and not parent.stat().st_mode & 0o001:
            parent.chmod(parent.stat().st_mode | 0o001)
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", DETRITUSCTL, "--data-dir",
              daemon.data_dir, "status"]
    for mode in (0o750, 0o755):
        daemon.data_dir.chmod(mode)
        done = children.run(nobody, capture_output=True, text=True)
        assert done.returncode == 4, done
        assert "cannot tell whether detritusd is up" in done.stdout and "Permission denied" in done.stdout


def test_status_of_a_busy_daemon(start_daemon):
    """All connections of the control socket are taken: it is up all the same."""
    daemon = start_daemon()
    taken = []
    for _ in range(8):
        taken.append(socket.socket(socket.AF_UNIX))
        taken[-1].connect(str(daemon.data_dir / "control.sock"))
        taken[-1].sendall(b'{"op":"ping"}\n')
        assert taken[-1].recv(100)
    done = ctl.run(daemon.data_dir, "status", status=1)
    assert "detritusd is up, but" in done.stdout
    for one_of_them in taken:
        one_of_them.close()


def test_status_again_and_again(daemon):
    looks = ctl.objects(daemon.data_dir, "status", "--watch", "--interval", "0", "--count", "3")
    assert [look["state"] for look in looks] == ["up"] * 3


def test_status_is_quiet_about_a_lock(start_daemon):
    """Who looks does not take it."""
    daemon = start_daemon()
    daemon.stop()
    with open(daemon.data_dir / "lock", "r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{os.getpid()}\nrunning\n")
        lock.flush()
        found = one(daemon.data_dir, "status", status=4)
        assert (found["state"], found["held_by"]) == ("held", os.getpid())


def test_status_after_a_power_cut(start_daemon):
    """Some other process has the pid by now."""
    daemon = start_daemon()
    daemon.kill()
    (daemon.data_dir / "lock").write_text(f"{os.getpid()}\nrunning\n")
    found = one(daemon.data_dir, "status", status=3)
    assert found["state"] == "died" and "held_by" not in found


def test_top(daemon, source):
    grpc.export(daemon, otlp.export_lines(source, 5), ACME).accepted()
    crash.report(daemon, "1.1", ACME, source)
    size = len(daemon.log_text(source))

    def mine(row):
        return row["install_id"] == source.install_id

    def noted():
        found = [row for row in ctl.objects(daemon.data_dir, "top", "--count", "1", "--limit", "0") if mine(row)]
        return found and found[0]["bytes_today"] == size and found[0]

    row = wait_until(noted, "the day's totals")
    assert row["lines_today"] == 5 and row["crashes_5_min"] == 1 and row["bytes_per_second"] == 0
    looks = ctl.objects(daemon.data_dir, "top", "--count", "2", "--interval", "0", "--limit", "0")
    assert len([row for row in looks if mine(row)]) == 2
    assert source.install_id in ctl.run(daemon.data_dir, "top", "--count", "1", "--limit", "0").stdout


# ---- by id ----

def reports(daemon, source, count=3):
    for n in range(count):
        crash.report(daemon, "1.1", ACME, source, b"MDMP %d" % n, timestamp=f"2026-05-19T00:00:0{n}Z")
    return [row["id"] for row in daemon.crash_rows(source)]


@up_and_down
def test_crashes_are_deleted(start_daemon, source, state):
    daemon = start_daemon(KEPT)
    ids = reports(daemon, source)
    set_state(daemon, state)
    would = ctl.objects(daemon.data_dir, "crashes", "delete", "--dry-run", ids[0], sha256(b"MDMP 1")[:8])
    assert would == [{"id": ids[0], "result": "would be deleted"}, {"id": ids[1], "result": "would be deleted"}]
    assert len(daemon.crash_rows(source)) == 3
    receipt = ctl.run(daemon.data_dir, "crashes", "delete", "--yes", ids[0], sha256(b"MDMP 1")[:8]).stdout
    assert "crashes             2" in receipt and "blobs               2  12 B" in receipt
    assert [row["id"] for row in daemon.crash_rows(source)] == ids[2:]
    assert len(daemon.mirror_files(source)) == 1
    assert not daemon.blob(sha256(b"MDMP 0")).exists() and daemon.blob(sha256(b"MDMP 2")).exists()
    tidy(daemon)
    if state == "down":
        daemon = start_daemon(KEPT, directory=daemon.directory)
        assert [row["id"] for row in daemon.crash_rows(source)] == ids[2:]


def test_a_blob_that_others_use_stays(start_daemon, source):
    daemon = start_daemon(KEPT)
    for n in range(2):
        parts = metadata_part(source, timestamp=f"2026-05-19T00:00:0{n}Z"), dump_part(b"MDMP both")
        assert upload(daemon, "1.1", ACME, *parts, attachment_part("a", b"of %d" % n)).status == 201
    first, second = [row["id"] for row in daemon.crash_rows(source)]
    ctl.run(daemon.data_dir, "crashes", "delete", "--yes", first)
    assert daemon.blob(sha256(b"MDMP both")).exists() and not daemon.blob(sha256(b"of 0")).exists()
    tidy(daemon)
    ctl.run(daemon.data_dir, "crashes", "delete", "--yes", second)
    assert not daemon.blob(sha256(b"MDMP both")).exists()
    tidy(daemon)


@up_and_down
def test_held_crashes_stay(start_daemon, source, state):
    daemon = start_daemon(NOTHING_KEPT if state == "up" else KEPT)
    ids = reports(daemon, source)
    set_state(daemon, state)
    gc = ("gc",) if state == "up" else ("gc", "--logs-ttl-days", "0", "--crashes-ttl-days", "0")
    assert ctl.objects(daemon.data_dir, "crashes", "hold", ids[0], ids[1]) == [
        {"id": ids[0], "result": "held"}, {"id": ids[1], "result": "held"}]
    done = ctl.run(daemon.data_dir, "crashes", "delete", "--yes", ids[0], status=1)
    assert "is held" in done.stderr
    assert one(daemon.data_dir, *gc)["crashes"] == 1
    assert [row["id"] for row in daemon.crash_rows(source)] == ids[:2]
    receipt = one(daemon.data_dir, "purge", "--project", "acme", "--yes")
    assert (receipt["crashes"], receipt["held_kept"], receipt["sources"]) == (0, 2, 0)
    ctl.run(daemon.data_dir, "crashes", "release", ids[0])
    assert one(daemon.data_dir, *gc)["crashes"] == 1
    ctl.run(daemon.data_dir, "crashes", "delete", "--yes", "--held", ids[1])
    assert daemon.crash_rows(source) == []
    tidy(daemon)


def test_a_wrong_name_stops_it_all(daemon, source):
    ids = reports(daemon, source)
    done = ctl.run(daemon.data_dir, "crashes", "delete", "--yes", *ids, 10**9, status=1)
    assert "no crash 1000000000" in done.stderr
    assert len(daemon.crash_rows(source)) == 3


def test_nobody_to_ask(daemon, source):
    [first, *_] = reports(daemon, source)
    for arguments in (("crashes", "delete", first), ("purge", "--project", "acme")):
        done = children.run([DETRITUSCTL, "--data-dir", str(daemon.data_dir), *map(str, arguments)], text=True,
                            stdin=subprocess.DEVNULL, capture_output=True)
        assert done.returncode == 1 and "--yes" in done.stderr
    assert len(daemon.crash_rows(source)) == 3


# ---- gc ----

def test_gc_says_before_what_it_deletes(start_daemon, source):
    daemon = start_daemon(NOTHING_KEPT)
    reports(daemon, source)
    grpc.export(daemon, otlp.export_lines(source, 3), ACME).accepted()
    wait_until(lambda: daemon.rows("SELECT * FROM log_file"), "the log file's row")
    with daemon.unchanged():
        before = one(daemon.data_dir, "gc", "--dry-run")
    after = one(daemon.data_dir, "gc")
    assert before["dry_run"] is True and after["crashes"] == 3 and after["log_files"] == 1 and after["blobs"] == 3
    assert {key: before[key] for key in ("crashes", "blobs", "blob_bytes", "log_files", "log_bytes")} == {
        key: after[key] for key in ("crashes", "blobs", "blob_bytes", "log_files", "log_bytes")}
    assert one(daemon.data_dir, "status")["daemon"]["last_cycle"]["crashes"] == 3
    assert one(daemon.data_dir, "gc")["crashes"] == 0
    tidy(daemon)


def test_gc_needs_to_know_how_long_things_are_kept(start_daemon, source):
    daemon = start_daemon(KEPT)
    reports(daemon, source)
    assert "a daemon runs" in ctl.run(daemon.data_dir, "gc", "--logs-ttl-days", "0", status=2).stderr
    daemon.stop()
    assert "--config" in ctl.run(daemon.data_dir, "gc", status=1).stderr
    assert len(daemon.crash_rows(source)) == 3
    config = str(daemon.directory / "detritusd.yaml")
    assert one(daemon.data_dir, "gc", "--config", config)["crashes"] == 0  # as the daemon would
    assert one(daemon.data_dir, "gc", "--config", config, "--crashes-ttl-days", "0")["crashes"] == 3
    tidy(daemon)


def test_gc_says_what_is_beyond_a_cap(start_daemon, source):
    daemon = start_daemon(KEPT)
    reports(daemon, source)
    daemon.stop()
    path = daemon.directory / "capped.yaml"
    path.write_text((daemon.directory / "detritusd.yaml").read_text() + "projects:\n  acme: {crashes_max_bytes: 6}\n")
    done = ctl.run(daemon.data_dir, "gc", "--dry-run", "--config", path)
    assert "beyond a cap of acme: logs 0 B, crashes 12 B" in done.stdout


# ---- purge ----

@up_and_down
def test_purge_of_a_source(start_daemon, source, state):
    daemon = start_daemon(KEPT)
    other = crash.Source.fresh()
    for s in (source, other):
        reports(daemon, s)  # the same dumps for both
        crash.report(daemon, "1.1", ACME, s, b"MDMP of %s" % s.install_id.encode())
        grpc.export(daemon, otlp.export_lines(s, 3), ACME).accepted()
    set_state(daemon, state)
    what = ("purge", "--project", source.project, "--install", source.install_id)
    lines = len(daemon.log_text(source))
    receipt = one(daemon.data_dir, *what, "--yes")
    assert receipt.pop("at") and receipt == {
        "ok": True, "crashes": 4, "blobs": 1, "blob_bytes": 44, "log_files": 1, "log_bytes": lines, "sources": 1,
        "held_kept": 0, "project": source.project, "install_id": source.install_id, "before": None}
    assert daemon.crash_rows(source) == [] and daemon.mirror_files(source) == [] and daemon.log_files(source) == []
    assert len(daemon.crash_rows(other)) == 4 and len(daemon.log_files(other)) == 1
    assert daemon.rows("SELECT install_id FROM source") == [{"install_id": other.install_id}]
    tidy(daemon)
    assert "there is no installation" in ctl.run(daemon.data_dir, *what, "--yes", status=1).stderr


@up_and_down
def test_purge_of_a_project(start_daemon, state):
    daemon = start_daemon(KEPT)
    ours, theirs = [crash.Source.fresh() for _ in range(3)], crash.Source.fresh("other")
    for s, token in [*((s, ACME) for s in ours), (theirs, OTHER)]:
        crash.report(daemon, "1.1", token, s, b"MDMP shared")
        grpc.export(daemon, otlp.export_lines(s, 2), token).accepted()
    set_state(daemon, state)
    if state == "down":  # the totals of the logs are all there
        would = one(daemon.data_dir, "purge", "--project", "acme", "--dry-run")
        assert (would["crashes"], would["blobs"], would["log_files"]) == (3, 0, 3)
    assert len(daemon.rows("SELECT * FROM crash")) == 4
    receipt = one(daemon.data_dir, "purge", "--project", "acme", "--yes")
    assert (receipt["crashes"], receipt["blobs"], receipt["log_files"], receipt["sources"]) == (3, 0, 3, 3)
    assert [row["project"] for row in daemon.rows("SELECT project FROM source")] == ["other"]
    assert daemon.blob(sha256(b"MDMP shared")).exists() and len(daemon.log_files(theirs)) == 1
    tidy(daemon)


SECRET = b"a name that nobody may find again"


@pytest.mark.parametrize("how", ["purge", "delete"])
def test_purged_text_is_nowhere(start_daemon, source, how):
    daemon = start_daemon()
    answer = crash.report(daemon, "1.1", ACME, source, panic_text=SECRET.decode(), context={"who": SECRET.decode()})
    files = [path for path in daemon.data_dir.glob("detritus.db*")]
    assert any(SECRET in path.read_bytes() for path in files)
    if how == "purge":
        ctl.run(daemon.data_dir, "purge", "--project", source.project, "--yes")
    else:
        [row] = daemon.rows("SELECT id FROM crash")
        ctl.run(daemon.data_dir, "crashes", "delete", row["id"], "--yes")
    assert answer["id"] and not daemon.rows("SELECT * FROM crash")
    for path in daemon.data_dir.glob("detritus.db*"):
        assert SECRET not in path.read_bytes(), path


def test_purge_takes_what_was_just_acknowledged(start_daemon):
    """A file of a moment ago has no row yet, and a row must not come back behind it."""
    daemon = start_daemon(KEPT)
    for _ in range(30):
        source = crash.Source.fresh()
        grpc.export(daemon, otlp.export_lines(source, 2), ACME).accepted()
        receipt = one(daemon.data_dir, "purge", "--project", "acme", "--install", source.install_id, "--yes")
        assert (receipt["log_files"], receipt["sources"]) == (1, 1)
        assert daemon.log_files(source) == []
    assert daemon.rows("SELECT * FROM source") == []
    # What comes later stays.
    grpc.export(daemon, otlp.export_lines(source, body="later"), ACME).accepted()
    assert [line["body"] for line in daemon.log_lines(source)] == ["later"]
    daemon.stop()
    tidy(daemon)
    daemon = start_daemon(KEPT, directory=daemon.directory)
    assert [line["body"] for line in daemon.log_lines(source)] == ["later"]


def test_no_directory_of_a_purged_source_stays(start_daemon, source):
    """Its name is in them."""
    daemon, other = start_daemon(KEPT), crash.Source.fresh()
    for s in (source, other):
        crash.report(daemon, "1.1", ACME, s)
        grpc.export(daemon, otlp.export_lines(s), ACME).accepted()

    def named():
        return sorted({path.name for path in daemon.data_dir.rglob("*") if path.name in
                       (source.project, source.install_id, other.install_id)})

    one(daemon.data_dir, "purge", "--project", source.project, "--install", source.install_id, "--yes")
    assert named() == sorted([source.project, other.install_id])
    one(daemon.data_dir, "purge", "--project", source.project, "--yes")
    assert named() == []
    grpc.export(daemon, otlp.export_lines(source, body="again"), ACME).accepted()
    assert [line["body"] for line in daemon.log_lines(source)] == ["again"]


def test_lines_that_come_in_while_it_is_purged(start_daemon):
    """Their files have rows, whenever they came."""
    daemon = start_daemon(KEPT)
    with Control(daemon.data_dir) as control:
        for _ in range(100):
            source = crash.Source.fresh()
            grpc.export(daemon, otlp.export_lines(source), ACME).accepted()
            control.send({"op": "purge", "project": source.project, "install_id": source.install_id})
            for _ in range(3):
                grpc.export(daemon, otlp.export_lines(source, body="later"), ACME).accepted()
            while "ok" not in control.read():
                pass
    daemon.stop()
    tidy(daemon)


def test_crashes_that_come_in_while_it_is_purged_stay(start_daemon, source):
    daemon = bulky(start_daemon, source, 3000)
    with Control(daemon.data_dir) as control:
        control.send({"op": "purge", "project": source.project})
        assert "progress" in control.read()
        crash.report(daemon, "1.1", ACME, source, b"MDMP later")
        while "ok" not in control.read():
            pass
    assert [row["dump_sha256"] for row in daemon.crash_rows(source)] == [sha256(b"MDMP later")]
    tidy(daemon)


def test_purge_up_to_a_moment(start_daemon, source):
    daemon = start_daemon(KEPT)
    reports(daemon, source)
    grpc.export(daemon, otlp.export_lines(source), ACME).accepted()
    daemon.stop()
    with contextlib.closing(sqlite3.connect(daemon.data_dir / "detritus.db")) as database, database:
        for n, day in enumerate(("2026-01-01", "2026-01-02", "2026-01-03")):
            database.execute("UPDATE crash SET received_at = ? WHERE crashed_at LIKE ?",
                             (f"{day}T00:00:00.000Z", f"%0{n}.000000000Z"))
    daemon = start_daemon(KEPT, directory=daemon.directory)
    receipt = one(daemon.data_dir, "purge", "--project", "acme", "--before", "2026-01-02", "--yes")
    assert (receipt["crashes"], receipt["log_files"], receipt["sources"]) == (1, 0, 0)  # before, not at
    # Whose, and when: it is kept.
    assert (receipt["project"], receipt["install_id"], receipt["before"]) == ("acme", None, "2026-01-02T00:00:00Z")
    assert receipt["at"].endswith("Z")
    done = ctl.run(daemon.data_dir, "purge", "--project", "acme", "--install", "nobody", "--yes", "--json", status=1)
    assert done.stdout == "" and 'there is no installation "nobody"' in done.stderr
    assert one(daemon.data_dir, "purge", "--project", "acme", "--before", "2026-01-03T00:00:00Z", "--yes")["crashes"] == 1
    assert one(daemon.data_dir, "purge", "--project", "acme", "--before", "1d", "--yes")["crashes"] == 1
    assert len(daemon.log_files(source)) == 1
    assert "not a time" in ctl.run(daemon.data_dir, "purge", "--project", "acme", "--before", "soon", status=2).stderr


def test_a_request_that_is_refused_gets_no_receipt(daemon):
    done = ctl.run(daemon.data_dir, "purge", "--project", "../acme", "--yes", status=1)
    assert done.stdout == "" and "cannot have this name" in done.stderr


# ---- beside others ----

def bulky(start_daemon, source, count=1200):
    """A daemon with many crashes of one source."""
    daemon = start_daemon(KEPT)
    daemon.stop()
    for path in daemon.data_dir.glob("detritus.db*"):
        path.unlink()
    fill(daemon.data_dir, source, count)
    return start_daemon(KEPT, directory=daemon.directory)


def test_uploads_go_on_meanwhile(start_daemon, source):
    daemon = bulky(start_daemon, source)
    assert len(daemon.crash_rows(source)) == 1200
    with Uploads(daemon, crash.Source.fresh()) as uploads, Control(daemon.data_dir) as control:
        steps, receipt = control.ask({"op": "purge", "project": source.project, "install_id": source.install_id})
        assert [step["progress"]["crashes"] for step in steps][:5] == [250, 500, 750, 1000, 1200]
        assert (receipt["crashes"], receipt["blobs"], receipt["sources"]) == (1200, 1200, 1)
        sent = uploads.sent
        wait_until(lambda: uploads.sent > sent, "another upload")
    assert len(daemon.crash_rows(uploads.source)) == uploads.sent
    tidy(daemon)


def test_two_at_once_beside_a_daemon(start_daemon, source):
    daemon = bulky(start_daemon, source)
    other = crash.Source.fresh()
    with Uploads(daemon, other):
        both = [children.start([DETRITUSCTL, "--data-dir", str(daemon.data_dir), "--json", "purge", "--project", "acme",
                                "--install", source.install_id, "--yes"], stdout=subprocess.PIPE, text=True)
                for _ in range(2)]
        receipts = [json.loads(process.communicate(timeout=DEADLINE_SECS)[0]) for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum(receipt["crashes"] for receipt in receipts) == 1200
    tidy(daemon)


def test_two_at_once_without_one(start_daemon, source):
    daemon = bulky(start_daemon, source)
    daemon.stop()
    both = [children.start([DETRITUSCTL, "--data-dir", str(daemon.data_dir), "--json", "purge", "--project", "acme", "--yes"],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ended = [(process.communicate(timeout=DEADLINE_SECS), process.returncode) for process in both]
    done = [json.loads(out) for (out, _), status in ended if status == 0]
    assert sum(receipt["crashes"] for receipt in done) == 1200
    for (_, complaint), status in ended:
        assert status == 0 or (status == 1 and "answers no control socket" in complaint), complaint
    tidy(daemon)


def test_a_daemon_that_only_starts(start_daemon, source):
    """It has the lock, and no socket yet: said, nothing done."""
    daemon = start_daemon(KEPT)
    ids = reports(daemon, source)
    daemon.stop()
    with open(daemon.data_dir / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = ctl.run(daemon.data_dir, "crashes", "delete", "--yes", *ids, status=1)
    assert "starting or stopping" in done.stderr
    assert len(daemon.crash_rows(source)) == 3


def test_a_daemon_does_not_start_beside_it(start_daemon, source, tmp_path):
    daemon = bulky(start_daemon, source)
    daemon.stop()
    purge = children.start([DETRITUSCTL, "--data-dir", str(daemon.data_dir), "purge", "--project", "acme", "--yes"],
                           stdout=subprocess.DEVNULL)
    wait_until(lambda: len(daemon.crash_rows(source)) < 1200, "the first step")
    os.kill(purge.pid, signal.SIGSTOP)  # wherever it is
    try:
        if len(daemon.crash_rows(source)) > 0:
            assert f"in use by another detritusd or detritusctl (pid {purge.pid})" in daemon.refuses_to_start()
    finally:
        os.kill(purge.pid, signal.SIGCONT)
    assert purge.wait(DEADLINE_SECS) == 0
    daemon = start_daemon(KEPT, directory=daemon.directory)
    tidy(daemon)


def test_no_directory_is_made(tmp_path):
    done = ctl.run(tmp_path / "nowhere", "purge", "--project", "acme", "--yes", status=1)
    assert "nowhere" in done.stderr and not (tmp_path / "nowhere").exists()
    (tmp_path / "empty").mkdir()
    ctl.run(tmp_path / "empty", "purge", "--project", "acme", "--yes", status=1)
    assert list((tmp_path / "empty").iterdir()) == []


# ---- killed ----

@pytest.mark.parametrize("steps", [1, 2, 4, 5, 6])  # five for the crashes, one for the log file, then the blobs
def test_the_daemon_is_killed_midway(start_daemon, source, steps):
    daemon = bulky(start_daemon, source)
    grpc.export(daemon, otlp.export_lines(source), ACME).accepted()
    with Control(daemon.data_dir) as control:
        control.send({"op": "purge", "project": source.project})
        for _ in range(steps):
            assert "progress" in control.read()
        daemon.process.kill()
        daemon.process.wait()
        while control.read():
            pass
    whole(daemon.data_dir)
    daemon = start_daemon(KEPT, directory=daemon.directory)
    left = len(daemon.crash_rows(source))
    assert left <= 1200 - 250 * min(steps, 4)
    assert steps < 6 or daemon.log_files(source) == []
    tidy(daemon)
    if daemon.rows("SELECT * FROM source"):  # a retention cycle may have come first and taken what was empty
        assert one(daemon.data_dir, "purge", "--project", source.project, "--yes")["crashes"] == left
    assert "there is no project" in ctl.run(daemon.data_dir, "purge", "--project", source.project, "--yes", status=1).stderr
    tidy(daemon)
    assert daemon.rows("SELECT * FROM blob") == daemon.rows("SELECT * FROM source") == []
    assert list((daemon.data_dir / "crashes/by-hash").rglob("*.bin")) == daemon.log_files(source) == []


def has_a_socket(process):
    try:
        return any(os.readlink(entry.path).startswith("socket:") for entry in os.scandir(f"/proc/{process.pid}/fd"))
    except FileNotFoundError:  # closed between the listing and the reading
        return False


def test_it_says_that_the_daemon_went_away(start_daemon, source):
    daemon = bulky(start_daemon, source)
    os.kill(daemon.process.pid, signal.SIGSTOP)
    purge = children.start([DETRITUSCTL, "--data-dir", str(daemon.data_dir), "purge", "--project", "acme", "--yes"],
                           stderr=subprocess.PIPE, text=True)
    wait_until(lambda: has_a_socket(purge), "its connection")
    daemon.kill()
    complaint = purge.communicate(timeout=DEADLINE_SECS)[1]
    assert purge.returncode in (0, 1)
    if purge.returncode == 1:
        assert any(words in complaint for words in ("closed the connection", "does not answer", "no control socket")), complaint
    whole(daemon.data_dir)


@pytest.mark.parametrize("left", [1199, 900, 400, 0])
def test_it_is_killed_midway_itself(start_daemon, source, left):
    daemon = bulky(start_daemon, source)
    daemon.stop()
    with ctl.started(daemon.data_dir, "purge", "--project", "acme", "--yes") as purge:
        wait_until(lambda: len(daemon.crash_rows(source)) <= left, "some steps")
        purge.kill()
        purge.wait()
    whole(daemon.data_dir)
    receipt = one(daemon.data_dir, "purge", "--project", "acme", "--yes")  # brings it in order first
    assert receipt["crashes"] <= left + 250  # a step whose JSON files were not all gone comes back whole
    tidy(daemon)
    start_daemon(KEPT, directory=daemon.directory)


def test_a_client_that_leaves_ends_the_work(start_daemon, source):
    daemon = bulky(start_daemon, source)
    with Control(daemon.data_dir) as control:
        control.send({"op": "purge", "project": source.project})
        assert control.read()["progress"]["crashes"] == 250
    with Control(daemon.data_dir) as control:
        assert "ok" in control.ask({"op": "ping"})[1]

    wait_until(lambda: "control-client" not in daemon.threads(), "the end of the work")
    tidy(daemon)


def test_a_stop_ends_the_work(start_daemon, source):
    daemon = bulky(start_daemon, source, 3000)
    with Control(daemon.data_dir) as control:
        control.send({"op": "purge", "project": source.project})
        assert "progress" in control.read()
        daemon.stop()
        last = None
        while (line := control.read()) is not None:
            last = line
        assert last.keys() & {"error", "ok"}
        if "error" in last:
            assert "what it had done so far is kept" in last["error"] and 250 <= last["crashes"] <= 3000
    tidy(daemon)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become somebody else")
def test_root_leaves_no_files_of_its_own(start_daemon, source):
    """What root's detritusctl does without a daemon belongs to the data directory's owner."""
    daemon = start_daemon(KEPT)
    ids = reports(daemon, source)
    daemon.stop()
    children.run(["chown", "-R", "65534:65534", str(daemon.data_dir)], check=True)
    for path in [daemon.data_dir, *daemon.data_dir.parents][:5]:
        os.chmod(path, 0o755)
    ctl.run(daemon.data_dir, "crashes", "delete", "--yes", ids[0])
    owners = {path.lstat().st_uid for path in daemon.data_dir.rglob("*")}
    assert owners == {65534}


# ---- the checks themselves ----

@pytest.mark.parametrize("damage", ["UPDATE blob SET refs = refs + 1", "DELETE FROM log_file",
                                    # an index that does not hold what its definition says
                                    "PRAGMA writable_schema = ON; UPDATE sqlite_schema"
                                    " SET sql = 'CREATE INDEX crash_by_dump ON crash (kind)'"
                                    " WHERE name = 'crash_by_dump'", None])
def test_what_is_not_whole_is_found(start_daemon, source, damage):
    daemon = start_daemon(KEPT)
    crash.report(daemon, "1.1", ACME, source)
    grpc.export(daemon, otlp.export_lines(source), ACME).accepted()
    daemon.stop()
    tidy(daemon)
    if damage is None:
        daemon.log_files(source)[0].unlink()
    else:
        with contextlib.closing(sqlite3.connect(daemon.data_dir / "detritus.db")) as database:
            database.executescript("PRAGMA trusted_schema = ON;" + damage)
    with pytest.raises(AssertionError):
        tidy(daemon)


# ---- a full disk ----

@pytest.mark.parametrize("count", [600, 2000])
@up_and_down
def test_purge_on_a_full_disk(small_disk, start_daemon, source, tmp_path, state, count):
    """Deleting needs space first, for SQLite's WAL, and for the database when that is written back. The reserve file has it;
    and blocks of 1 KiB, as so small a file system has them, are no trap for the mapped -shm file."""
    directory, data_dir = tmp_path / "daemon", small_disk / "data"
    data_dir.mkdir()
    fill(data_dir, source, count)
    daemon = start_daemon(KEPT, directory=directory, data_dir=data_dir)
    assert len(daemon.crash_rows(source)) == count
    set_state(daemon, state)
    fill_up(small_disk)
    receipt = one(data_dir, "purge", "--project", "acme", "--yes")
    assert (receipt["crashes"], receipt["blobs"], receipt["sources"]) == (count, count, 1)
    tidy(daemon)
    assert daemon.rows("SELECT * FROM crash") == daemon.rows("SELECT * FROM blob") == []
    (small_disk / "filling").unlink()
    if not daemon.running:
        daemon = start_daemon(KEPT, directory=directory, data_dir=data_dir)
    with Control(data_dir) as control:
        wait_until(lambda: control.ask({"op": "status"})[1]["takes_crashes"], "space again")
    daemon.stop()
    tidy(daemon)


@pytest.mark.parametrize("words", [
    ("crashes", "delete", "1", "--version", "0.1", "--yes"), ("purge", "--project", "acme", "--version", "1", "--yes"),
    ("crashes", "--version"), ("status", "-V"), ("gc", "--dry"), ("crashes", "list", "--limi", "1"),
    ("purge", "--project", "acme", "--project", "other", "--yes"), ("--versio",), ("--version=1",)], ids=" ".join)
def test_a_command_line_that_could_mean_something_else(daemon, words):
    done = ctl.run(daemon.data_dir, *words, status=2)
    assert not done.stdout and done.stderr


def test_the_version(daemon):
    for words in (("--version",), ("-V",)):
        assert ctl.run(daemon.data_dir, *words).stdout.startswith("detritusctl ")
