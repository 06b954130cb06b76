"""A disk that fills up: refused early, survived, and well again by itself; and caps, which evict the oldest."""

import os
import pathlib

import pytest

from conftest import both
from harness import children, crash, grpc, http1, otlp
from harness.crash import attachment_part, body, dump_part, headers, metadata_part, upload
from harness.daemon import ACME, OTHER, sha256, wait_until
from test_janitor import again, edit

pytestmark = pytest.mark.ours

KIB, MIB = 1024, 1024 * 1024
DISK_BYTES = 64 * MIB
UPLOADS_REFUSED = 2 * MIB  # free: below a twentieth of the disk, above a fiftieth
LOGS_REFUSED = 600 * KIB   # below a fiftieth


class Disk:
    """A small file system with something on it that takes the space away."""

    def __init__(self, path):
        self.path = path
        self.filler = path / "filler"

    def free(self):
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def leave(self, size):
        """Allocates until so many bytes are free, or gives some back."""
        os.sync()  # what is only planned to be allocated counts as free or not as it likes
        with open(self.filler, "ab") as file:
            have = file.seek(0, os.SEEK_END)
            want = have + self.free() - size
            if want > have:
                os.posix_fallocate(file.fileno(), have, want - have)
            else:
                file.truncate(want)

    def fill(self):
        """To the last block."""
        with open(self.path / "filler-too", "wb", buffering=0) as file:
            for size in (MIB, 4 * KIB, 512):
                try:
                    while True:
                        file.write(b"x" * size)
                except OSError:
                    pass
            try:
                os.fsync(file.fileno())
            except OSError:
                pass

    def clear(self):
        for path in self.path.glob("filler*"):
            path.unlink()


@pytest.fixture
def disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small file system")
    if not pathlib.Path("/dev/loop-control").exists():
        pytest.skip("needs loop devices to mount a small file system")
    image, path = tmp_path / "disk.img", tmp_path / "disk"
    path.mkdir()
    with open(image, "wb") as file:
        file.truncate(DISK_BYTES)
    children.run(["mkfs.ext4", "-q", "-F", "-m", "0", str(image)], check=True)
    if children.run(["mount", "-o", "loop", str(image), str(path)], capture_output=True).returncode != 0:
        pytest.skip("needs a free loop device to mount a small file system")
    yield Disk(path)
    children.run(["umount", str(path)], check=True)


@pytest.fixture
def start_on(disk, start_daemon, tmp_path):
    """start_on(config): a daemon whose data directory is on the disk, and nothing else of it."""
    return lambda config=None: start_daemon(config, directory=tmp_path / "daemon", data_dir=disk.path / "data")


def refusing(daemon, kind, value):
    daemon.wait_metric("detritus_disk_refusing", lambda n: n == value, kind=kind)


def integrity(daemon):
    assert daemon.rows("PRAGMA integrity_check") == [{"integrity_check": "ok"}]
    assert daemon.rows("PRAGMA foreign_key_check") == []


# -- reserves


def test_uploads_are_refused_first_then_logs(disk, start_on, source):
    daemon = start_on()
    parts = metadata_part(source), dump_part(b"MDMP later")
    disk.leave(UPLOADS_REFUSED)
    refusing(daemon, "uploads", 1)
    for http in ("1.1", "2"):
        response = upload(daemon, http, ACME, *parts)
        response.refused(503, "disk reserve for uploads", "bytes free")
        assert int(response.header("retry-after")) > 0
    grpc.export(daemon, otlp.export_lines(source), ACME).accepted()
    assert daemon.request("1.1", "GET", "/healthz").status == 204
    assert daemon.metric("detritus_disk_refusals_total", kind="uploads") == 2

    disk.leave(LOGS_REFUSED)
    refusing(daemon, "logs", 1)
    refused = grpc.export(daemon, otlp.export_lines(source), ACME).refused(grpc.UNAVAILABLE, "disk reserve for logs",
                                                                          "bytes free")
    assert refused.retry_ms > 0
    daemon.request("1.1", "GET", "/healthz").refused(503, "disk reserve")
    assert daemon.metric("detritus_ready") == 0
    assert daemon.metric("detritus_disk_free_bytes") < UPLOADS_REFUSED
    assert daemon.metric("detritus_disk_forecast_days") == 0

    disk.clear()
    refusing(daemon, "logs", 0)
    refusing(daemon, "uploads", 0)
    assert daemon.request("1.1", "GET", "/healthz").status == 204
    assert upload(daemon, "1.1", ACME, *parts).status == 201
    grpc.export(daemon, otlp.export_lines(source), ACME).accepted()
    daemon.log_lines(source, 2)


