"""What detritusctl reads: sources, crashes and logs, under upload load and without a daemon. It never writes."""

import contextlib
import gzip
import hashlib
import io
import json
import os
import re
import stat
import subprocess
import tarfile
import threading
import time

import pytest
import zstandard

from harness import children, crash, otlp
from harness.children import DEADLINE_SECS, joined
from harness.crash import Source
from harness.daemon import ACME, DETRITUSCTL, OTHER, Daemon, wait_until
from harness.grpc import export
from harness.stock import Load

pytestmark = pytest.mark.ours

HOSTILE = "\x1b[31mred\x07\u202egnirts\u2066\x9b2J\tend"
# Nothing of these may reach a terminal: C0 but tab and newline, DEL, C1, what turns or breaks text.
DANGEROUS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
SECOND_NS = 1_000_000_000


def run(daemon, *arguments, status=0, text=True, **options):
    done = children.run([DETRITUSCTL, "--data-dir", str(daemon.data_dir), *arguments], capture_output=True,
                        text=text, **options)
    assert done.returncode == status, (arguments, done)
    return done


def lines(daemon, *arguments, **options):
    """What --json prints, line by line."""
    return [json.loads(line) for line in run(daemon, *arguments, "--json", **options).stdout.splitlines()]


def ids(daemon, *arguments):
    return [row["id"] for row in lines(daemon, "crashes", "list", *arguments)]


