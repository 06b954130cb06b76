"""detritusctl backup, restore and import: what comes out is whole, also when it was taken under load, and nothing that was
acknowledged before is missing in it."""

import contextlib
import fcntl
import hashlib
import json
import os
import pathlib
import shutil
import sqlite3
import stat
import tempfile

import pytest
import zstandard

from harness import crash, ctl
from harness.bulk import fill
from harness.children import DEADLINE_SECS
from harness.daemon import ACME, Daemon, wait_until
from harness.generate import generate
from harness.grpc import export
from harness.otlp import export_lines
from harness.stock import KEPT, Load, Stock, all_rows, change, rows_of

pytestmark = pytest.mark.ours


@pytest.fixture
def stock(start_daemon):
    return Stock(start_daemon(KEPT))


def contents(directory):
    """Every file of crashes and logs, with its bytes."""
    return {str(path.relative_to(directory)): path.read_bytes()
            for top in ("crashes", "logs") for path in (directory / top).rglob("*") if path.is_file()}


def backup(data_dir, to, *arguments, status=0):
    """Its counts. It ends with a verification."""
    counts, *found, totals = ctl.objects(data_dir, "backup", *arguments, to, status=status)
    assert found == [] and totals["findings"] == 0
    return counts


def test_backup_and_restore(stock, tmp_path):
    stock.change("UPDATE crash SET held = 1 WHERE id = 4")
    copy, back = tmp_path / "backup", tmp_path / "back"
    counts = backup(stock.dir, copy, "--deep")
    assert (counts["crashes"], counts["blobs"], counts["log_files"]) == (9, 8, 3)
    assert contents(copy) == contents(stock.dir)
    assert json.loads((copy / "manifest.json").read_text())["crashes"] == 9
    assert not [path for path in copy.iterdir() if path.name.startswith("detritus.db-")]
    ctl.run(back, "restore", "--deep", copy)
    assert contents(back) == contents(stock.dir)
    assert rows_of(back) == all_rows(stock.daemon)
    restored = {path.stat().st_ino for path in back.rglob("*") if path.is_file()}
    assert not restored & {path.stat().st_ino for path in copy.rglob("*") if path.is_file()}  # nothing is shared


def test_a_restored_directory_is_taken_by_a_daemon(stock, tmp_path, start_daemon):
    backup(stock.dir, tmp_path / "backup")
    ctl.run(tmp_path / "back", "restore", tmp_path / "backup")
    daemon = start_daemon(KEPT, data_dir=tmp_path / "back")
    crash.report(daemon, "1.1", ACME, stock.sources[0], timestamp="2026-05-20T00:00:00Z")
    export(daemon, export_lines(stock.sources[0], 2), ACME).accepted()
    daemon.stop()
    assert "the last stop was not orderly" not in daemon.log.text()
    assert len(daemon.crash_rows(stock.sources[0])) == 4
    ctl.run(tmp_path / "back", "verify", "--deep")
    ctl.run(tmp_path / "backup", "verify", "--deep")


def test_a_second_backup_copies_only_what_is_new(stock, tmp_path, start_daemon):
    copy = tmp_path / "backup"
    first = backup(stock.dir, copy, "--copy")
    assert first["linked"] == 0 and first["copied"] == 8 + 9 + 3
    again = backup(stock.dir, copy, "--copy")
    assert (again["copied"], again["kept"], again["bytes_copied"]) == (0, 20, 0)
    daemon = start_daemon(KEPT, directory=stock.daemon.directory)
    crash.report(daemon, "1.1", ACME, stock.sources[0], b"MDMP new", timestamp="2026-05-20T00:00:00Z")
    export(daemon, export_lines(stock.sources[0], 1), ACME).accepted()
    line = len(stock.log().read_bytes().splitlines(keepends=True)[-1])
    third = backup(stock.dir, copy, "--copy")
    assert (third["copied"], third["kept"]) == (3, 19)
    new = len(b"MDMP new") + stock.daemon.mirror_files(stock.sources[0])[-1].stat().st_size + line
    assert third["bytes_copied"] == new
    daemon.stop()
    assert contents(copy) == contents(stock.dir)


