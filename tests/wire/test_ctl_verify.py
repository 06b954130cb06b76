"""detritusctl verify, reindex and mirror: each kind of damage is found, by its name and no other, and mended where that is
promised; a whole directory is found whole, beside a daemon under load too."""

import concurrent.futures
import contextlib
import hashlib
import json
import os
import re
import socket
import sqlite3
import threading
import time

import pytest

from harness import crash, ctl
from harness.bulk import fill
from harness.children import joined
from harness.daemon import ACME, wait_until
from harness.grpc import export
from harness.otlp import export_lines
from harness.stock import KEPT, ROWS, Load, Stock, all_rows, change

pytestmark = pytest.mark.ours

@pytest.fixture
def stock(start_daemon):
    return Stock(start_daemon(KEPT))


def below(stock, path):
    return str(path.relative_to(stock.dir))


def test_a_whole_directory(stock):
    stock.whole()
    _, totals, _ = stock.verify("--deep", status=0)
    assert (totals["crashes"], totals["blobs"], totals["log_files"], totals["log_lines"]) == (9, 8, 3, 15)
    assert totals["daemon"] is False
    text = ctl.run(stock.dir, "verify").stdout
    assert text.startswith("9 crashes, 8 blobs (") and text.endswith("all is well\n")


def flip(path):
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    os.chmod(path, 0o640)
    path.write_bytes(data)


def test_a_flipped_bit_is_set_aside_and_healed_by_the_same_bytes(stock, start_daemon):
    path = stock.blob(b"MDMP 0 1")
    flip(path)
    corrupt = path.read_bytes()
    stock.whole()  # only the bytes tell
    assert stock.verify("--deep")[0] == [("blob_corrupt", below(stock, path))]
    _, _, (found,) = stock.verify("--deep", "--repair")
    assert found["repair"] == "set_aside"
    assert not path.exists() and (stock.dir / "corrupt" / path.name).read_bytes() == corrupt
    assert stock.verify()[0] == [("blob_missing", below(stock, path))]
    assert stock.kinds("--repair") == ["blob_missing"]  # nothing to mend it from
    daemon = start_daemon(KEPT, directory=stock.daemon.directory)
    crash.report(daemon, "1.1", ACME, crash.Source.fresh(), b"MDMP 0 1")
    daemon.stop()
    assert path.read_bytes() == b"MDMP 0 1"
    ctl.run(stock.dir, "verify", "--deep")


def test_a_missing_blob(stock):
    path = stock.blob(b"shared")
    path.unlink()
    assert stock.verify()[0] == [("blob_missing", below(stock, path))]


def test_a_blob_cut_short(stock):
    path = stock.blob(b"MDMP 1 2")
    path.write_bytes(b"MDMP")
    assert stock.verify()[0] == [("blob_length", below(stock, path))]
    assert stock.kinds("--repair") == ["blob_length"]
    assert (stock.dir / "corrupt" / path.name).read_bytes() == b"MDMP"


def test_an_orphan_gets_a_row(stock):
    path = stock.blob(b"nobody's")
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"nobody's")
    assert stock.verify()[0] == [("blob_orphan", below(stock, path))]
    assert stock.kinds("--repair", status=0) == ["blob_orphan"]
    assert path.exists()
    assert [row["sha256"] for row in stock.daemon.rows("SELECT sha256 FROM orphan_blob")] == [path.stem]
    stock.whole()


@pytest.mark.parametrize("sql, what", [
    ("UPDATE blob SET refs = refs + 1 WHERE refs = 3", ["blob "]),
    ("UPDATE blob_use SET uses = uses + 1 WHERE project = 'other' AND uses = 3", ["blob "]),
    ("UPDATE usage SET crash_bytes = crash_bytes - 5 WHERE project = 'acme'", ["usage of acme"]),
    ("UPDATE usage SET log_bytes = 0 WHERE project = ''", ["usage of all"]),
    ("DELETE FROM usage WHERE project = 'other'", ["usage of other"]),
    ("UPDATE crash_count SET crashes = crashes + 1 WHERE project <> 'acme'", ["crash_count of all", "crash_count of other"]),
])
def test_wrong_counts_are_counted_anew(stock, sql, what):
    stock.change(sql)
    found = stock.verify()[0]
    assert [kind for kind, _ in found] == ["count"] * len(what), found
    assert all(name.startswith(start) for (_, name), start in zip(found, what)), found
    assert set(stock.kinds("--repair", status=0)) == {"count"}
    stock.whole()


