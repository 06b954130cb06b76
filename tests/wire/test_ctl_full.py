"""A disk that gets full in the midst of detritusctl's work on a whole data directory: it says so, what was there is as it
was, and with space the same command does all of it. How far it comes is tried from nothing at all upwards."""

import json
import os
import shutil

import pytest

from harness import children, ctl
from harness.daemon import COMPLAINTS, DETRITUSCTL, Daemon
from harness.full_disk import fill_up
from harness.generate import generate
from harness.stock import KEPT, change, rows_of

pytestmark = pytest.mark.ours

SPACES = [0, *(1 << n for n in range(16, 26))]  # up to 32 MiB
MANY_SPACES = range(0, 32 << 20, 1 << 17)


def stocked(directory, seed=1, crashes=400):
    generate(directory, "--crashes", crashes, "--sources", 20, "--projects", 2, "--days", 5, "--files", "--seed", seed)
    change(directory, "UPDATE crash SET held = 1 WHERE id % 7 = 0")
    for path in (directory / "logs").rglob("*.ndjson"):
        os.utime(path, (0, 0))  # else sources would seem to have been heard from just now
    ctl.run(directory, "verify", "--deep")
    return directory


def tried(disk, data_dir, *command, failed, spaces=SPACES):
    """The command, with more and more space until it has enough. failed() is called behind each one that failed, with space
    again. The last one's output."""
    failures = 0
    for space in spaces:
        fill_up(disk, space)
        done = children.run([DETRITUSCTL, "--data-dir", str(data_dir), "--json", *map(str, command)], capture_output=True,
                            text=True)
        (disk / "filling").unlink()
        assert not COMPLAINTS.search(done.stderr), done.stderr
        if done.returncode == 0:
            assert failures > 2
            return [json.loads(line) for line in done.stdout.splitlines()]
        words = done.stderr + done.stdout
        assert done.returncode == 1 and ("No space left" in words or "disk is full" in words), done
        failures += 1
        failed()
    raise AssertionError("it never has enough")


def test_the_first_backup(small_disk, tmp_path):
    source, copy = stocked(tmp_path / "source"), small_disk / "backup"

    def failed():
        ctl.run(source, "verify", "--deep")
        assert not (copy / "manifest.json").exists()
        if copy.exists():
            assert "not a finished backup" in ctl.run(tmp_path / "back", "restore", copy, status=1).stderr
    tried(small_disk, source, "backup", copy, failed=failed)
    ctl.run(copy, "verify", "--deep")
    assert rows_of(copy) == rows_of(source)


def test_a_further_backup_leaves_the_older_one(small_disk, tmp_path):
    source, copy = stocked(tmp_path / "source"), small_disk / "backup"
    ctl.run(source, "backup", copy)
    before = rows_of(copy)
    ctl.run(source, "import", stocked(tmp_path / "more", seed=2))
    ctl.run(source, "purge", "--project", before["crash"][0]["source_project"], "--yes")
    n = 0

    def failed():
        nonlocal n
        n += 1
        ctl.run(tmp_path / f"back-{n}", "restore", "--deep", copy)
        assert rows_of(tmp_path / f"back-{n}")["crash"] in (before["crash"], rows_of(source)["crash"])
    tried(small_disk, source, "backup", copy, failed=failed)
    ctl.run(copy, "verify", "--deep")
    assert rows_of(copy) == rows_of(source)


def test_restore(small_disk, tmp_path):
    source, copy, back = stocked(tmp_path / "source"), tmp_path / "backup", small_disk / "back"
    ctl.run(source, "backup", copy)

    def failed():
        if back.exists() and any(back.iterdir()):
            assert "was not finished" in Daemon(tmp_path / "daemon", KEPT, data_dir=back).refuses_to_start()
    tried(small_disk, back, "restore", copy, failed=failed, spaces=MANY_SPACES)
    ctl.run(back, "verify", "--deep")
    assert rows_of(back) == rows_of(source)


def test_import(small_disk, tmp_path):
    data, more = stocked(small_disk / "data"), stocked(tmp_path / "more", seed=2)
    before = {row["dump_sha256"] + row["crashed_at"] for row in rows_of(data)["crash"]}
    theirs = {row["dump_sha256"] + row["crashed_at"] for row in rows_of(more)["crash"]}
    held = sum(row["held"] for row in rows_of(data)["crash"] + rows_of(more)["crash"])

    def failed():
        ctl.run(data, "verify", "--deep", "--repair")  # which takes in what came; nothing is wanting
        ctl.run(data, "verify", "--deep")
        assert {row["dump_sha256"] + row["crashed_at"] for row in rows_of(data)["crash"]} >= before
        assert not [path for path in data.rglob("*") if path.name.startswith((".new-", "import.db"))]
    tried(small_disk, data, "import", more, failed=failed)
    ctl.run(data, "verify", "--deep")
    assert {row["dump_sha256"] + row["crashed_at"] for row in rows_of(data)["crash"]} == before | theirs
    assert sum(row["held"] for row in rows_of(data)["crash"]) == held


def test_reindex(small_disk):
    """The new one takes the place of the old one only when all of it is in its file, and with what only that one tells."""
    data = stocked(small_disk / "data")
    before = rows_of(data)

    def failed():
        assert rows_of(data) == before
        assert not (data / "reindex").exists()
    counts, = tried(small_disk, data, "reindex", failed=failed, spaces=MANY_SPACES)
    assert counts["taken_over"] is True
    assert rows_of(data) == before
    ctl.run(data, "verify", "--deep")


def test_repair(small_disk):
    data = stocked(small_disk / "data")
    mirrors = {path: path.read_bytes() for path in (data / "crashes/by-source").rglob("*.json")}
    for path in mirrors:
        path.write_text("{}")
    change(data, "UPDATE blob SET refs = refs + 1; UPDATE usage SET crash_bytes = 1")
    log = next(iter((data / "logs").rglob("*.ndjson")))
    whole = log.read_bytes()
    with log.open("ab") as file:
        file.write(b"torn")

    def failed():
        kinds = {found.get("finding") for found in ctl.objects(data, "verify", status=1)}
        assert kinds <= {"mirror_different", "count", "log_torn", "log_size", None}
    tried(small_disk, data, "verify", "--repair", failed=failed)
    ctl.run(data, "verify", "--deep")
    assert {path: path.read_bytes() for path in mirrors} == mirrors
    assert log.read_bytes() == whole and log.with_name(log.name + ".torn").read_bytes() == b"torn"


def test_mirror(small_disk):
    data = stocked(small_disk / "data")
    mirrors = {path: path.read_bytes() for path in (data / "crashes/by-source").rglob("*.json")}
    shutil.rmtree(data / "crashes/by-source")

    def failed():
        assert {found.get("finding") for found in ctl.objects(data, "verify", status=1)} == {"mirror_missing", None}
    tried(small_disk, data, "mirror", "--yes", failed=failed)
    ctl.run(data, "verify", "--deep")
    assert {path: path.read_bytes() for path in mirrors} == mirrors