def test_the_reserves_are_what_is_configured(disk, start_on, source):
    daemon = start_on({"limits": {"disk_reserve_uploads_bytes": "20MiB", "disk_reserve_logs_bytes": "10MiB"}})
    disk.leave(19 * MIB)
    refusing(daemon, "uploads", 1)
    disk.leave(24 * MIB)  # not 1.25 times as much
    daemon.wait_metric("detritus_disk_free_bytes", lambda n: n > 23 * MIB)
    upload(daemon, "1.1", ACME, metadata_part(source), dump_part()).refused(503, "20971520 must stay free")
    disk.leave(26 * MIB)
    refusing(daemon, "uploads", 0)
    assert upload(daemon, "1.1", ACME, metadata_part(source), dump_part()).status == 201
    disk.leave(9 * MIB)
    refusing(daemon, "logs", 1)
    grpc.export(daemon, otlp.export_lines(source), ACME).refused(grpc.UNAVAILABLE, "10485760 must stay free")


def test_no_body_is_asked_for(disk, start_on, source):
    daemon = start_on()
    disk.leave(UPLOADS_REFUSED)
    refusing(daemon, "uploads", 1)
    whole = body(metadata_part(source), dump_part())
    client = daemon.connect()
    client.send(http1.head("POST", crash.PATH, headers(ACME, extra=[("content-length", str(len(whole))),
                                                                    ("expect", "100-continue")])))
    client.read("POST").refused(503, "disk reserve for uploads")


@both
def test_what_is_announced_and_does_not_fit(disk, start_on, source, http):
    daemon = start_on()
    if http == "1.1":
        client = daemon.connect()
        client.send(http1.head("POST", crash.PATH, headers(ACME, extra=[("content-length", str(60 * MIB))])))
        client.read("POST").refused(503, "disk reserve for uploads")
    else:
        client = daemon.connect("2")
        stream = client.open("POST", crash.PATH, headers(ACME, extra=[("content-length", str(60 * MIB))]))
        client.answered(stream).refused(503, "disk reserve for uploads")
    assert daemon.metric("detritus_disk_refusing", kind="uploads") == 0  # others are taken
    assert upload(daemon, http, ACME, metadata_part(source), dump_part()).status == 201


def test_what_is_announced_is_kept_free(disk, start_on, source):
    """Of two uploads that fit alone the second is refused, until the first is gone."""
    daemon = start_on()
    whole = body(metadata_part(source), dump_part(b"x" * (25 * MIB)))
    first = daemon.connect()
    first.send(http1.head("POST", crash.PATH, headers(ACME, extra=[("content-length", str(len(whole)))])))
    first.send(whole[:MIB])
    daemon.wait_metric("detritus_disk_reserved_in_flight_bytes", lambda n: 20 * MIB < n < len(whole))
    other = crash.Source.fresh()
    second = body(metadata_part(other), dump_part(b"y" * (25 * MIB)))
    response = daemon.connect().request("POST", crash.PATH, headers(ACME), second)
    response.refused(503, "disk reserve for uploads")
    first.abort()
    daemon.wait_metric("detritus_disk_reserved_in_flight_bytes", lambda n: n == 0)
    wait_until(lambda: daemon.connect().request("POST", crash.PATH, headers(ACME), second).status == 201,
               "the second upload")


