"""Data directories to look after: one with a few of everything, one that is being written."""

import contextlib
import hashlib
import sqlite3
import threading

from . import crash, ctl
from .children import DEADLINE_SECS, joined
from .daemon import ACME, OTHER
from .grpc import export
from .otlp import export_lines

KEPT = {"logs": {"ttl_days": 36500}, "crashes": {"ttl_days": 36500}}


def change(data_dir, sql):
    """By a hand, while no daemon runs."""
    with contextlib.closing(sqlite3.connect(f"{data_dir}/detritus.db")) as database:
        database.executescript("PRAGMA trusted_schema = ON;" + sql)


class Stock:
    """A data directory with a few of everything, whose daemon has stopped."""

    def __init__(self, daemon):
        self.dir = daemon.data_dir
        self.daemon = daemon
        self.sources = [crash.Source.fresh(), crash.Source.fresh(), crash.Source.fresh("other")]
        for n, source in enumerate(self.sources):
            token = OTHER if source.project == "other" else ACME
            for m in range(3):
                manifest = [{"key": "log", "filename": "a.log", "content_type": "text/plain", "len": 6}]
                parts = (crash.metadata_part(source, timestamp=f"2026-05-19T00:00:0{m}Z", attachments=manifest,
                                             context={"n": n, "text": "é"}),
                         crash.dump_part(b"MDMP shared" if m == 0 else b"MDMP %d %d" % (n, m)),
                         crash.attachment_part("log", b"shared"))
                assert crash.upload(daemon, "1.1", token, *parts).status == 201
            export(daemon, export_lines(source, 5), token).accepted()
        daemon.stop()

    def log(self, n=0):
        return self.daemon.log_files(self.sources[n])[0]

    def mirror(self, n=0):
        return self.daemon.mirror_files(self.sources[n])[0]

    def blob(self, content):
        return self.daemon.blob(hashlib.sha256(content).hexdigest())

    def change(self, sql):
        change(self.dir, sql)

    def verify(self, *arguments, status=1):
        """The kinds found, and the totals."""
        *found, totals = ctl.objects(self.dir, "verify", *arguments, status=status)
        assert totals["findings"] == len(found)
        return [(f["finding"], f["what"]) for f in found], totals, found

    def kinds(self, *arguments, **options):
        return [kind for kind, _ in self.verify(*arguments, **options)[0]]

    def whole(self, *arguments):
        assert self.verify(*arguments, status=0)[0] == []


class Load:
    """Uploads, and log exports, one after the other, until told to stop."""

    def __init__(self, daemon, token=ACME):
        self.daemon, self.token, self.over, self.failure = daemon, token, threading.Event(), []
        self.sent = self.lines = 0  # acknowledged
        self.started = threading.Event()
        self.threads = [threading.Thread(target=self._guard, args=(work,), daemon=True)
                        for work in (self._uploads, self._exports)]

    def _guard(self, work):
        try:
            work()
        except BaseException as error:
            self.failure.append(error)
            self.started.set()

    def _uploads(self):
        source = crash.Source.fresh(self.token.project)
        while not self.over.is_set():
            crash.report(self.daemon, "1.1", self.token, source, b"MDMP load %d" % self.sent,
                         timestamp=f"2026-05-19T00:00:00.{self.sent:09d}Z")
            self.sent += 1
            if self.sent == 20:
                self.started.set()

    def _exports(self):
        source = crash.Source.fresh(self.token.project)
        while not self.over.is_set():
            export(self.daemon, export_lines(source, 50), self.token).accepted()
            self.lines += 50

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        assert self.started.wait(DEADLINE_SECS)
        return self

    def __exit__(self, *_):
        self.over.set()
        joined(*self.threads)
        assert not self.failure, self.failure


ROWS = {
    "crash": "SELECT s.project, s.install_id, c.dump_sha256, c.dump_content_encoding, c.kind, c.crashed_at, c.received_at,"
             " c.platform, c.version, c.git_sha, c.profile, c.target_triple, c.panic_text, c.context, c.metadata, c.dedup,"
             " c.held, c.source_project FROM crash AS c JOIN source AS s ON s.id = c.source_id ORDER BY 1, 2, 6, 3",
    "attachment": "SELECT c.crashed_at, s.install_id, a.position, a.key, a.filename, a.content_type, a.content_encoding,"
                  " a.sha256, a.len, a.dedup FROM attachment AS a JOIN crash AS c ON c.id = a.crash_id"
                  " JOIN source AS s ON s.id = c.source_id ORDER BY 1, 2, 3",
    "blob": "SELECT sha256, len, refs FROM blob ORDER BY sha256",
    "blob_use": "SELECT sha256, project, uses FROM blob_use JOIN blob ON blob.id = blob_id ORDER BY 1, 2",
    "usage": "SELECT * FROM usage ORDER BY 1",
    "crash_count": "SELECT * FROM crash_count ORDER BY 1",
    "log_file": "SELECT s.project, s.install_id, l.day, l.bytes, l.lines, l.compressed, l.source_project FROM log_file AS l"
                " JOIN source AS s ON s.id = l.source_id ORDER BY 1, 2, 3",
    "source": "SELECT project, install_id, platform, version FROM source ORDER BY 1, 2",
}


def rows_of(data_dir, without=()):
    with contextlib.closing(sqlite3.connect(f"file:{data_dir}/detritus.db?mode=ro", uri=True)) as database:
        database.row_factory = sqlite3.Row
        return {table: [{key: row[key] for key in row.keys() if key not in without} for row in database.execute(sql)]
                for table, sql in ROWS.items()}


def all_rows(daemon, without=()):
    return rows_of(daemon.data_dir, without)
