"""The fixed script of requests that the campaign breaks, what was answered, and whether the answers are true.

An attempt knows what it sent and how it was answered: OK, REFUSED (come again), or NONE (the connection ended, so nobody
knows). Then truth() says, in words, where the data directory disagrees with the answers."""

import collections
import dataclasses
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "wire"))

from harness import crash, grpc, otlp  # noqa: E402
from harness.daemon import ACME, sha256  # noqa: E402
from harness.response import ConnectionEnded  # noqa: E402

OK, REFUSED, NONE = "ok", "refused", "none"
LINES = 3


def ask(send):
    """What send() returns; None when the connection ended, or could not be made, before an answer."""
    try:
        return send()
    except (ConnectionEnded, OSError):
        return None


@dataclasses.dataclass
class Attempt:
    """One request, sent once. sure: it was refused by a store that takes writes, so nothing of it may be there."""

    name: str
    outcome: str = None
    sure: bool = False
    resent: bool = False
    broken: bool = False
    known: bool = False
    wrong: list = dataclasses.field(default_factory=list)

    def settle(self, outcome, said):
        self.outcome = outcome
        if outcome is None:
            self.outcome = NONE
            self.wrong.append(f"an answer that must not be: {said}")


class Export(Attempt):
    """LINES lines to each source; the body of each names the attempt."""

    serial = 0

    def __init__(self, sources):
        Export.serial += 1
        super().__init__(f"export-{Export.serial}")
        self.sources = sources

    def again(self):
        return Export(self.sources)

    def send(self, daemon):
        bodies = [f"{self.name}:{i}" for i in range(LINES)]
        message = otlp.export(*(otlp.resource_logs(source.attributes(), [otlp.log_record(body=body) for body in bodies])
                                for source in self.sources))
        answer = ask(lambda: self._call(daemon, message))
        if answer is None or answer.reset not in (None, 0):
            self.settle(NONE, answer)
            return
        if answer.status == 503 and answer.header("retry-after"):  # not even memory to speak gRPC; means UNAVAILABLE
            self.settle(REFUSED, answer)
            return
        outcome = grpc.outcome(answer)
        retryable = outcome.code == grpc.UNAVAILABLE and outcome.retry_ms is not None
        self.settle(OK if outcome.code == grpc.OK else REFUSED if retryable else None, outcome)

    @staticmethod
    def _call(daemon, message):
        client = daemon.connect("2")
        try:
            stream = client.open("POST", grpc.EXPORT, grpc.headers(ACME))
            client.data(stream, grpc.frame(message))
            return client.answered(stream)
        finally:
            client.close()

    def untrue(self, daemon, files):
        for source in self.sources:
            bodies = files.bodies(source)
            counts = [bodies[f"{self.name}:{i}"] for i in range(LINES)]
            if self.outcome == OK and counts != [1] * LINES:
                yield f"{self.name} was answered OK, its lines are there {counts} times"
            elif self.outcome == REFUSED and self.sure and any(counts):
                yield f"{self.name} was refused, its lines are there {counts} times"
            elif max(counts) > 1:
                yield f"{self.name} was {self.outcome}, its lines are there {counts} times"


class LogFiles:
    """The lines of sources, read once for many attempts. torn: "none" is allowed, only what Past tore, or "any"."""

    def __init__(self, daemon, torn):
        self.daemon, self.torn, self.cache, self.wrong = daemon, torn, {}, []

    def bodies(self, source):
        if source not in self.cache:
            self.cache[source] = collections.Counter(self._read(source))
        return self.cache[source]

    def _read(self, source):
        *lines, tail = self.daemon.log_text(source).split(b"\n")
        if tail and self.torn != "any" and not (self.torn == "past" and Past.TORN in tail):
            self.wrong.append(f"a torn last line: {tail[:80]}")
        for line in lines:
            try:
                yield json.loads(line)["body"]
            except ValueError:
                self.wrong.append(f"a torn line: {line[:80]}")