def test_a_differing_mirror_is_written_anew(stock):
    path = stock.mirror()
    before = path.read_bytes()
    document = json.loads(before)
    path.write_text(json.dumps(document))  # another layout is no difference
    stock.whole()
    document["dump"]["len"] += 1
    path.write_text(json.dumps(document))
    assert stock.verify()[0] == [("mirror_different", below(stock, path))]
    assert stock.kinds("--repair", status=0) == ["mirror_different"]
    assert path.read_bytes() == before
    stock.whole("--deep")


def test_a_missing_mirror_is_written_anew(stock):
    path = stock.mirror(1)
    before = path.read_bytes()
    path.unlink()
    found, _, (whole,) = stock.verify()
    assert found == [("mirror_missing", below(stock, path))] and whole["id"] in range(1, 10)
    assert stock.kinds("--repair", status=0) == ["mirror_missing"]
    assert path.read_bytes() == before


def test_a_crash_that_only_its_mirror_knows(stock):
    stock.change("PRAGMA foreign_keys = ON; DELETE FROM crash WHERE id = 1")
    assert stock.kinds() == ["mirror_extra"]
    assert stock.kinds("--repair", status=0) == ["mirror_extra"]
    assert len(stock.daemon.rows("SELECT 1 FROM crash")) == 9
    stock.whole()


def test_a_torn_log(stock):
    path = stock.log()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"half a li')
    stock.change(f"UPDATE log_file SET bytes = {len(whole) + 11} WHERE bytes = {len(whole)}")
    assert ("log_torn", below(stock, path)) in stock.verify()[0]
    stock.verify("--repair", status=0)
    assert path.read_bytes() == whole
    assert path.with_name(path.name + ".torn").read_bytes() == b'{"half a li'
    stock.whole("--deep")


def test_log_files_of_another_size_missing_and_unknown(stock):
    grown, gone = stock.log(0), stock.log(1)
    with grown.open("ab") as file:
        file.write(b'{"one":"more"}\n')
    gone.unlink()
    unknown = grown.with_name("2026-01-01.ndjson")
    unknown.write_bytes(b'{"old":1}\n')
    expected = {("log_size", below(stock, grown)), ("log_missing", below(stock, gone)), ("log_unknown", below(stock, unknown))}
    assert set(stock.verify()[0]) == expected
    assert set(stock.verify("--repair", status=0)[0]) == expected
    stock.whole()
    assert {row["lines"] for row in stock.daemon.rows("SELECT lines FROM log_file")} == {6, 5, None}


def test_a_compressed_day_that_is_plain(stock):
    stock.change(f"UPDATE log_file SET compressed = 1 WHERE source_id ="
                 f" (SELECT id FROM source WHERE install_id = '{stock.sources[0].install_id}')")
    assert stock.verify()[0] == [("log_missing", below(stock, stock.log()) + ".zst")]
    stock.verify("--repair", status=0)
    stock.whole("--deep")


def test_a_log_file_that_lost_lines(stock):
    """The row's count is no longer true, and nobody has one."""
    path = stock.log()
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    assert stock.verify()[0] == [("log_size", below(stock, path))]
    assert stock.kinds("--repair", status=0) == ["log_size"]
    stock.whole()
    assert sorted(str(row["lines"]) for row in stock.daemon.rows("SELECT lines FROM log_file")) == ["5", "5", "None"]


def test_a_damaged_log_line_is_reported_and_left(stock):
    path = stock.log()
    data = path.read_bytes()
    at = data.index(b"\n") + 1
    path.write_bytes(data[:at] + b"\0" * 8 + data[at + 8:])
    stock.whole()
    assert stock.verify("--deep")[0] == [("log_damaged", below(stock, path))]
    _, _, (found,) = stock.verify("--deep", "--repair")
    assert found["repair"] == "left" and "line 2" in found["problem"]
    assert path.read_bytes()[at:at + 8] == b"\0" * 8


