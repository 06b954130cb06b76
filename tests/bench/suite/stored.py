"""A data directory that has many crashes already, and what is measured on it."""

import contextlib
import datetime
import hashlib
import json
import os
import sqlite3
import statistics
import subprocess
import time

from .load import PROJECT
from .process import wait_until
from .sample import bare, sample, void_of

SOURCES = 1000
LISTINGS = 5
JANITOR_SECS = 600  # only a hang takes so long
KEEP = {"crashes": {"ttl_days": 36500}}
EXPIRE = {"crashes": {"ttl_days": 90}}
EXPIRED_DAYS, FRESH_DAYS = 100, 30
CRASH_COLUMNS = ("source_id", "source_project", "dump_id", "dump_sha256", "kind", "crashed_at", "received_at", "platform",
                 "version", "git_sha", "profile", "target_triple", "panic_text", "context", "metadata", "dedup")


def _install_id(source):
    return f"00000000-0000-4000-9000-{source:012}"


def _crashes(count, last):
    """(number, source, dump, its hash, moment) of each, a second apart, backwards from the last one."""
    for number in range(count):
        dump = b"MDMP%060d" % number
        at = last - datetime.timedelta(seconds=number)
        yield number, number % SOURCES, dump, hashlib.sha256(dump).hexdigest(), at


def _write_files(data, count, last):
    for prefix in range(256):
        (data / f"crashes/by-hash/{prefix:02x}").mkdir(parents=True, exist_ok=True)
    for source in range(min(count, SOURCES)):
        (data / "crashes/by-source" / PROJECT / _install_id(source)).mkdir(parents=True, exist_ok=True)
    for number, source, dump, digest, at in _crashes(count, last):
        report = {"schema_version": 1, "dump_sha256": digest, "metadata": {"number": number}}
        for path, content in ((f"by-hash/{digest[:2]}/{digest}.bin", dump),
                              (f"by-source/{PROJECT}/{_install_id(source)}/{at:%Y%m%dT%H%M%SZ}-{digest}.json",
                               json.dumps(report, indent=2).encode())):
            fd = os.open(f"{data}/crashes/{path}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
            os.write(fd, content)
            os.close(fd)


def _insert_rows(database, count, last):
    now = f"{datetime.datetime.now(datetime.timezone.utc):%Y-%m-%dT%H:%M:%S.000Z}"
    database.executemany("INSERT INTO source (project, install_id, platform, version, first_seen_at, last_seen_at)"
                         " VALUES (?, ?, 'linux', '2.4.1', ?, ?)",
                         ((PROJECT, _install_id(source), now, now) for source in range(min(count, SOURCES))))
    ids = {name: id for id, name in database.execute("SELECT id, install_id FROM source")}
    database.executemany("INSERT INTO blob (id, sha256, len, created_at) VALUES (?, ?, ?, ?)",
                         ((number + 1, digest, len(dump), now)
                          for number, _, dump, digest, _ in _crashes(count, last)))
    database.executemany(
        f"INSERT INTO crash ({', '.join(CRASH_COLUMNS)}) VALUES ({', '.join('?' * len(CRASH_COLUMNS))})",
        ((ids[_install_id(source)], PROJECT, number + 1, digest, "Minidump", f"{at:%Y-%m-%dT%H:%M:%S}.000000000Z",
          f"{at:%Y-%m-%dT%H:%M:%S}.000Z", "linux", "2.4.1", "0d1f2e3", "release", "x86_64-unknown-linux-gnu",
          f"attempt to divide by zero in frame {number % 997}", "{}", json.dumps({"number": number}), 0)
         for number, source, _, digest, at in _crashes(count, last)))


def make(bench, directory, count, age_days):
    """A stopped data directory with so many crashes: each has its dump, its row and its JSON file. The rows are written
    while no daemon runs, by this one connection."""
    data = directory / "data"
    last = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0) - datetime.timedelta(days=age_days)
    with bench.server("detritus", directory) as server:
        server.stop()
    if count > 0:
        _write_files(data, count, last)
        with contextlib.closing(sqlite3.connect(data / "detritus.db")) as database:
            database.execute("PRAGMA synchronous = OFF")
            database.execute("PRAGMA foreign_keys = ON")
            with database:
                _insert_rows(database, count, last)
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        os.sync()
    return data


def _listing_ms(bench, data):
    took = []
    for _ in range(LISTINGS):
        begin = time.perf_counter()
        subprocess.run([bench.tools.detritusctl, "--data-dir", data, "crashes", "list"], stdout=subprocess.DEVNULL,
                       check=True)
        took.append((time.perf_counter() - begin) * 1000)
    return statistics.median(took)


class Stored:
    """Directories by how many crashes they were made with, kept for all rounds. Uploads add a little to them."""

    def __init__(self, bench):
        self.bench = bench
        self.data = {}  # {count: (directory, how many dumps were uploaded)}
        self.stack = contextlib.ExitStack()

    def close(self):
        self.stack.close()

    def uploads(self, count, size, **options):
        """Crash uploads, with so many stored before; how long a start took, and detritusctl's listing."""
        if count not in self.data:
            top = self.stack.enter_context(self.bench.directory())
            self.data[count] = [make(self.bench, top, count, FRESH_DAYS), 0]
        data, uploaded = self.data[count]
        with self.bench.directory() as directory:
            with self.bench.server("detritus", directory, config=KEEP, data=data) as server:
                list_ms = _listing_ms(self.bench, data)
                rows = server.crash_rows()
                result, said = self.bench.upload_to(server, size, before=uploaded, rows_before=rows, **options)
            self.data[count][1] += said["ok"]
            return {**result, "start_ms": server.start_ms, "list_ms": list_ms, "stored": rows}


def empty(bench):
    """A start and detritusctl's listing with nothing stored. The rate is how many listings a second that is."""
    with bench.directory() as top, bench.directory() as directory:
        data = make(bench, top, 0, FRESH_DAYS)
        with bench.server("detritus", directory, data=data) as server:
            list_ms = _listing_ms(bench, data)
            server.stop()
            return {**bare(1000 / list_ms, "lists/s"), "list_ms": list_ms, "start_ms": server.start_ms}


def _left(data):
    crashes = data / "crashes"
    return sum(1 for kind in ("by-hash", "by-source") for path in (crashes / kind).rglob("*") if path.is_file())


def beside_janitor(bench, count, **options):
    """Log exports over a directory with so many expired crashes: first while they are kept, then while they are
    deleted. Deleting is waited for; everything must be gone then."""
    results, sent = {}, 0
    with bench.directory() as top:
        data = make(bench, top, count, EXPIRED_DAYS)
        for label, config in (("without", KEEP), ("beside", EXPIRE)):
            directory = top / label
            directory.mkdir()
            with bench.server("detritus", directory, config=config, data=data) as server:
                said = bench.by_detritus_load(server, first=sent, **options)
                deleted = count - server.crash_rows()
                wait_until(lambda: server.metrics()["detritus_janitor_cycles_total"] >= 1, "the janitor", JANITOR_SECS)
                cycle_secs = server.metrics()['detritus_janitor_cycle_duration_seconds_sum{result="ok"}']
                said.update(server_cpu=0, rss_mb=server.process.peak_rss_mb())
                server.stop()
            sent += said["ok"]
            wrong = server.wrong_logs({**said, "ok": sent}, 1)
            if label == "beside" and (server.crash_rows() or _left(data)):
                wrong += " expired crashes are still there"
            results[label] = {**sample(said, 1, void_of(said, wrong)), "cpu_us": None, "deleted_meanwhile": deleted,
                              "cycle_secs": cycle_secs}
    return results