def test_what_is_gone_is_removed_from_the_backup(stock, tmp_path, start_daemon):
    copy = tmp_path / "backup"
    backup(stock.dir, copy)
    daemon = start_daemon({"logs": {"ttl_days": 36500}, "crashes": {"ttl_days": 0}}, directory=stock.daemon.directory)
    daemon.stop()
    stock.log(0).unlink()
    ctl.run(stock.dir, "verify", "--repair")
    counts = backup(stock.dir, copy)
    assert counts["removed"] == 8 + 9 + 1 and counts["crashes"] == 0
    assert contents(copy) == contents(stock.dir)


def test_a_day_compressed_between_two_backups(stock, tmp_path):
    copy = tmp_path / "backup"
    backup(stock.dir, copy)
    plain = stock.log()
    packed = plain.with_name(plain.name + ".zst")
    packed.write_bytes(zstandard.compress(plain.read_bytes()))
    plain.unlink()
    stock.change(f"UPDATE log_file SET compressed = 1, bytes = {packed.stat().st_size} WHERE source_id ="
                 f" (SELECT id FROM source WHERE install_id = '{stock.sources[0].install_id}')")
    backup(stock.dir, copy, "--deep")
    assert contents(copy) == contents(stock.dir)


def test_under_load_and_retention(start_daemon, tmp_path):
    """Retention deletes every crash at once, all the time; log lines stay."""
    daemon = start_daemon({"logs": {"ttl_days": 36500}, "crashes": {"ttl_days": 0}, "janitor": {"interval_secs": 1}})
    copy, back = tmp_path / "backup", tmp_path / "back"
    with Load(daemon) as load:
        for _ in range(4):
            lines = load.lines
            backup(daemon.data_dir, copy, "--deep")
            text = b"".join(path.read_bytes() for path in (copy / "logs").rglob("*.ndjson"))
            assert text.count(b"\n") >= lines
    ctl.run(back, "restore", "--deep", copy)
    ctl.run(daemon.data_dir, "verify", "--deep")


def test_under_load_nothing_acknowledged_is_missing(start_daemon, tmp_path):
    daemon = start_daemon(KEPT)
    with Load(daemon) as load:
        crashes, lines = load.sent, load.lines
        counts = backup(daemon.data_dir, tmp_path / "backup")
    assert counts["crashes"] >= crashes and counts["deleted_meanwhile"] == counts["lost"] == 0
    ctl.run(tmp_path / "back", "restore", "--deep", tmp_path / "backup")
    with contextlib.closing(sqlite3.connect(tmp_path / "back/detritus.db")) as database:
        assert database.execute("SELECT count(*) FROM crash").fetchone()[0] >= crashes
        assert database.execute("SELECT sum(lines) FROM log_file").fetchone()[0] >= lines


def test_a_killed_daemon_s_journal_is_brought_back_first(start_daemon, tmp_path, source):
    daemon = start_daemon(KEPT)
    export(daemon, export_lines(source, 20), ACME).accepted()
    daemon.kill()
    path, = daemon.log_files(source)
    whole = path.read_bytes()
    path.write_bytes(whole[:100])  # as a power cut may leave it
    backup(daemon.data_dir, tmp_path / "backup")
    assert path.read_bytes() == whole
    assert contents(tmp_path / "backup") == contents(daemon.data_dir)


def test_the_daemon_is_killed_midway(start_daemon, source, tmp_path):
    """A backup only reads, so nothing keeps it from being whole."""
    fill(tmp_path / "data", source, 1500)
    daemon = start_daemon(KEPT, data_dir=tmp_path / "data")
    copy = tmp_path / "backup"
    for path in ("incoming/detritus.db", "crashes/by-source", "manifest.json"):
        with ctl.started(daemon.data_dir, "backup", "--copy", copy) as process:
            wait_until(lambda: (copy / path).exists() or process.poll() is not None, path)
            daemon.kill()
            assert process.wait(DEADLINE_SECS) == 0
        ctl.run(copy, "verify", "--deep")
        daemon.start()
        assert len(daemon.rows("SELECT 1 FROM crash")) == len(rows_of(copy)["crash"]) == 1500
        shutil.rmtree(copy)