def test_a_broken_database_page(stock):
    path = stock.dir / "detritus.db"
    stock.change("CREATE INDEX extra ON crash (panic_text, id)")
    with contextlib.closing(sqlite3.connect(path)) as database:
        page, = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'extra'").fetchone()
        size, = database.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size + 3)
        file.write(b"\0\0")  # no cells
    assert "database" in stock.kinds()


def test_a_broken_list_of_free_pages(stock):
    """Which SQLite's own check passes over, when a view comes first in its hash of tables."""
    stock.change("CREATE TABLE extra (a); INSERT INTO extra VALUES (zeroblob(100000)); DROP TABLE extra")
    with (stock.dir / "detritus.db").open("r+b") as file:
        file.seek(36)  # how many there are (SQLite's file format, 1.3.9)
        free = int.from_bytes(file.read(4), "big")
        assert free > 1
        stock.whole()
        file.seek(36)
        file.write((free + 3).to_bytes(4, "big"))
    assert stock.kinds() == ["database"]


def break_page(stock, name):
    """The first page of a table or an index has no cells, and is no page of its kind."""
    path = stock.dir / "detritus.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        page, = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,)).fetchone()
        size, = database.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\0" * 8)


@pytest.mark.parametrize("repair", [[], ["--repair"]])
def test_a_check_that_ends_midway_tells_what_it_found(stock, repair):
    missing = stock.blob(b"MDMP 0 1")
    missing.unlink()
    break_page(stock, "log_file")
    done = ctl.run(stock.dir, "verify", *repair, status=1)
    assert f"blob_missing     {below(stock, missing)}" in done.stdout
    assert "database         detritus.db: Page " in done.stdout
    assert "unreadable       log files: cannot be read to the end" in done.stdout


def test_no_false_alarm_beside_a_daemon_under_load(start_daemon):
    """Retention deletes everything at once, all the time."""
    daemon = start_daemon({"crashes": {"ttl_days": 0}, "logs": {"ttl_days": 36500}, "janitor": {"interval_secs": 1}})
    with Load(daemon):
        for _ in range(3):
            *found, totals = ctl.objects(daemon.data_dir, "verify", "--deep")
            assert found == [] and totals["daemon"] is True
    ctl.run(daemon.data_dir, "verify", "--deep")


def test_a_daemon_mends_beside_uploads(start_daemon):
    """What is its index writer's; log files and files without rows are left, with words."""
    daemon = start_daemon(KEPT)
    source = crash.Source.fresh()
    for n in range(120):  # more than one request takes
        crash.report(daemon, "1.1", ACME, source, b"MDMP %d" % n, timestamp=f"2026-05-19T00:00:00.{n:03d}Z")
    export(daemon, export_lines(source, 3), ACME).accepted()
    daemon.stop()
    corrupt = daemon.blob(hashlib.sha256(b"MDMP 1").hexdigest())
    flip(corrupt)
    texts = {path: path.read_bytes() for path in daemon.mirror_files(source)}
    for path in texts:
        path.write_text("{}")
    change(daemon.data_dir, "UPDATE usage SET crash_bytes = 1")
    change(daemon.data_dir, f"UPDATE blob SET refs = 7 WHERE sha256 = '{corrupt.stem}'")
    [day] = daemon.log_files(source)
    with day.open("ab") as file:
        file.write(b"torn")
    daemon.start()
    with Load(daemon):
        *found, totals = ctl.objects(daemon.data_dir, "verify", "--deep", "--repair", status=1)
    assert totals["daemon"] is True
    outcomes = {(f["finding"], f["repair"]) for f in found}
    assert outcomes == {("mirror_different", "mended"), ("count", "mended"), ("blob_corrupt", "set_aside"),
                        ("log_torn", "left")}
    assert {path: path.read_bytes() for path in texts} == texts
    assert (daemon.data_dir / "corrupt" / corrupt.name).exists() and not corrupt.exists()
    crash.report(daemon, "1.1", ACME, crash.Source.fresh(), b"MDMP 1")
    export(daemon, export_lines(source, 1), ACME).accepted()  # opens the file, and moves its torn end
    midnight = daemon.log_files(source) != [day]  # has passed: nobody opens yesterday's file
    ctl.run(daemon.data_dir, "verify", "--deep", status=1 if midnight else 0)