def test_what_nobody_announced_is_refused_on_its_way(disk, start_on, source):
    daemon = start_on()
    whole = body(metadata_part(source), dump_part(b"x" * (60 * MIB)))
    with daemon.unchanged():
        response = daemon.connect().request("POST", crash.PATH, headers(ACME), whole, chunk=MIB)
        response.refused(503, "disk reserve for uploads")
    assert disk.free() > UPLOADS_REFUSED
    assert upload(daemon, "1.1", ACME, metadata_part(source), dump_part()).status == 201


# -- a disk that is full before anybody looked


def test_nothing_torn_and_nothing_false(disk, start_on, source):
    """The disk is filled by somebody else while logs and uploads come in."""
    daemon = start_on()
    line, accepted, refused, stored = "x" * (20 * KIB), 0, 0, []
    left = 12 * MIB
    disk.leave(left)
    for n in range(60):
        left = max(0, left - 700 * KIB)
        disk.leave(left) if left else disk.fill()
        outcome = grpc.export(daemon, otlp.export_lines(source, 5, body=line), ACME)
        assert outcome.code in (grpc.OK, grpc.UNAVAILABLE), outcome
        accepted += 5 * (outcome.code == grpc.OK)
        refused += outcome.code != grpc.OK
        dump = b"MDMP %03d" % n * 2000
        answer = upload(daemon, "1.1", ACME, metadata_part(source, timestamp=f"2026-05-19T00:{n:02}:00Z"),
                        dump_part(dump))
        assert answer.status in (201, 503), answer
        stored += [sha256(dump)] if answer.status == 201 else []
    assert refused > 0 and accepted > 0
    refusing(daemon, "uploads", 1)
    refusing(daemon, "logs", 1)
    assert daemon.metrics_text().endswith("# EOF\n")
    assert len(daemon.log_lines(source)) == accepted

    disk.clear()
    refusing(daemon, "uploads", 0)
    refusing(daemon, "logs", 0)
    grpc.export(daemon, otlp.export_lines(source), ACME).accepted()
    assert len(daemon.log_lines(source)) == accepted + 1
    assert upload(daemon, "1.1", ACME, metadata_part(source, timestamp="2026-05-19T01:00:00Z"),
                  dump_part()).status == 201
    assert len(daemon.crash_rows(source)) == len(stored) + 1
    assert all(daemon.blob(one).exists() for one in stored)
    integrity(daemon)
    mirrors_come_back(daemon)


def mirrors_come_back(daemon):
    """A JSON file that found no space is written at the next start that looks, or when its report comes again."""
    daemon.kill()
    daemon.start()


# -- retention


def old_crashes(daemon, source, count):
    """Crashes of long ago with 100 KiB each, in the database of a daemon that is stopped then."""
    for n in range(count):
        crash.report(daemon, "1.1", ACME, source, b"MDMP %03d" % n * 12000, timestamp=f"2026-05-19T00:{n:02}:00Z")
    daemon.nothing_left()
    daemon.stop()
    for row in daemon.crash_rows(source):
        edit(daemon, ("UPDATE crash SET received_at = '2020-01-01T00:00:00.000Z' WHERE id = ?", (row["id"],)))


def test_retention_frees_a_full_disk(disk, start_on, source):
    daemon = start_on()
    old_crashes(daemon, source, 50)
    disk.leave(40 * KIB)
    disk.fill()
    assert disk.free() == 0
    daemon = start_on({"crashes": {"ttl_days": 30}})
    daemon.wait_metric("detritus_janitor_blobs_freed_total", lambda n: n == 50)
    assert daemon.crash_rows(source) == [] and daemon.mirror_files(source) == []
    refusing(daemon, "logs", 0)
    refusing(daemon, "uploads", 0)
    assert upload(daemon, "1.1", ACME, metadata_part(source), dump_part()).status == 201
    integrity(daemon)
    disk.clear()
    wait_until(lambda: (daemon.data_dir / "reserve").stat().st_blocks * 512 >= 500 * KIB, "the reserve file")