def test_killed_midway_it_goes_on(stock, tmp_path):
    """And what was there before is still a whole copy, at every moment."""
    copy, back = tmp_path / "backup", tmp_path / "back"
    for path in ("incoming", "incoming/detritus.db-wal", "crashes/by-source", "logs", "detritus.db", "manifest.json"):
        with ctl.started(stock.dir, "backup", "--copy", copy) as process:
            wait_until(lambda: (copy / path).exists() or process.poll() is not None, path)
            process.kill()
        backup(stock.dir, copy, "--deep")
        with (copy / "manifest.json").open():
            ctl.run(copy, "verify", "--deep")
        shutil.rmtree(copy)
    backup(stock.dir, copy)
    for path in ("detritus.db-journal", "lock", "crashes/by-hash", "detritus.db"):
        with ctl.started(back, "restore", copy) as process:
            wait_until(lambda: (back / path).exists() or process.poll() is not None, path)
            process.kill()
        if (back / "incoming").exists():
            ctl.run(back, "restore", copy)
        ctl.run(back, "verify", "--deep")
        assert contents(back) == contents(stock.dir)
        shutil.rmtree(back)


def test_onto_another_file_system(stock):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        if os.stat(other).st_dev == stock.dir.stat().st_dev:
            pytest.skip("/dev/shm is no file system of its own")
        counts = backup(stock.dir, pathlib.Path(other) / "backup", "--deep")
        assert counts["linked"] == 0 and counts["copied"] == 20


def test_a_damaged_original_is_told(stock, tmp_path):
    stock.blob(b"MDMP 0 1").unlink()
    counts, found, totals = ctl.objects(stock.dir, "backup", tmp_path / "backup", status=1)
    assert counts["lost"] == 1 and counts["deleted_meanwhile"] == 0
    assert found["finding"] == "blob_missing" and totals["findings"] == 1


@pytest.mark.parametrize("kind", ["fifo", "link", "directory"])
def test_a_backup_leaves_what_is_odd(stock, tmp_path, kind):
    """It is named and counted, and everything else is copied."""
    stock.daemon.stop()
    odd = [stock.log(), stock.mirror()]
    for path in odd:
        path.unlink()
        ODD[kind](path)
    done = ctl.run(stock.dir, "backup", "--json", tmp_path / "backup", status=1)
    for path in odd:
        assert f"not copied: {path.relative_to(stock.dir)}: it is a " in done.stderr
    counts = json.loads(done.stdout.splitlines()[0])
    assert (counts["left"], counts["lost"]) == (2, 0)
    assert not (tmp_path / "backup" / odd[0].relative_to(stock.dir)).exists()
    ctl.run(tmp_path / "backup", "verify", "--deep")  # the JSON file was made of its row


@pytest.mark.parametrize("how", ["gone", "cut short"])
def test_a_damaged_original_never_damages_the_copy(stock, tmp_path, how):
    """The older copy keeps what it has, and the original's loss is told all the same."""
    copy, path = tmp_path / "backup", stock.blob(b"MDMP 0 1")
    backup(stock.dir, copy, "--copy")
    if how == "gone":
        path.unlink()
    else:
        path.write_bytes(b"MDMP")
    counts, totals = ctl.objects(stock.dir, "backup", "--copy", copy, status=1)
    assert counts["lost"] == 1 and totals["findings"] == 0
    ctl.run(copy, "verify", "--deep")
    ctl.run(tmp_path / "back", "restore", "--deep", copy)
    assert (tmp_path / "back" / path.relative_to(stock.dir)).read_bytes() == b"MDMP 0 1"