@contextlib.contextmanager
def killed_at_the_second(daemon, operation):
    """Stands before the control socket. The daemon is killed when a second request for the operation comes."""
    path, behind = daemon.data_dir / "control.sock", daemon.data_dir / "control.behind"
    path.rename(behind)
    directory = os.open(daemon.data_dir, os.O_PATH)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(f"/proc/self/fd/{directory}/{path.name}")
    listener.listen()
    seen = 0

    def relay(client, server):
        nonlocal seen
        for request in client.makefile("rb"):
            seen += json.loads(request)["op"] == operation
            if seen == 2:
                return daemon.kill()
            server.sendall(request)
            for answer in server.makefile("rb"):
                client.sendall(answer)
                if json.loads(answer).keys() & {"ok", "error"}:
                    break

    def serve():
        while seen < 2:
            client, _ = listener.accept()
            with client, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
                server.connect(f"/proc/self/fd/{directory}/{behind.name}")
                relay(client, server)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield
    joined(thread)
    listener.close()
    os.close(directory)
    behind.unlink()


def test_the_daemon_is_killed_while_it_mends(start_daemon, source, tmp_path):
    """What was mended stays so, and a further run does the rest."""
    fill(tmp_path / "data", source, 300)
    daemon = start_daemon(KEPT, data_dir=tmp_path / "data")
    daemon.stop()
    change(daemon.data_dir, "UPDATE blob SET refs = refs + 1; UPDATE usage SET crash_bytes = 1")
    daemon.start()
    with killed_at_the_second(daemon, "repair"):
        done = ctl.run(daemon.data_dir, "verify", "--repair", "--json", status=1)
    assert "closed the connection" in done.stderr
    mended = len(daemon.rows("SELECT 1 FROM blob WHERE refs = 1"))
    assert 0 < mended < 300
    *found, totals = (json.loads(line) for line in done.stdout.splitlines())
    left = re.search(r"(\d+) findings were not repaired", done.stderr)
    assert len(found) + (int(left[1]) if left else 0) == totals["findings"] > 300
    daemon.start()
    ctl.run(daemon.data_dir, "verify", "--repair")
    ctl.run(daemon.data_dir, "verify", "--deep")


