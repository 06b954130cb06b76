"""The kill campaign in short (tools/torture: at length); and verify.py, which all campaigns rest on, notices what it must."""

import json
import sqlite3

import pytest
from campaign import SEED, nothing_wrong, scratch  # noqa: F401

import kill
from harness.daemon import Daemon
from ledger import Ledger
from load import Load
from moves import ACTIONS
from verify import verify

KILLS = 10


def test_what_was_acknowledged_survives_a_kill(scratch):
    nothing_wrong(kill.run(scratch, SEED, KILLS), KILLS)


def test_nor_does_a_move_of_its_file_take_it(scratch):
    nothing_wrong(kill.run(scratch, f"{SEED}-moves", KILLS, moves=ACTIONS), KILLS)


def a_log_file(daemon):
    return max((daemon.data_dir / "logs").glob("*/*/*.ndjson"), key=lambda path: path.stat().st_size)


def edit_lines(daemon, change):
    path = a_log_file(daemon)
    path.write_bytes(b"".join(change(path.read_bytes().splitlines(keepends=True))))


def edit_rows(daemon, statement):
    with sqlite3.connect(daemon.data_dir / "detritus.db") as database:
        assert database.execute(statement).rowcount > 0
    database.close()


def a_blob(daemon):
    return next((daemon.data_dir / "crashes/by-hash").rglob("*.bin"))


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def a_mirror(daemon):
    return next((daemon.data_dir / "crashes/by-source").rglob("*.json"))


@pytest.mark.parametrize("kind, change", [
    ("lost", lambda daemon: edit_lines(daemon, lambda lines: lines[1:])),
    ("lost", lambda daemon: a_log_file(daemon).unlink()),
    ("doubled", lambda daemon: edit_lines(daemon, lambda lines: lines + lines[:1])),
    ("torn", lambda daemon: edit_lines(daemon, lambda lines: [*lines[:-1], lines[-1][:-1]])),
    ("torn", lambda daemon: edit_lines(daemon, lambda lines: [lines[0][:40] + b"\n", *lines[1:]])),
    ("torn", lambda daemon: edit_lines(daemon, lambda lines: [bytes(512) + b"\n", *lines])),
    ("torn", lambda daemon: edit_lines(
        daemon, lambda lines: [json.dumps({"body": "not.ours 3 abc"}).encode() + b"\n", *lines])),
    ("lost", lambda daemon: a_blob(daemon).unlink()),
    ("lost", lambda daemon: damage(a_blob(daemon))),
    ("lost", lambda daemon: a_mirror(daemon).unlink()),
    ("lost", lambda daemon: edit_rows(daemon, "DELETE FROM crash WHERE id = (SELECT max(id) FROM crash)")),
    ("lost", lambda daemon: edit_rows(daemon, "DELETE FROM attachment")),
    ("disorder", lambda daemon: edit_rows(daemon, "UPDATE blob SET refs = refs + 1")),
    ("disorder", lambda daemon: (daemon.data_dir / "tmp/left").write_bytes(b"")),
    ("disorder", lambda daemon: (daemon.data_dir / "journal/0.wal.damaged").write_bytes(b"")),
])
def test_what_is_wrong_is_noticed(scratch, kind, change):
    daemon, ledger = Daemon(scratch, kill.AT_REST).start(), Ledger()
    try:
        Load(daemon, ledger, "notice", 60, large=False).run()
        before = verify(daemon, ledger)
        assert not before and before.records and before.blobs, before
        change(daemon)
        assert getattr(verify(daemon, ledger), kind)
    finally:
        daemon.kill()