class Upload(Attempt):
    """A crash report with its attachments, [(key, bytes)]. broken: one that can only be refused for good. known: one that
    was stored before."""

    serial = 0

    def __init__(self, source, dump, attachments=(), broken=False, known=False):
        Upload.serial += 1
        super().__init__(f"upload-{Upload.serial}", broken=broken, known=known)
        self.source, self.dump, self.attachments = source, dump, attachments

    def again(self):
        return Upload(self.source, self.dump, self.attachments, self.broken, self.known or self.outcome == OK)

    def send(self, daemon):
        declared = [{"key": key, "filename": f"{key}.txt", "content_type": "text/plain", "len": len(data)}
                    for key, data in self.attachments]
        parts = [crash.metadata_part(self.source, attachments=declared), crash.dump_part(self.dump)]
        parts += [crash.attachment_part(key, data) for key, data in self.attachments]
        parts += [crash.part("unknown", b"refused")] if self.broken else []
        answer = ask(lambda: crash.upload(daemon, "1.1", ACME, *parts))
        if answer is None:
            self.settle(NONE, answer)
        elif answer.status == 201 and not self.broken:
            self.settle(OK, answer)
            body = answer.json()
            if body["id"] != sha256(self.dump):
                self.wrong.append(f"a wrong id: {answer}")
        else:
            retryable = answer.status == 503 and answer.header("retry-after")
            self.settle(REFUSED if retryable or (self.broken and answer.status == 400) else None, answer)

    def untrue(self, daemon, files):
        rows = [row for row in daemon.crash_rows(self.source) if row["dump_sha256"] == sha256(self.dump)]
        if len(rows) > 1:
            yield f"{self.name} has {len(rows)} rows"
        if rows and (self.broken or (self.outcome == REFUSED and self.sure and not self.known)):
            yield f"{self.name} was refused, and is in the index"
        if self.outcome != OK:
            return
        if not rows:
            yield f"{self.name} was answered 201, and is not in the index"
            return
        for data in (self.dump, *(data for _, data in self.attachments)):
            path = daemon.blob(sha256(data))
            if not path.exists() or path.read_bytes() != data:
                yield f"{self.name} was answered 201, and a blob of it is {'other' if path.exists() else 'not there'}"
        stored = daemon.rows("SELECT key, sha256 FROM attachment WHERE crash_id = ? ORDER BY position", (rows[0]["id"],))
        if [(row["key"], row["sha256"]) for row in stored] != [(key, sha256(data)) for key, data in self.attachments]:
            yield f"{self.name} has other attachments: {stored}"

    def mirror_missing(self, daemon):
        names = [path for path in daemon.mirror_files(self.source) if path.name.endswith(sha256(self.dump) + ".json")]
        if len(names) != 1:
            return f"{self.name} has {len(names)} JSON files"
        if json.loads(names[0].read_bytes())["dump"]["sha256"] != sha256(self.dump):
            return f"{self.name} has another's JSON file"
        return None


class Past:
    """What was stored before anything was armed; and a log file that is torn before each case, as by a power cut."""

    TORN = b'{"torn":'

    def __init__(self, daemon):
        self.source, self.torn_source = crash.Source.fresh(), crash.Source.fresh()
        self.tears = 0
        self.attempts = [Export([self.source]), Export([self.torn_source]),
                         Upload(self.source, b"MDMP an old dump", [("log", b"an old log\n")])]
        for attempt in self.attempts:
            attempt.send(daemon)
            assert attempt.outcome == OK, attempt

    @classmethod
    def nothing(cls):
        """For a fresh directory: sources and a report that nobody has sent yet."""
        past = cls.__new__(cls)
        past.source, past.torn_source, past.tears = crash.Source.fresh(), crash.Source.fresh(), 0
        past.attempts = [Upload(past.source, b"MDMP an old dump", [("log", b"an old log\n")])]
        return past

    def _tear(self):
        return self.TORN + b"%d" % self.tears + b"," * 5000

    def tear(self, daemon):
        self.tears += 1
        with open(daemon.log_files(self.torn_source)[-1], "ab") as file:
            file.write(self._tear())

    def lost(self, daemon):
        """The last tear must be set aside by now."""
        if self.tears:
            aside = list(daemon.source_dir("logs", self.torn_source).glob("*.torn"))
            if not any(self._tear() in path.read_bytes() for path in aside):
                yield f"an unterminated line was lost: {aside}"


def script(past):
    """A new source, an old one, a torn one, three at once; a new report, an old dump from elsewhere, an old report, and a
    bad one."""
    fresh = [crash.Source.fresh() for _ in range(5)]
    name = fresh[0].install_id.encode()
    old = past.attempts[-1]
    return [
        Export(fresh[:1]),
        Export([past.source]),
        Export([past.torn_source]),
        Export([fresh[1], past.source, fresh[2]]),
        Upload(fresh[3], b"MDMP a dump of " + name * 300, [("log", b"what it said, " + name), ("empty", b"")]),
        Upload(fresh[3], b"MDMP another dump of " + name,  # so many files that they are synced together
               [(f"file{i}", b"%d of " % i + name) for i in range(5)]),
        Upload(fresh[4], old.dump, [("log", old.attachments[0][1])]),
        old.again(),
        Upload(fresh[4], b"MDMP nobody wants " + name, broken=True),
    ]


def send_all(daemon, attempts):
    for attempt in attempts:
        attempt.send(daemon)
    return attempts


def send_again(daemon, attempts):
    """Sends again what was not answered OK. The attempts that count from here on, and which of them still fail."""
    kept, wrong = [], []
    for attempt in attempts:
        if attempt.outcome == OK or attempt.broken or attempt.resent:
            kept.append(attempt)
            continue
        again = attempt.again()
        again.send(daemon)
        kept.append(again)
        if again.outcome != OK:
            wrong.append(f"{again.name}, which is {attempt.name} again, was {again.outcome}")
        if isinstance(attempt, Export):  # its lines may be there, once
            attempt.resent = True
            kept.append(attempt)
    return kept, wrong


def truth(daemon, attempts, torn="none", mirrors=True):
    """Where the data directory contradicts what was answered, in words."""
    files = LogFiles(daemon, torn)
    wrong = [words for attempt in attempts for words in attempt.wrong]
    wrong += [words for attempt in attempts for words in attempt.untrue(daemon, files)]
    if mirrors:
        uploads = [a for a in attempts if isinstance(a, Upload) and a.outcome == OK]
        wrong += filter(None, (upload.mirror_missing(daemon) for upload in uploads))
    wrong += files.wrong
    wrong += [f"integrity_check: {row}" for row in daemon.rows("PRAGMA integrity_check")
              if list(row.values()) != ["ok"]]
    return wrong