@contextlib.contextmanager
def following(daemon, *arguments):
    """The lines that a command prints while it runs."""
    process = children.start([DETRITUSCTL, "--data-dir", str(daemon.data_dir), *arguments], stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    seen = []
    threads = [threading.Thread(target=lambda: [seen.append(line) for line in process.stdout], daemon=True),
               threading.Thread(target=lambda: [None for _ in process.stderr], daemon=True)]
    for thread in threads:
        thread.start()
    try:
        yield seen, process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(DEADLINE_SECS)
        joined(*threads)


def three_crashes(daemon):
    """Of two sources; ids in the order they came."""
    one, two = Source.fresh(), Source("acme", Source.fresh().install_id, "windows", "2.0.0-rc.1")
    crash.report(daemon, "1.1", ACME, one, b"MDMP 1" + one.install_id.encode(), panic_text="Index out of bounds\nmore")
    crash.report(daemon, "1.1", ACME, two, b"2" + two.install_id.encode(), kind="PanicTarball", panic_text="a needle")
    crash.report(daemon, "1.1", ACME, one, b"3" + one.install_id.encode(), kind="RustcIce",
                 timestamp="2026-05-19T00:00:01Z")
    return one, two


# -- crashes list


def check_filters(daemon, one, two):
    mine = [row["id"] for row in daemon.crash_rows(one)] + [row["id"] for row in daemon.crash_rows(two)]
    first, third, second = mine
    assert ids(daemon, "--install", one.install_id) == [third, first]
    assert ids(daemon, "--install", two.install_id, "--project", "acme") == [second]
    assert ids(daemon, "--install", two.install_id, "--project", "other") == []
    assert ids(daemon, "--version", "2.0.0-rc.1", "--platform", "windows", "--kind", "PanicTarball",
               "--install", two.install_id) == [second]
    assert ids(daemon, "--kind", "RustcIce", "--install", two.install_id) == []
    assert ids(daemon, "--grep", "INDEX out", "--install", one.install_id) == [first]
    assert ids(daemon, "--since", "1h", "--install", one.install_id) == [third, first]
    assert ids(daemon, "--until", "1h", "--install", one.install_id) == []
    assert ids(daemon, "--since", "2026-01-01", "--until", "2200-01-01T00:00:00+02:00", "--install",
               one.install_id) == [third, first]


def test_each_filter_under_load_and_without_a_daemon(start_daemon):
    daemon = start_daemon()
    one, two = three_crashes(daemon)
    with Load(daemon, OTHER):
        check_filters(daemon, one, two)
    daemon.stop()
    check_filters(daemon, one, two)
    assert ids(daemon, "--project", "acme", "--limit", "0") == [3, 2, 1]


def test_pages_under_load(start_daemon):
    """Pages follow one another though new crashes come all the time: none twice, none left out."""
    daemon = start_daemon()
    source = Source.fresh()
    for n in range(10):
        crash.report(daemon, "1.1", ACME, source, b"%d" % n, timestamp=f"2026-05-19T00:00:{n:02}Z")
    with Load(daemon, OTHER):
        newest = lines(daemon, "crashes", "list", "--limit", "1")[0]
        seen, cursor = [], f"{newest['received_at']},{newest['id']}"
        while cursor:
            done = run(daemon, "crashes", "list", "--limit", "3", "--json", "--after", cursor)
            seen += [json.loads(line)["id"] for line in done.stdout.splitlines()]
            found = re.search(r"--after (\S+)", done.stderr)
            cursor = found and found[1]
    assert seen == sorted(set(seen), reverse=True)
    assert set(seen) == set(range(1, newest["id"]))


def test_grep_says_how_far_it_looked(start_daemon):
    daemon = start_daemon()
    source = Source.fresh()
    for n in range(5):
        crash.report(daemon, "1.1", ACME, source, b"%d" % n, timestamp=f"2026-05-19T00:00:{n:02}Z",
                     panic_text="a needle" if n == 0 else "hay")
    done = run(daemon, "crashes", "list", "--grep", "needle", "--depth", "3", "--json")
    assert done.stdout == ""
    cursor = re.search(r"searched 3 panic texts.*--after (\S+)$", done.stderr)[1]
    done = run(daemon, "crashes", "list", "--grep", "needle", "--depth", "3", "--json", "--after", cursor)
    assert json.loads(done.stdout)["id"] == 1
    assert "searched" not in done.stderr
    assert ids(daemon, "--grep", "needle", "--depth", "0") == [1]


@pytest.mark.parametrize("arguments", [
    ("crashes", "list", "--since", "yesterday"), ("crashes", "list", "--limit", "-1"), ("crashes", "list", "--limit", "x"),
    ("crashes", "list", "--after", "42"), ("crashes", "list", "--after", "2026-05-19T08:30:00Z,1"),
    ("crashes", "list", "--kind", "Coredump"), ("crashes", "show"), ("crashes", "show", "1", "--logs", "5"),
    ("crashes", "export", "1"), ("crashes", "export", "1", "-o", "x", "--max-decoded", "1MB"),
    ("logs", "cat", "--severity", "loud"), ("logs", "cat", "--severity", "25"), ("logs", "cat", "--severity", "0"), ("logs", "grep"),
    ("logs", "tail", "-n", "100001"), ("sources", "frobnicate"), ("sources", "show"), ("crashes", "follow", "x"),
])
def test_wrong_command_lines(daemon, arguments):
    assert run(daemon, *arguments, status=2).stderr


def test_no_data_directory(tmp_path):
    nowhere = Daemon(tmp_path)
    for arguments in (("crashes", "list"), ("sources",), ("logs", "cat"), ("logs", "tail"), ("crashes", "follow")):
        assert "data" in run(nowhere, *arguments, status=1).stderr
    assert not nowhere.data_dir.exists()


# -- crashes show


def check_show(daemon, source, crash_id):
    shown = lines(daemon, "crashes", "show", str(crash_id), "--logs", "5m")
    assert len(shown) == 1 and shown[0]["id"] == crash_id
    assert [line["body"] for line in shown[0]["logs"]] == ["before", "behind"]
    assert {line["install_id"] for line in shown[0]["logs"]} == {source.install_id}
    people = run(daemon, "crashes", "show", str(crash_id), "--logs", "5m").stdout
    assert "before" in people and "behind" in people and "too early" not in people and "too late" not in people
    assert "logs" not in lines(daemon, "crashes", "show", str(crash_id))[0]


def test_show_with_the_logs_around_it(start_daemon):
    daemon = start_daemon()
    source, other = Source.fresh(), Source.fresh()
    now = int(time.time())
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
    for seconds, body in ((-400, "too early"), (-299, "before"), (299, "behind"), (400, "too late")):
        export(daemon, otlp.export_lines(source, 1, body=body, time=(now + seconds) * SECOND_NS), ACME).accepted()
    export(daemon, otlp.export_lines(other, 1, body="somebody else", time=now * SECOND_NS), ACME).accepted()
    answer = crash.report(daemon, "1.1", ACME, source, b"around", timestamp=stamp)
    with Load(daemon, OTHER):
        check_show(daemon, source, 1)
        assert lines(daemon, "crashes", "show", answer["id"][:9])[0]["id"] == 1
    daemon.stop()
    check_show(daemon, source, 1)
    run(daemon, "crashes", "show", "4711", "--json", status=1)
    run(daemon, "crashes", "show", "00000000", status=1)


# -- crashes export


def upload_with_attachments(daemon, source, dump):
    manifest = [{"key": "a", "filename": "../../etc/passwd", "content_type": "text/plain", "len": 5},
                {"key": "b" + HOSTILE[:4], "filename": None, "content_type": "text/plain", "len": 5},
                {"key": "c", "filename": "log.txt", "content_type": "text/plain", "len": 5}]
    response = crash.upload(daemon, "1.1", ACME, crash.metadata_part(source, attachments=manifest),
                            crash.dump_part(zstandard.compress(dump), "zstd"),
                            crash.attachment_part("a", b"plain"),
                            crash.attachment_part("c", gzip.compress(b"packed"), encoding="gzip"))
    assert response.status == 201, response
    return response.json()["id"]


def check_export(daemon, tmp_path, dump):
    out = tmp_path / "out"
    run(daemon, "crashes", "export", "1", "--decode", "-o", str(out))
    directory = out / "crash-1"
    files = {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    assert set(files) == {"crash.json", "metadata.json", "dump.dmp", "attachments/00-passwd", "attachments/01-log.txt"}
    assert files["dump.dmp"] == dump
    assert files["attachments/00-passwd"] == b"plain" and files["attachments/01-log.txt"] == b"packed"
    assert json.loads(files["crash.json"]) == lines(daemon, "crashes", "show", "1")[0]
    assert json.loads(files["metadata.json"])["schema_version"] == 1

    again = run(daemon, "crashes", "export", "1", "--decode", "-o", str(out), status=1)
    assert "exists" in again.stderr
    assert not [path for path in out.rglob("*.new")]

    for decode in ((), ("--decode",)):
        archive = run(daemon, "crashes", "export", "1", *decode, "-o", "-", text=False).stdout
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            packed = {member.name: tar.extractfile(member).read() for member in tar.getmembers()}
        assert len(archive) % 512 == 0
        if decode:
            assert packed == {"crash-1/" + name: data for name, data in files.items()}
        else:
            assert zstandard.decompress(packed["crash-1/dump.dmp.zst"]) == dump
            assert gzip.decompress(packed["crash-1/attachments/01-log.txt.gz"]) == b"packed"
            assert packed["crash-1/attachments/00-passwd"] == b"plain"


def test_export_under_load_and_without_a_daemon(start_daemon, tmp_path):
    daemon = start_daemon()
    dump = b"MDMP" + bytes(range(256)) * 2000
    upload_with_attachments(daemon, Source.fresh(), dump)
    with Load(daemon, OTHER):
        (tmp_path / "beside").mkdir()
        check_export(daemon, tmp_path / "beside", dump)
    daemon.stop()
    (tmp_path / "alone").mkdir()
    check_export(daemon, tmp_path / "alone", dump)


@pytest.mark.parametrize("planted", ["link", "dangling", "file", "fifo", "full"])
def test_export_follows_nothing_that_others_planted(start_daemon, tmp_path, planted):
    """Others may write to the directory: nothing goes through their links, and nothing is left half done."""
    daemon = start_daemon()
    upload_with_attachments(daemon, Source.fresh(), b"MDMP")
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    crash_1 = out / "crash-1"
    if planted in ("link", "dangling"):
        crash_1.symlink_to(elsewhere if planted == "link" else elsewhere / "new")
    elif planted == "file":
        crash_1.write_text("mine")
    elif planted == "fifo":
        os.mkfifo(crash_1)
    else:
        crash_1.mkdir()
        (crash_1 / "attachments").symlink_to(elsewhere)
    done = run(daemon, "crashes", "export", "1", "-o", str(out), status=1)
    is_what = {"link": "it is a symbolic link", "dangling": "it is a symbolic link", "file": "it is a regular file",
               "fifo": "it is a FIFO", "full": "it is not empty"}[planted]
    assert done.stderr == (f"detritusctl: {out}/crash-1 already exists: {is_what}. Move it away, or export into another "
                           "directory\n")
    assert not list(elsewhere.iterdir())
    assert os.listdir(out) == ["crash-1"]
    if planted == "full":
        assert os.listdir(crash_1) == ["attachments"]
        (crash_1 / "attachments").unlink()
        run(daemon, "crashes", "export", "1", "-o", str(out))  # an empty directory is fine
        assert (crash_1 / "attachments/00-passwd").read_bytes() == b"plain" and not list(elsewhere.iterdir())


def test_export_looks_at_every_place_before_it_writes(start_daemon, tmp_path):
    """The third is taken, or is nobody's name: then the first two are not written either."""
    daemon = start_daemon()
    three_crashes(daemon)
    out = tmp_path / "out"
    (out / "crash-3").mkdir(parents=True)
    (out / "crash-3" / "mine").touch()
    done = run(daemon, "crashes", "export", "1", "2", "3", "-o", str(out), status=1)
    assert f"{out}/crash-3 already exists: it is not empty" in done.stderr
    run(daemon, "crashes", "export", "1", "2", "4711", "-o", str(out), status=1)
    assert os.listdir(out) == ["crash-3"] and os.listdir(out / "crash-3") == ["mine"]
    run(daemon, "crashes", "export", "1", "2", "-o", str(out))
    assert sorted(os.listdir(out)) == ["crash-1", "crash-2", "crash-3"]
    assert not run(daemon, "crashes", "export", "1", "4711", "-o", "-", status=1).stdout


def test_export_that_fails_leaves_nothing(start_daemon, tmp_path):
    daemon = start_daemon()
    upload_with_attachments(daemon, Source.fresh(), b"MDMP" * 1000)
    daemon.stop()
    daemon.blob(hashlib.sha256(b"plain").hexdigest()).unlink()
    run(daemon, "crashes", "export", "1", "-o", str(tmp_path / "out"), status=1)
    assert not list((tmp_path / "out").iterdir())


def test_export_has_a_bound(start_daemon, tmp_path):
    """A bomb costs no more than was allowed; at the bound it passes."""
    daemon = start_daemon()
    crash.upload(daemon, "1.1", ACME, crash.metadata_part(Source.fresh()),
                 crash.dump_part(zstandard.compress(b"M" * 1000000), "zstd"))
    done = run(daemon, "crashes", "export", "1", "--decode", "--max-decoded", "999999", "-o", str(tmp_path / "n"),
               status=1)
    assert "more than 999999 bytes" in done.stderr
    assert not list((tmp_path / "n").rglob("dump*"))
    run(daemon, "crashes", "export", "1", "--decode", "--max-decoded", "1000000", "-o", str(tmp_path / "n1"))
    assert (tmp_path / "n1/crash-1/dump.dmp").stat().st_size == 1000000


def test_export_of_what_is_not_as_it_should_be(start_daemon, tmp_path):
    daemon = start_daemon()
    source = Source.fresh()
    crash.upload(daemon, "1.1", ACME, crash.metadata_part(source), crash.dump_part(b"no zstd at all", "zstd"))
    answer = crash.report(daemon, "1.1", ACME, source, b"will be gone", timestamp="2026-05-19T00:00:01Z")
    done = run(daemon, "crashes", "export", "1", "--decode", "-o", str(tmp_path / "x"), status=1)
    assert "cannot be decompressed: the data does not match its Content-Encoding" in done.stderr
    run(daemon, "crashes", "export", "1", "-o", str(tmp_path / "raw"))
    assert (tmp_path / "raw/crash-1/dump.dmp.zst").read_bytes() == b"no zstd at all"
    run(daemon, "crashes", "export", "4711", "-o", str(tmp_path / "none"), status=1)
    daemon.stop()
    daemon.blob(answer["id"]).write_bytes(b"shorter")
    assert "the index says 12" in run(daemon, "crashes", "export", "2", "-o", str(tmp_path / "y"), status=1).stderr
    daemon.blob(answer["id"]).unlink()
    assert "cannot read" in run(daemon, "crashes", "export", "2", "-o", str(tmp_path / "z"), status=1).stderr


# -- following


def test_crashes_follow(start_daemon):
    daemon = start_daemon()
    source = Source.fresh()
    crash.report(daemon, "1.1", ACME, source, b"before")
    with following(daemon, "crashes", "follow", "--json", "--project", "acme") as (seen, process):
        with Load(daemon, OTHER):
            for n in range(1, 4):  # it may begin a little late: until it is seen, a new one each time
                wait_until(lambda: (crash.report(daemon, "1.1", ACME, source, b"%d" % time.time_ns(),
                                                 timestamp="2026-05-19T00:00:00.%09dZ" % (time.time_ns() % 10**9)),
                                    len(seen) >= n)[1], "a crash followed")
        newest = max(row["id"] for row in daemon.crash_rows(source))
        wait_until(lambda: json.loads(seen[-1])["id"] == newest, "the last one")
        daemon.stop()
        daemon.start()  # the same database
        crash.report(daemon, "1.1", ACME, source, b"after the restart", timestamp="2026-05-19T01:00:00Z")
        wait_until(lambda: json.loads(seen[-1])["crashed_at"].startswith("2026-05-19T01"), "the one after the restart")
        found = [json.loads(line) for line in seen]
        assert process.poll() is None
    assert {row["project"] for row in found} == {"acme"}
    assert [row["id"] for row in found] == [row["id"] for row in daemon.crash_rows(source)][-len(found):]


def test_following_ends_with_its_reader(daemon):
    process = children.start([DETRITUSCTL, "--data-dir", str(daemon.data_dir), "crashes", "follow"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stderr.readline()  # "waiting for crashes"
    process.stdout.close()
    assert process.wait(DEADLINE_SECS) == 0  # though no crash came
    process.stderr.close()


def test_logs_tail_follows(start_daemon):
    daemon = start_daemon()
    source = Source.fresh()
    export(daemon, otlp.export_lines(source, 1, body="old"), ACME).accepted()
    with following(daemon, "logs", "tail", "-f", "-n", "1", "--json", "--project", "acme") as (seen, _):
        wait_until(lambda: seen, "the newest line")
        with Load(daemon, OTHER):
            for n in range(20):
                export(daemon, otlp.export_lines(source, 1, body=f"new {n}"), ACME).accepted()
        late = Source.fresh()
        export(daemon, otlp.export_lines(late, 1, body="of a new source"), ACME).accepted()
        wait_until(lambda: len(seen) >= 22, lambda: f"all lines: {seen}")
        found = [json.loads(line) for line in seen]
    bodies = {who: [line["body"] for line in found if line["install_id"] == who.install_id] for who in (source, late)}
    assert bodies == {source: ["old"] + [f"new {n}" for n in range(20)], late: ["of a new source"]}


# -- logs


def plant(daemon, source, day, texts):
    directory = daemon.source_dir("logs", source)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / f"{day}.ndjson").write_bytes(b"".join(texts))


def planted_line(sec, body, severity=9):
    return json.dumps({"time_unix_nano": sec * SECOND_NS, "observed_time_unix_nano": 1, "severity_number": severity,
                       "severity_text": "", "body": body, "attributes": {}}, separators=(",", ":")).encode() + b"\n"


DAY_1, DAY_2, NOON_1 = "2026-05-18", "2026-05-19", 1779105600


def check_logs(daemon, one, two):
    def bodies(*arguments, **options):
        return [line["body"] for line in lines(daemon, "logs", *arguments, "--until", "2026-06-01", **options)]

    everything = [f"{DAY_1} {n}" for n in range(2000)] + ["two"] + [f"{DAY_2} {n}" for n in range(3)]
    assert bodies("cat", "--project", "acme") == everything
    assert bodies("cat", "--install", two.install_id) == ["two"]
    assert bodies("cat", "--since", DAY_2) == [f"{DAY_2} {n}" for n in range(3)]
    # The ends of time are days like others.
    widest = lines(daemon, "logs", "cat", "--install", two.install_id, "--since", "0000-01-01", "--until", "9999-12-31")
    assert [line["body"] for line in widest] == ["two"]
    assert bodies("cat", "--since", "2026-05-18T12:00:10Z", "--project", "acme", "--severity", "error") == [
        f"{DAY_1} {n}" for n in range(10, 2000) if n % 100 == 0]
    assert bodies("grep", f"{DAY_1} 1999") == [f"{DAY_1} 1999"]
    assert bodies("grep", "-v", DAY_1, "--project", "acme") == everything[2000:]
    assert bodies("grep", "-i", "TWO", "--install", two.install_id) == ["two"]
    assert bodies("grep", "TWO", "--install", two.install_id, status=1) == []
    assert bodies("tail", "-n", "2", "--install", one.install_id) == [f"{DAY_2} 1", f"{DAY_2} 2"]
    assert bodies("tail", "-n", "5", "--install", one.install_id, "--severity", "17") == [
        f"{DAY_1} {n}" for n in (1500, 1600, 1700, 1800, 1900)]


def test_logs_plain_and_compressed_under_load_and_without_a_daemon(start_daemon, tmp_path):
    one, two = (Source("acme", digit * 8 + Source.fresh().install_id[8:]) for digit in "0f")  # in this order
    config = {"logs": {"ttl_days": 36500, "compress_after_days": 1}, "janitor": {"interval_secs": 1}}
    before = Daemon(tmp_path / "daemon", config)
    plant(before, one, DAY_1, [planted_line(NOON_1 + n, f"{DAY_1} {n}", 17 if n % 100 == 0 else 9) for n in range(2000)])
    plant(before, two, DAY_1, [planted_line(NOON_1, "two")])
    plant(before, one, DAY_2, [planted_line(NOON_1 + 86400 + n, f"{DAY_2} {n}") for n in range(3)])
    check_logs(before, one, two)  # no daemon has been here, so there is no database either
    daemon = start_daemon(config, directory=tmp_path / "daemon")
    with Load(daemon, OTHER):
        check_logs(daemon, one, two)
        wait_until(lambda: not any(path.name.startswith("2026-05") for path in daemon.log_files(one)), "compression")
        check_logs(daemon, one, two)
    daemon.stop()
    check_logs(daemon, one, two)


def test_only_files_that_can_match_are_opened(start_daemon, tmp_path):
    """The control: one that could match, and is broken, is told."""
    daemon = Daemon(tmp_path / "daemon")
    source, other = Source.fresh(), Source.fresh()
    plant(daemon, source, DAY_2, [planted_line(NOON_1 + 86400, "here")])
    for place in ((source, "2026-05-10"), (source, "2026-05-30"), (other, DAY_2)):
        plant(daemon, *place, [])
        path = daemon.source_dir("logs", place[0]) / f"{place[1]}.ndjson"
        path.rename(path.with_name(path.name + ".zst"))
        path.with_name(path.name + ".zst").write_bytes(b"garbage")
    narrow = ("--install", source.install_id, "--since", DAY_2, "--until", "2026-05-20")
    done = run(daemon, "logs", "cat", *narrow, "--json")
    assert json.loads(done.stdout)["body"] == "here" and done.stderr == ""
    done = run(daemon, "logs", "cat", "--since", DAY_2, "--until", "2026-05-20", "--json", status=1)
    assert json.loads(done.stdout)["body"] == "here" and "compressed file is damaged" in done.stderr


ODD = {"FIFO": os.mkfifo, "directory": os.mkdir, "symbolic link": lambda path: os.symlink("/etc/passwd", path),
       "socket": lambda path: os.mknod(path, 0o600 | stat.S_IFSOCK)}


@pytest.mark.parametrize("ending", [".ndjson", ".ndjson.zst"])
@pytest.mark.parametrize("kind", ODD)
def test_what_stands_in_the_place_of_a_day_is_named(tmp_path, kind, ending):
    """Once, by its path; the other days are printed, and nothing waits for a FIFO."""
    daemon = Daemon(tmp_path / "daemon")
    source, other = Source.fresh(), Source.fresh()
    plant(daemon, source, DAY_1, [planted_line(NOON_1, "before")])
    plant(daemon, other, DAY_2, [planted_line(NOON_1 + 86400, "beside")])
    odd = daemon.source_dir("logs", source) / (DAY_2 + ending)
    ODD[kind](odd)
    named = f"detritusctl: {odd.relative_to(daemon.data_dir)}: it is a {kind}, not a regular file\n"
    for command in (("cat",), ("grep", "be"), ("tail",)):
        done = run(daemon, "logs", *command, "--json", "--since", DAY_1, "--until", "2026-05-20", status=1)
        assert [json.loads(line)["body"] for line in done.stdout.splitlines()] == ["before", "beside"]
        assert done.stderr == named, command
    for narrow in (("--install", other.install_id), ("--until", "2026-05-17")):
        assert run(daemon, "logs", "cat", *narrow).stderr == ""  # it cannot match


def test_an_unreadable_day_is_named_by_its_path(tmp_path):
    daemon = Daemon(tmp_path / "daemon")
    source = Source.fresh()
    plant(daemon, source, DAY_1, [planted_line(NOON_1, "before")])
    path = daemon.source_dir("logs", source) / f"{DAY_2}.ndjson.zst"
    path.write_bytes(b"garbage")
    done = run(daemon, "logs", "cat", status=1)
    assert "before" in done.stdout
    assert done.stderr == (f"detritusctl: {path.relative_to(daemon.data_dir)}: the compressed file is damaged; what can "
                           "be read of it was read\n")


@pytest.mark.parametrize("kind", ["FIFO", "symbolic link", "socket"])
def test_what_stands_in_the_place_of_a_directory_is_named(tmp_path, kind):
    daemon = Daemon(tmp_path / "daemon")
    source = Source.fresh()
    plant(daemon, source, DAY_1, [planted_line(NOON_1, "here")])
    logs = daemon.data_dir / "logs"
    for odd in (logs / "acme" / "install", logs / "project"):
        ODD[kind](odd)
        for command in (("cat",), ("grep", "here"), ("tail",)):
            done = run(daemon, "logs", *command, "--json", status=1)
            assert json.loads(done.stdout)["body"] == "here"
            assert done.stderr == (f"detritusctl: {odd.relative_to(daemon.data_dir)}: it is a {kind}, not a directory\n")
        assert run(daemon, "logs", "cat", "--install", source.install_id, "--project", "acme").stderr == ""
        odd.unlink()
    logs.rename(tmp_path / "aside")
    ODD[kind](logs)
    for command in (("cat",), ("grep", "here"), ("tail",)):
        done = run(daemon, "logs", *command, status=1)
        assert f"detritusctl: logs: it is a {kind}, not a directory\n" in done.stderr and not done.stdout


def test_show_names_what_stands_in_the_place_of_a_day(start_daemon):
    daemon = start_daemon()
    source = Source.fresh()
    crash.report(daemon, "1.1", ACME, source, b"MDMP", timestamp=f"{DAY_1}T12:00:00Z")
    plant(daemon, source, DAY_1, [planted_line(NOON_1, "here")])
    for kind, day in (("FIFO", DAY_2), ("symbolic link", "2026-05-17")):
        ODD[kind](daemon.source_dir("logs", source) / f"{day}.ndjson")
    done = run(daemon, "crashes", "show", "1", "--logs", "5m", "--json", status=1)
    assert [line["body"] for line in json.loads(done.stdout)["logs"]] == ["here"]
    assert f"{DAY_2}.ndjson: it is a FIFO" in done.stderr and "2026-05-17.ndjson: it is a symbolic link" in done.stderr


def test_memory_is_bounded(tmp_path):
    """100 MB of lines through an address space of 64 MiB; the control: not through 4."""
    daemon = Daemon(tmp_path / "daemon")
    source = Source.fresh()
    plant(daemon, source, DAY_1, [planted_line(NOON_1 + n, f"{n} " + "x" * 2000) for n in range(50000)])

    def count(kib):
        script = f"set -o pipefail; (ulimit -v {kib}; exec \"$0\" \"$@\") | wc -l"
        done = children.run(["bash", "-c", script, DETRITUSCTL, "--data-dir", str(daemon.data_dir), "logs", "cat", "--json"],
                            capture_output=True, text=True)
        return done.returncode, int(done.stdout)

    if b"__asan" in open(DETRITUSCTL, "rb").read():
        pytest.skip("a sanitizer needs all the address space there is")
    assert count(64 * 1024) == (0, 50000)
    assert count(4 * 1024) != (0, 50000)


# -- sources


def check_sources(daemon, one, two):
    found = {row["install_id"]: row for row in lines(daemon, "sources", "--project", "acme")}
    assert found[one.install_id]["crashes"] == 2 and found[two.install_id]["crashes"] == 1
    shown = lines(daemon, "sources", "show", f"acme/{one.install_id}")[0]
    assert shown["crashes"] == 2 and [row["kind"] for row in shown["newest_crashes"]] == ["RustcIce", "Minidump"]
    assert lines(daemon, "sources", "show", str(shown["id"])) == [shown]
    assert lines(daemon, "sources", "show", one.install_id) == [shown]
    people = run(daemon, "sources", "show", one.install_id).stdout
    assert one.install_id in people and "Newest crashes" in people
    run(daemon, "sources", "show", "acme/nobody", status=1)
    page = run(daemon, "sources", "--limit", "1", "--json", "--project", "acme")
    after = re.search(r"--after (\S+)", page.stderr)[1]
    rest = lines(daemon, "sources", "--json", "--after", after, "--project", "acme")
    assert {json.loads(page.stdout)["install_id"], *(row["install_id"] for row in rest)} == set(found)


def test_sources_under_load_and_without_a_daemon(start_daemon):
    daemon = start_daemon()
    one, two = three_crashes(daemon)
    with Load(daemon, OTHER):
        check_sources(daemon, one, two)
    daemon.stop()
    check_sources(daemon, one, two)


# -- strangers


def test_hostile_text_is_harmless(start_daemon):
    """In every field that a client fills in freely, through every command."""
    daemon = start_daemon()
    source = Source("acme", Source.fresh().install_id, "p" + HOSTILE, "v" + HOSTILE)
    crash.upload(daemon, "1.1", ACME,
                 crash.metadata_part(source, panic_text="panic " + HOSTILE + "\nsecond " + HOSTILE,
                                     context={"k" + HOSTILE: HOSTILE}, timestamp="2026-05-19T12:00:00Z",
                                     build={"git_sha": HOSTILE, "profile": HOSTILE, "target_triple": HOSTILE},
                                     attachments=[{"key": "a", "filename": HOSTILE, "content_type": "text/plain",
                                                   "len": 1}]),
                 crash.dump_part(), crash.attachment_part("a", b"x"))
    export(daemon, otlp.export_lines(source, 1, body="body " + HOSTILE + "\nline 2 " + HOSTILE, severity_text=HOSTILE,
                                     attributes=[("k" + HOSTILE, HOSTILE)], time=NOON_1 + 86400), ACME).accepted()
    commands = [("crashes", "list"), ("crashes", "show", "1", "--logs", "1h"), ("sources",), ("sources", "show", "1"),
                ("logs", "cat"), ("logs", "tail"), ("logs", "grep", "body")]
    for command in commands:
        for json_too in ((), ("--json",)):
            done = run(daemon, *command, *json_too)
            assert done.stdout
            assert not DANGEROUS.search(done.stdout), (command, done.stdout)
            assert not DANGEROUS.search(done.stderr)
    assert lines(daemon, "crashes", "show", "1")[0]["panic_text"].startswith("panic " + HOSTILE)
    assert HOSTILE in lines(daemon, "logs", "cat")[0]["body"]
    for what in ("\x1b[31m", "\u202e"):
        assert not DANGEROUS.search(run(daemon, "crashes", "show", what, status=1).stderr)
        assert not DANGEROUS.search(run(daemon, "logs", "cat", "--severity", what, status=2).stderr)
    assert DANGEROUS.search(HOSTILE)


def test_lines_that_are_not_ours(start_daemon, tmp_path):
    """Torn, of strangers, with holes, not UTF-8: each is one JSON object, and harmless, and the ones around it are whole."""
    odd = [b'{"time_unix_nano":1,"body":"to', b"{\x00\x00\x00", b"\xff\xfe{}", b"", b"[1]", b"{} {}", b"}" + HOSTILE.encode(),
           b"{" * 5000, b'{"a":"\xed\xa0\x80"}', b'{"a":NaN}', b"x" * 300000]
    good = [(b'{"a":\t1}\r', {"a": 1}), (b"{ }", {}), (b'{"a":"' + "\x7f\u202e".encode() + b'"}', {"a": "\x7f\u202e"})]
    config = {"logs": {"ttl_days": 36500}}
    source = Source.fresh()
    plant(Daemon(tmp_path / "daemon"), source, "1970-01-01", [line + b"\n" for line in odd + [line for line, _ in good]])
    daemon = start_daemon(config, directory=tmp_path / "daemon")
    crash.report(daemon, "1.1", ACME, source, b"MDMP", timestamp="1970-01-01T00:00:01Z")
    who = {"project": "acme", "install_id": source.install_id}
    for rows in (lines(daemon, "logs", "cat"), lines(daemon, "logs", "tail", "-n", "100"),
                 lines(daemon, "crashes", "show", "1", "--logs", "5m")[0]["logs"]):
        assert rows[len(odd):] == [{**who, **members} for _, members in good]
        assert all(set(row) == {"project", "install_id", "text"} for row in rows[:len(odd)])
        assert rows[0]["text"] == odd[0].decode() and rows[1]["text"] == "{\0\0\0" and rows[2]["text"] == "??{}"
        assert rows[6]["text"] == "}" + HOSTILE
    for command in (("logs", "cat"), ("logs", "tail"), ("crashes", "show", "1", "--logs", "5m")):
        for options in ((), ("--json",)):
            assert not DANGEROUS.search(run(daemon, *command, *options).stdout)
    assert "{???" in run(daemon, "logs", "cat").stdout


def test_nothing_is_written(start_daemon):
    """The database and the log files are byte for byte what they were, and a reader leaves no file behind."""
    daemon = start_daemon()
    one, _ = three_crashes(daemon)
    export(daemon, otlp.export_lines(one), ACME).accepted()
    daemon.stop()

    def everything():
        return {str(path): path.read_bytes() for path in daemon.data_dir.rglob("*")
                if path.is_file() and not path.name.startswith("detritus.db-")}

    before = everything()
    for command in (("crashes", "list"), ("crashes", "show", "1", "--logs", "1h"), ("sources",), ("logs", "tail"),
                    ("crashes", "export", "1", "-o", "-")):
        run(daemon, *command, text=False)
    assert everything() == before