def test_a_row_that_cannot_be_understood(stock, tmp_path):
    """It is told, and keeps nothing else from being copied."""
    stock.change("UPDATE crash SET metadata = '{}' WHERE id = 1")
    counts, *found, _ = ctl.objects(stock.dir, "backup", tmp_path / "backup", status=1)
    assert (counts["crashes"], counts["blobs"], counts["lost"]) == (9, 8, 0)
    assert ("unreadable", "crash 1") in {(f["finding"], f["what"]) for f in found}
    copied, original = contents(tmp_path / "backup"), contents(stock.dir)
    assert len(copied) == len(original) - 1 and copied.items() <= original.items()


def test_two_at_once(stock, tmp_path):
    """Into one directory, only one."""
    copy = tmp_path / "backup"
    backup(stock.dir, copy)
    with (copy / "lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "in use" in ctl.run(stock.dir, "backup", copy, status=1).stderr
        back = tmp_path / "back"
        (back / "incoming").mkdir(parents=True)
        with (back / "lock").open("w") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            assert "in use" in ctl.run(back, "restore", copy, status=1).stderr
    ctl.run(copy, "verify", "--deep")
    ctl.run(back, "restore", "--deep", copy)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_leaves_files_of_the_directory_s_owner(stock):
    """Else the daemon could not open them."""
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        place = pathlib.Path(place)
        backup(stock.dir, place / "backup", "--copy")
        data = place / "data"
        data.mkdir()
        os.chown(data, 4321, 4321)
        ctl.run(data, "restore", place / "backup")
        next(iter((data / "crashes/by-source").rglob("*.json"))).unlink()
        next(iter((data / "logs").rglob("*.ndjson"))).open("ab").write(b"{")
        ctl.run(data, "verify", "--repair")
        ctl.run(data, "reindex")
        ctl.run(data, "verify", "--deep")
        other = place / "other"
        other.mkdir()
        os.chown(other, 4321, 4321)
        ctl.run(other, "import", data)
        ctl.run(other, "verify", "--deep")
        strangers = [str(path) for top in (data, other) for path in top.rglob("*")
                     if (path.stat().st_uid, path.stat().st_gid) != (4321, 4321)]
        assert strangers == []


def test_where_it_refuses(stock, tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    (full / "file").write_text("mine")
    assert "not empty" in ctl.run(stock.dir, "backup", full, status=1).stderr
    assert "to be copied" in ctl.run(stock.dir, "backup", stock.dir, status=1).stderr
    assert "not a finished backup" in ctl.run(tmp_path / "back", "restore", full, status=1).stderr
    backup(stock.dir, tmp_path / "backup")
    assert "not empty" in ctl.run(full, "restore", tmp_path / "backup", status=1).stderr
    assert "not empty" in ctl.run(stock.dir, "restore", tmp_path / "backup", status=1).stderr
    assert [path.name for path in full.iterdir()] == ["file"]


def test_an_unfinished_restore_goes_on(stock, tmp_path):
    copy, back = tmp_path / "backup", tmp_path / "back"
    backup(stock.dir, copy)
    (back / "incoming").mkdir(parents=True)
    blob = back / stock.blob(b"shared").relative_to(stock.dir)
    blob.parent.mkdir(parents=True)
    blob.write_bytes(b"shared")
    ctl.run(back, "restore", "--deep", copy)
    assert contents(back) == contents(stock.dir)


@pytest.mark.parametrize("start", ["daemon", "detritusctl"])
def test_nobody_works_in_an_unfinished_restore(stock, tmp_path, start):
    """What came in there would be gone when the restore goes on."""
    copy, back = tmp_path / "backup", tmp_path / "back"
    backup(stock.dir, copy)
    shutil.copytree(copy, back)
    (back / "incoming").mkdir()
    if start == "daemon":
        assert "was not finished" in Daemon(tmp_path / "daemon", KEPT, data_dir=back).refuses_to_start()
    else:
        for command in (["import", stock.dir], ["reindex"], ["mirror"], ["backup", tmp_path / "other"]):
            assert "was not finished" in ctl.run(back, *command, status=1).stderr
    ctl.run(back, "restore", "--deep", copy)
    assert contents(back) == contents(stock.dir)


def test_a_wrong_directory_stays_as_it_is(stock, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.mkdir()
    (wrong / "file").write_text("mine")
    for command in (["import", stock.dir], ["reindex"], ["mirror"], ["backup", tmp_path / "other"], ["verify", "--repair"]):
        ctl.run(wrong, *command, status=1)
        assert [path.name for path in wrong.iterdir()] == ["file"], command


def import_from(data_dir, other, status=0):
    (counts,) = ctl.objects(data_dir, "import", other, status=status)
    ctl.run(data_dir, "verify", "--deep")
    return counts


@pytest.fixture
def other(start_daemon, tmp_path):
    return Stock(start_daemon(KEPT, directory=tmp_path / "other"))


@pytest.mark.parametrize("reference", [False, True])
def test_import_takes_everything_once(stock, other, reference):
    other.change("UPDATE crash SET held = 1 WHERE id = 4")
    theirs = contents(other.dir)
    if reference:  # which has no database, nor anything else of ours
        for name in os.listdir(other.dir):
            if name not in ("crashes", "logs"):
                path = other.dir / name
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    before = contents(stock.dir)
    counts = import_from(stock.dir, other.dir)
    assert counts["crashes"] == 9 and counts["blobs"] == 0 and counts["log_files"] == 3  # the same dumps were here
    after = contents(stock.dir)
    assert after == {**theirs, **before}
    held = stock.daemon.rows("SELECT project, install_id, crashed_at FROM crash JOIN source ON source.id = source_id WHERE held")
    assert len(held) == (0 if reference else 1)
    again = import_from(stock.dir, other.dir)
    assert (again["crashes"], again["crashes_known"], again["log_files"], again["log_files_known"]) == (0, 9, 0, 3)
    assert contents(stock.dir) == after
    assert contents(other.dir) == theirs


def test_import_into_an_empty_directory(other, tmp_path):
    (tmp_path / "new").mkdir()
    counts = import_from(tmp_path / "new", other.dir)
    assert (counts["crashes"], counts["blobs"], counts["log_files"]) == (9, 8, 3)
    assert contents(tmp_path / "new") == contents(other.dir)
    assert {table: rows for table, rows in rows_of(tmp_path / "new").items() if table != "source"} == \
        {table: rows for table, rows in all_rows(other.daemon).items() if table != "source"}


@pytest.mark.parametrize("packed", ["neither", "ours", "theirs"])
def test_import_merges_a_day_that_both_have(stock, other, packed):
    """Each line as often as the one that has it more often."""
    theirs = other.dir / stock.log().relative_to(stock.dir)
    theirs.parent.mkdir(parents=True)
    stock.log().write_bytes(b'{"a":1}\n{"b":1}\n{"b":1}\n{"c":1}\n')
    theirs.write_bytes(b'{"b":1}\n{"d":1}\n{"b":1}\n{"b":1}\n{"e":1')
    plain = stock.log()
    if packed != "neither":
        path = plain if packed == "ours" else theirs
        path.with_name(path.name + ".zst").write_bytes(zstandard.compress(path.read_bytes()))
        path.unlink()
    ctl.run(stock.dir, "verify", "--repair")
    counts = import_from(stock.dir, other.dir)
    assert counts["log_lines"] == 2
    assert plain.read_bytes() == b'{"a":1}\n{"b":1}\n{"b":1}\n{"c":1}\n{"d":1}\n{"b":1}\n'
    assert not plain.with_name(plain.name + ".zst").exists()
    before = contents(stock.dir)
    assert import_from(stock.dir, other.dir)["log_lines"] == 0
    assert contents(stock.dir) == before


def test_import_takes_what_the_other_database_tells_of_many(tmp_path):
    """In ranges of 10,000 ids: the first and the last of each, too."""
    generate(tmp_path / "data", "--crashes", 20001, "--no-logs")  # rows only
    (tmp_path / "data" / "lock").write_text("1\nclean\n")
    shutil.copytree(tmp_path / "data", tmp_path / "other")
    change(tmp_path / "other", "UPDATE crash SET held = 1, received_at = '2020-01-01T00:00:00.000Z' WHERE id % 7 <> 0")
    ctl.run(tmp_path / "data", "import", tmp_path / "other")
    assert rows_of(tmp_path / "data")["crash"] == rows_of(tmp_path / "other")["crash"]


def test_import_merges_many_equal_lines(stock, other):
    """Looking at each of them for each would take an hour."""
    theirs = other.dir / stock.log().relative_to(stock.dir)
    theirs.parent.mkdir(parents=True)
    stock.log().write_bytes(b"1\n" * 2**20 + b"0\n")
    theirs.write_bytes(b"1\n" * (2**20 + 1) + b"0\n" * 2)
    ctl.run(stock.dir, "verify", "--repair")
    assert import_from(stock.dir, other.dir)["log_lines"] == 2
    assert stock.log().read_bytes() == b"1\n" * 2**20 + b"0\n1\n0\n"


def test_import_killed_midway(other, tmp_path, start_daemon):
    """Wherever it is killed, the next start has what came whole, and a further run the rest."""
    new = tmp_path / "new"
    for path in ("tmp", "crashes/by-source", "logs", "tmp/import.db"):
        new.mkdir()
        with ctl.started(new, "import", other.dir) as process:
            wait_until(lambda: (new / path).exists() or process.poll() is not None, path)
            process.kill()
        start_daemon(KEPT, data_dir=new).stop()
        ctl.run(new, "verify", "--deep")
        import_from(new, other.dir)
        assert contents(new) == contents(other.dir)
        shutil.rmtree(new)


def test_import_of_more_than_one_batch(tmp_path):
    """Of crashes that share blobs within a batch and across, and of log files."""
    generate(tmp_path / "other", "--crashes", 500, "--sources", 200, "--days", 5, "--files")
    (tmp_path / "new").mkdir()
    counts = import_from(tmp_path / "new", tmp_path / "other")
    assert counts["log_files"] > 256 and counts["crashes"] == 500 and counts["blobs"] == len(rows_of(tmp_path / "other")["blob"])
    assert contents(tmp_path / "new") == contents(tmp_path / "other")
    assert rows_of(tmp_path / "new")["crash"] == rows_of(tmp_path / "other")["crash"]


def test_import_merges_so_many_lines_at_once(stock, other):
    """2^23, and not one more."""
    theirs = other.dir / stock.log().relative_to(stock.dir)
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"2\n")
    for more, taken in ((0, True), (1, False)):
        stock.log().write_bytes(b"1\n" * (2**23 + more))
        ctl.run(stock.dir, "verify", "--repair")
        done = ctl.run(stock.dir, "import", other.dir, status=0 if taken else 1)
        assert ("too many lines" in done.stderr) != taken
        assert stock.log().read_bytes().endswith(b"1\n2\n" if taken else b"1\n1\n")


def test_import_leaves_what_is_damaged(other, tmp_path):
    corrupt, gone = other.blob(b"MDMP 0 1"), other.blob(b"MDMP 1 1")
    corrupt.write_bytes(b"MDMP 0 2")
    gone.unlink()
    other.mirror(2).write_text("{")
    (tmp_path / "new").mkdir()
    counts = import_from(tmp_path / "new", other.dir, status=1)
    assert (counts["crashes"], counts["crashes_left"]) == (6, 3)
    assert not (tmp_path / "new" / corrupt.relative_to(other.dir)).exists()
    shutil.copy(stock_blob(tmp_path, b"MDMP 1 1"), gone)  # found again
    counts = import_from(tmp_path / "new", other.dir, status=1)
    assert (counts["crashes"], counts["crashes_known"], counts["crashes_left"]) == (1, 6, 2)


ODD = {
    "link": lambda path: path.symlink_to("/etc/passwd"),
    "fifo": os.mkfifo,
    "socket": lambda path: os.mknod(path, 0o600 | stat.S_IFSOCK),
    "directory": pathlib.Path.mkdir,
    "device": lambda path: os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3)),
}