def test_a_cap_frees_a_full_disk(disk, start_on, source):
    daemon = start_on()
    old_crashes(daemon, source, 50)
    disk.leave(40 * KIB)
    disk.fill()
    daemon = start_on({"crashes": {"ttl_days": 36500, "max_bytes": "1MiB"}})
    daemon.wait_metric("detritus_janitor_blobs_freed_total", lambda n: n > 35)
    refusing(daemon, "uploads", 0)
    assert sum(row["len"] for row in daemon.rows("SELECT len FROM blob")) <= MIB
    integrity(daemon)


def test_a_cap_is_kept_while_the_disk_is_full(disk, start_on, source):
    """Many rows go although neither the database nor its WAL can grow."""
    daemon = start_on({"crashes": {"max_bytes": 1500 * KIB}, "projects": {"other": {"crashes_max_bytes": MIB}},
                       "limits": {"disk_reserve_uploads_bytes": 1, "disk_reserve_logs_bytes": 1}})
    sent = [report_at(daemon, source, n, size=4 * KIB) for n in range(300)]
    daemon.stop()
    daemon.start()  # with an empty WAL
    disk.leave(2 * MIB)
    last = report_at(daemon, source, 300, size=1490 * KIB)
    disk.fill()
    wait_until(lambda: not any(daemon.blob(one).exists() for one in sent[:290]), "the end of the old ones")
    assert daemon.blob(last).exists()
    daemon.log.wait("the reserve file is released")
    refusing(daemon, "logs", 0)
    grpc.export(daemon, otlp.export_lines(source), ACME).accepted()
    disk.clear()
    wait_until(lambda: (daemon.data_dir / "reserve").stat().st_blocks * 512 >= 500 * KIB, "the reserve file")
    integrity(daemon)


def test_nothing_is_deleted_to_make_room(disk, start_on, source):
    daemon = start_on({"janitor": {"interval_secs": 1}})
    crash.report(daemon, "1.1", ACME, source)
    disk.leave(LOGS_REFUSED)
    refusing(daemon, "logs", 1)
    seen = daemon.metric("detritus_janitor_cycles_total")
    daemon.wait_metric("detritus_janitor_cycles_total", lambda n: n >= seen + 2)
    assert len(daemon.crash_rows(source)) == 1


# -- caps


def report_at(daemon, source, n, token=ACME, size=10 * KIB):
    """The n-th crash; its dump is unlike the others'."""
    dump = (b"MDMP %s %03d " % (source.install_id.encode(), n)).ljust(size, b"x")
    crash.report(daemon, "1.1", token, source, dump, timestamp=f"2026-05-19T{n // 60:02}:{n % 60:02}:00Z")
    return sha256(dump)


def ids(daemon, source):
    return [row["id"] for row in daemon.crash_rows(source)]


def test_the_oldest_crashes_go(start_daemon, source):
    daemon = start_daemon({"crashes": {"max_bytes": 30 * KIB}})
    sent = [report_at(daemon, source, n) for n in range(3)]
    assert upload(daemon, "1.1", ACME, metadata_part(source), dump_part(b"x" * 10 * KIB)).status == 201
    wait_until(lambda: not daemon.blob(sent[0]).exists(), "the oldest dump's end")
    assert ids(daemon, source) == [2, 3, 4]
    report_at(daemon, source, 9)
    wait_until(lambda: not daemon.blob(sent[1]).exists(), "the next dump's end")
    assert ids(daemon, source) == [3, 4, 5]
    assert daemon.metric("detritus_janitor_cycles_total") == 1  # nobody waited for the next


def test_what_is_held_is_not_evicted(start_daemon, source):
    daemon = start_daemon()
    sent = [report_at(daemon, source, n) for n in range(2)]
    daemon.nothing_left()
    daemon.stop()
    edit(daemon, ("UPDATE crash SET held = 1 WHERE id = ?", (1,)))
    daemon = again(start_daemon, daemon, {"crashes": {"max_bytes": 15 * KIB}})
    wait_until(lambda: not daemon.blob(sent[1]).exists(), "the other dump's end")
    assert ids(daemon, source) == [1]