def ask(daemon, request):
    """The last line of the control socket's answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        directory = os.open(daemon.data_dir, os.O_PATH)
        client.connect(f"/proc/self/fd/{directory}/control.sock")
        os.close(directory)
        client.sendall(json.dumps(request).encode() + b"\n")
        with client.makefile() as answers:
            for line in answers:
                answer = json.loads(line)
                if "item" not in answer:
                    return answer


def test_the_daemon_mends_nothing_outside_and_nothing_whole(start_daemon):
    daemon = start_daemon(KEPT)
    outside = daemon.directory / ("a" * 64 + ".bin")
    outside.write_text("mine")
    crash.report(daemon, "1.1", ACME, crash.Source.fresh(), b"MDMP one")
    whole = daemon.blob(hashlib.sha256(b"MDMP one").hexdigest())
    good = {"finding": "blob_corrupt", "what": str(whole.relative_to(daemon.data_dir))}
    for wrong in ({"finding": "blob_corrupt", "what": "../" + outside.name}, {"finding": "nonsense", "what": "x"},
                  {"finding": "log_torn", "what": "logs/../x/2026-05-19.ndjson"}, {"what": "x"}, 7,
                  {"finding": "mirror_missing", "what": "x", "id": 0}):
        assert "error" in ask(daemon, {"op": "repair", "findings": [good, wrong]})
    assert "error" in ask(daemon, {"op": "repair", "findings": []})
    assert "error" in ask(daemon, {"op": "repair"})
    assert "error" in ask(daemon, {"op": "repair", "findings": [good] * 101})
    assert ask(daemon, {"op": "repair", "findings": [good] * 100}) == {"ok": True, "repairs": 100}
    assert whole.read_bytes() == b"MDMP one" and outside.read_text() == "mine"


def test_reindex_gives_back_the_same_rows(stock):
    stock.change("UPDATE crash SET held = 1 WHERE id = 4")
    before = all_rows(stock.daemon)
    (counts,) = ctl.objects(stock.dir, "reindex")
    assert counts["crashes"] == counts["crashes_before"] == 9 and counts["taken_over"] is True
    assert all_rows(stock.daemon) == before
    stock.whole("--deep")
    assert (stock.dir / "detritus.db.before-reindex").exists()


def test_reindex_knows_a_source_that_only_logs(start_daemon):
    """Whose file has another time by now: a copy, say."""
    daemon, source = start_daemon(KEPT), crash.Source.fresh()
    export(daemon, export_lines(source, 3), ACME).accepted()
    daemon.stop()
    before = all_rows(daemon)["source"]
    assert before[0]["version"]
    future = time.time() + 3600
    os.utime(daemon.log_files(source)[0], (future, future))
    ctl.run(daemon.data_dir, "reindex")
    assert all_rows(daemon)["source"] == before


def test_reindex_gives_back_when_each_crash_was_received(start_daemon, source):
    """Nothing but the JSON files' times tell, of reports that came alone and of such as were stored together."""
    daemon = start_daemon(KEPT)
    crash.report(daemon, "1.1", ACME, source, b"MDMP alone")
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda n: crash.report(daemon, "1.1", ACME, source, b"MDMP %d" % n,
                                             timestamp=f"2026-05-19T00:00:{n:02d}Z"), range(60)))
    daemon.stop()
    before = all_rows(daemon)["crash"]
    assert len({row["received_at"] for row in before}) > 10
    daemon.mirror_files(source)[0].unlink()
    ctl.run(daemon.data_dir, "mirror", "--yes")  # written anew
    (daemon.data_dir / "detritus.db").unlink()
    ctl.run(daemon.data_dir, "reindex")
    assert all_rows(daemon)["crash"] == before


def test_reindex_without_the_old_database(stock, start_daemon):
    """All but what no file tells: which crashes are held, how many lines a file has, a logs-only source's version."""
    stock.change("UPDATE crash SET held = 1 WHERE id = 4")
    before = all_rows(stock.daemon, without=("held", "lines"))
    with (stock.dir / "detritus.db").open("r+b") as file:
        file.write(b"\0" * 4096)
    ctl.run(stock.dir, "verify", status=1)
    (counts,) = ctl.objects(stock.dir, "reindex")
    assert counts["crashes"] == 9 and counts["taken_over"] is False
    after = all_rows(stock.daemon, without=("held", "lines"))
    for table in ROWS:  # row by row: the difference is short then
        for a, b in zip(after[table], before[table], strict=True):
            assert {k: (a[k], b[k]) for k in a if a[k] != b[k]} == {}, table
    stock.whole("--deep")
    start_daemon(KEPT, directory=stock.daemon.directory)


@pytest.mark.parametrize("name", ["detritus.db", "detritus.db-wal", "detritus.db-shm", "detritus.db-journal",
                                  "detritus.db.before-reindex", "detritus.db.before-reindex-wal"])
@pytest.mark.parametrize("kind", ["FIFO", "directory", "symbolic link"])
def test_reindex_refuses_what_is_no_database(stock, name, kind):
    """It is named, once, and nothing is changed. The link leads nowhere."""
    path, aside = stock.dir / name, stock.dir.parent / "aside"
    if path.exists():
        path.rename(aside)
    {"FIFO": os.mkfifo, "directory": os.mkdir, "symbolic link": lambda link: link.symlink_to("nowhere")}[kind](path)
    before = sorted(os.listdir(stock.dir))
    done = ctl.run(stock.dir, "reindex", "--force", status=1)
    leads = "a symbolic link that leads nowhere" if kind == "symbolic link" else f"a {kind}"
    assert done.stderr == f"detritusctl: {path} is {leads}, not a regular file; move it away, then run reindex again\n"
    assert sorted(os.listdir(stock.dir)) == before and not path.is_file()
    path.rmdir() if kind == "directory" else path.unlink()
    if aside.exists():
        aside.rename(path)
    ctl.run(stock.dir, "reindex")
    stock.whole()