@pytest.mark.parametrize("kind", [kind for kind in ODD if kind != "device" or os.geteuid() == 0])
def test_import_leaves_what_is_odd(other, tmp_path, kind):
    """It is named and counted, nothing hangs, and the rest is taken."""
    def replace(path):
        path.unlink()
        ODD[kind](path)
        return str(path.relative_to(other.dir))

    other.daemon.stop()
    (tmp_path / "new").mkdir()
    blob = other.blob(b"MDMP 0 1")
    odd = [replace(other.log()), replace(other.mirror(2)), replace(blob), replace(other.dir / "detritus.db")]
    (other.dir / "logs/project").mkdir(parents=True, exist_ok=True)
    ODD[kind](other.dir / "logs/project" / "file")
    odd.append("logs/project/file")
    done = ctl.run(tmp_path / "new", "import", other.dir, "--json", status=1)
    for path in odd if kind != "directory" else odd[:4]:
        assert f"not imported: {path}: " in done.stderr or f"it names {path}: " in done.stderr, (path, done.stderr)
    counts = json.loads(done.stdout)
    assert counts["log_files_left"] == 1 and counts["log_files"] == 2
    assert counts["crashes_left"] >= 2 and counts["crashes"] + counts["crashes_left"] == 9
    assert counts["others_left"] == (2 if kind == "directory" else 3)  # blob, database, the file in logs/project
    ctl.run(tmp_path / "new", "verify", "--deep")
    taken = contents(tmp_path / "new")
    again = ctl.run(tmp_path / "new", "import", other.dir, "--json", status=1)
    assert json.loads(again.stdout)["crashes_known"] == counts["crashes"]
    assert contents(tmp_path / "new") == taken