def test_what_is_shared_counts_once(start_daemon, source):
    daemon = start_daemon({"crashes": {"max_bytes": 30 * KIB}})
    other, note = crash.Source.fresh("other"), b"n" * 20 * KIB
    for n, (token, who) in enumerate([(ACME, source), (OTHER, other), (ACME, source)]):
        assert upload(daemon, "1.1", token, metadata_part(who, timestamp=f"2026-05-19T00:{n:02}:00Z"),
                      dump_part(b"MDMP"), attachment_part("note", note)).status == 201
    usage = {row["project"]: row["crash_bytes"] for row in daemon.rows("SELECT * FROM usage")}
    assert usage == {"": 20 * KIB + 4, "acme": 20 * KIB + 4, "other": 20 * KIB + 4}
    report_at(daemon, other, 5, OTHER)  # beyond: all that share go before anything is freed
    wait_until(lambda: not daemon.blob(sha256(note)).exists(), "the shared file's end")
    assert ids(daemon, source) == [] and ids(daemon, other) == [4]


def test_a_project_has_a_cap_of_its_own(start_daemon, source):
    daemon = start_daemon({"projects": {"acme": {"crashes_max_bytes": 15 * KIB}}})
    other = crash.Source.fresh("other")
    kept = [report_at(daemon, other, n, OTHER) for n in range(2)]
    sent = [report_at(daemon, source, n) for n in range(2)]
    wait_until(lambda: not daemon.blob(sent[0]).exists(), "the oldest dump's end")
    assert ids(daemon, source) == [4] and ids(daemon, other) == [1, 2]
    assert all(daemon.blob(one).exists() for one in kept)


def test_the_oldest_logs_go_and_todays_stay(start_daemon, source):
    daemon = start_daemon()
    sources = [source, crash.Source.fresh(), crash.Source.fresh()]
    for one in sources:
        grpc.export(daemon, otlp.export_lines(one, 10), ACME).accepted()
    daemon.nothing_left()
    daemon.stop()
    for one, day in zip(sources[:2], ("2026-05-18", "2026-05-19")):
        [path] = daemon.log_files(one)
        path.rename(path.with_name(f"{day}.ndjson"))
        edit(daemon, ("UPDATE log_file SET day = ? WHERE source_id = (SELECT id FROM source WHERE install_id = ?)",
                      (day, one.install_id)))
    [today] = daemon.log_files(sources[2])
    one_file = today.stat().st_size
    keep = {"logs": {"ttl_days": 36500, "max_bytes": int(2.5 * one_file)}}
    daemon = again(start_daemon, daemon, keep)
    wait_until(lambda: not daemon.log_files(sources[0]), "the oldest file's end")
    assert len(daemon.log_files(sources[1])) == len(daemon.log_files(sources[2])) == 1
    # What comes in is counted, and today's files alone may be too much.
    grpc.export(daemon, otlp.export_lines(sources[2], 40), ACME).accepted()
    wait_until(lambda: not daemon.log_files(sources[1]), "the next file's end")
    daemon.log_lines(sources[2], 50)
    assert daemon.metric("detritus_janitor_cycles_total") == 1


def test_logs_may_have_a_cap_by_project(start_daemon, source):
    daemon = start_daemon()
    other = crash.Source.fresh("other")
    grpc.export(daemon, otlp.export_lines(source), ACME).accepted()
    grpc.export(daemon, otlp.export_lines(other), OTHER).accepted()
    daemon.nothing_left()
    daemon.stop()
    for one in (source, other):
        [path] = daemon.log_files(one)
        path.rename(path.with_name("2026-05-19.ndjson"))
    for project in ("acme", "other"):
        edit(daemon, ("UPDATE log_file SET day = '2026-05-19' WHERE source_project = ?", (project,)))
    daemon = again(start_daemon, daemon, {"logs": {"ttl_days": 36500}, "projects": {"other": {"logs_max_bytes": 1}}})
    wait_until(lambda: not daemon.log_files(other), "the file's end")
    assert len(daemon.log_files(source)) == 1