def test_reindex_names_what_stands_in_its_way(stock):
    os.mkfifo(stock.dir / "reindex")
    done = ctl.run(stock.dir, "reindex", status=1)
    assert done.stderr == (f"detritusctl: {stock.dir}/reindex is a FIFO, not a directory; move it away, then run reindex "
                           "again\n")


def test_reindex_refuses_to_lose_crashes(stock):
    stock.mirror().unlink()
    ctl.run(stock.dir, "reindex", status=1)
    assert len(stock.daemon.rows("SELECT 1 FROM crash")) == 9
    ctl.run(stock.dir, "mirror", "--yes")
    ctl.run(stock.dir, "reindex")
    assert len(stock.daemon.rows("SELECT 1 FROM crash")) == 9


def test_reindex_killed_midway(stock, start_daemon):
    """Wherever it is killed, the next start has every crash."""
    before = all_rows(stock.daemon, without=("held", "lines", "received_at"))
    for path in ("reindex", "reindex/old.db", "reindex/detritus.db-wal", "detritus.db.before-reindex"):
        with ctl.started(stock.dir, "reindex") as process:
            wait_until(lambda: (stock.dir / path).exists() or process.poll() is not None, path)
            process.kill()
        start_daemon(KEPT, directory=stock.daemon.directory).stop()
        assert all_rows(stock.daemon, without=("held", "lines", "received_at")) == before
        ctl.run(stock.dir, "verify", "--deep")
    ctl.run(stock.dir, "reindex")
    assert not (stock.dir / "reindex").exists()


def test_mirror_from_the_database(stock):
    kept = {path: path.read_bytes() for path in (stock.dir / "crashes/by-source").rglob("*.json")}
    extra = stock.mirror(0)
    stock.change("PRAGMA foreign_keys = ON; DELETE FROM crash WHERE id = 1")
    foreign = extra.with_name("notes.json")
    foreign.write_text("{}")
    stock.mirror(1).unlink()
    stock.mirror(2).write_text("{}")
    (counts,) = ctl.objects(stock.dir, "mirror", "--dry-run")
    assert counts == {"crashes": 8, "written": 2, "removed": 1, "left": 1}
    ctl.run(stock.dir, "mirror", status=1)  # nobody says yes
    assert extra.exists() and stock.mirror(2).read_text() == "{}"
    (counts,) = ctl.objects(stock.dir, "mirror", "--yes")
    assert counts == {"crashes": 8, "written": 2, "removed": 1, "left": 1}
    del kept[extra]
    assert {path: path.read_bytes() for path in (stock.dir / "crashes/by-source").rglob("*.json") if path != foreign} == kept


def test_beside_a_daemon_they_refuse(start_daemon):
    daemon = start_daemon(KEPT)
    for command in (["reindex"], ["mirror"], ["import", daemon.directory]):
        assert "in use" in ctl.run(daemon.data_dir, *command, status=1).stderr


def test_usage():
    ctl.run("/nonexistent", "verify", status=1)
    for command in ("verify", "reindex", "mirror", "backup", "restore", "import"):
        assert f"detritusctl {command}" in ctl.run("/nonexistent", command, "--help").stdout
        ctl.run("/nonexistent", command, "--nonsense", status=2)


def test_deep_beside_a_daemon_counts_what_it_reads(start_daemon, source):
    """While the log file's row still lags behind."""
    daemon = start_daemon()
    for _ in range(50):
        export(daemon, export_lines(source, 1), ACME).accepted()
    [path] = daemon.log_files(source)
    [found] = ctl.objects(daemon.data_dir, "verify", "--deep")
    assert found["log_bytes"] == path.stat().st_size and found["log_lines"] == 50