@pytest.mark.parametrize("what", ["logs", "crashes", "crashes/by-source", "crashes/by-hash", "detritus.db-wal"])
@pytest.mark.parametrize("kind", ["file", "fifo", "link"])
def test_import_leaves_an_odd_directory(other, tmp_path, what, kind):
    other.daemon.stop()
    (tmp_path / "new").mkdir()
    path = other.dir / what
    if path.exists():
        path.rename(tmp_path / "aside")
    {"file": pathlib.Path.touch, "fifo": os.mkfifo, "link": lambda link: link.symlink_to(tmp_path / "aside")}[kind](path)
    odd = (what, kind) != ("detritus.db-wal", "file")
    done = ctl.run(tmp_path / "new", "import", other.dir, "--json", status=1 if odd else 0)
    assert (f"not imported: {what}: it is a " in done.stderr) == odd
    counts = json.loads(done.stdout)
    assert counts["others_left"] == odd, done.stderr
    assert counts["log_files"] == (0 if what == "logs" else 3)
    if what in ("logs", "detritus.db-wal"):
        assert counts["crashes"] == 9


def test_import_leaves_odd_names(other, tmp_path):
    other.daemon.stop()
    (tmp_path / "new").mkdir()
    log = other.log()
    os.close(os.open(os.fsencode(log.parent) + b"/\xff.ndjson", os.O_CREAT))
    (log.parent / (log.name + ".1")).write_bytes(b"{}\n")
    (log.parent / ".hidden").touch()
    (log.parent / ".new-1-1").touch()  # half-written, by one that was killed
    done = ctl.run(tmp_path / "new", "import", other.dir, "--json", status=1)
    counts = json.loads(done.stdout)
    assert (counts["crashes"], counts["log_files"], counts["others_left"]) == (9, 3, 3)
    assert f"{log.name}.1: its path is not that of a log file" in done.stderr and ".hidden" in done.stderr
    assert done.stderr.count("not imported") == 3


@pytest.mark.parametrize("kind", ["fifo", "link", "directory"])
def test_import_beside_something_odd_here(stock, other, kind):
    """Here, too: it is left as it is, and named."""
    stock.daemon.stop()
    other.daemon.stop()
    here = stock.dir / other.log().relative_to(other.dir)
    here.parent.mkdir(parents=True, exist_ok=True)
    ODD[kind](here)
    done = ctl.run(stock.dir, "import", other.dir, "--json", status=1)
    counts = json.loads(done.stdout)
    assert (counts["crashes"], counts["log_files"], counts["log_files_left"]) == (9, 2, 1)
    assert f"{here.relative_to(stock.dir)}: here, it is a " in done.stderr


def test_import_tells_of_what_only_the_other_database_names(stock, other):
    """Crashes and days whose files are gone there: each is named and counted, and what is here already is not missed."""
    gone, known = other.mirror(1), other.mirror(2)
    lost = other.log()
    import_from(stock.dir, other.dir)
    ctl.run(stock.dir, "crashes", "delete", "--yes", str(stock.daemon.rows(
        "SELECT crash.id FROM crash JOIN source ON source.id = source_id WHERE install_id = ? ORDER BY crashed_at",
        (other.sources[1].install_id,))[0]["id"]))
    for path in (gone, known, lost):
        path.unlink()
    done = ctl.run(stock.dir, "import", other.dir, "--json", status=1)
    counts = json.loads(done.stdout)
    assert (counts["crashes"], counts["crashes_known"], counts["crashes_left"]) == (0, 7, 1)
    assert (counts["log_files_known"], counts["log_files_left"], counts["others_left"]) == (2, 1, 0)
    assert done.stderr.splitlines() == [
        f"detritusctl: not imported: {gone.relative_to(other.dir)}: only the database there has this crash; run "
        "detritusctl mirror there, then import again",
        f"detritusctl: not imported: {lost.relative_to(other.dir)}: the database there names it, and it is not there"]
    ctl.run(other.dir, "mirror", "--yes")
    again = ctl.run(stock.dir, "import", other.dir, "--json", status=1)
    assert json.loads(again.stdout)["crashes"] == 1


def test_import_names_a_crash_once(other, tmp_path):
    """Its JSON file is odd: that is said already."""
    (tmp_path / "new").mkdir()
    path = other.mirror()
    path.unlink()
    os.mkfifo(path)
    done = ctl.run(tmp_path / "new", "import", other.dir, "--json", status=1)
    assert json.loads(done.stdout)["crashes_left"] == 1 and done.stderr.count("not imported") == 1


def stock_blob(tmp_path, content):
    path = tmp_path / hashlib.sha256(content).hexdigest()
    path.write_bytes(content)
    return path


def test_import_tells_what_it_cannot_take(start_daemon, tmp_path, source):
    """Lines that only a journal has, lines that could not be written, stray FIFOs."""
    daemon = start_daemon()
    crash.report(daemon, "1.1", ACME, source)
    export(daemon, export_lines(source, 2), ACME).accepted()
    daemon.kill()
    for where in ("stray", "crashes/odd"):
        os.mkfifo(daemon.data_dir / where)
    lost = daemon.data_dir / "recovered/acme" / source.install_id
    lost.mkdir(parents=True)
    (lost / "2026-05-19.ndjson").write_text("{}\n")
    to = tmp_path / "to"
    to.mkdir()
    done = ctl.run(to, "import", daemon.data_dir, status=1)
    assert "4 other things left" in done.stdout, done
    for word in ("stray: it is a FIFO", "crashes/odd: it is a FIFO", "journal/0.wal: it holds log lines",
                 "recovered/acme/"):
        assert word in done.stderr, (word, done.stderr)
