"""Clients that never retry: log exports and crash reports of many kinds, at once, until enough was answered or the daemon
is gone. What they send follows from a seed; in which order it arrives does not."""

import datetime
import random
import threading

import zstandard
from harness import crash, grpc, otlp
from harness.crash import Source, attachment_part, dump_part, metadata_part
from harness.daemon import ACME, sha256
from harness.http1 import Http1
from harness.http2 import Http2
from harness.response import ConnectionEnded
from ledger import Export, Part, Report, Stored, text_of

SOURCES = 48
SHARED_BLOBS = 12
RETRYABLE_CODES = (grpc.UNAVAILABLE, grpc.RESOURCE_EXHAUSTED)
RETRYABLE_STATUSES = (429, 503)


def sources_of(seed):
    rng = random.Random(f"sources {seed}")
    return [Source("acme", "%08x-0000-4000-8000-%012x" % (rng.getrandbits(32), n)) for n in range(SOURCES)]


def shared_blob(seed, n):
    """Contents that many reports have in common."""
    return random.Random(f"shared {seed} {n}").randbytes(2000 + 9000 * n)


class Load:
    """clients: (how many send logs, how many send crashes). They stop once `answers` came, of all together.

    large: whether some exports are; "only": all. on_answer(n): called after the n-th answer of this load, whichever client got it, by that client's thread.
    complaints: answers that no client should ever get."""

    def __init__(self, daemon, ledger, seed, answers, clients=(5, 3), large=True, on_answer=lambda n: None):
        self.daemon, self.ledger, self.seed, self.large = daemon, ledger, seed, large
        self.sources = sources_of(str(seed).split("/")[0])
        self.wanted, self.on_answer = answers, on_answer
        self.first = ledger.answers
        self.complaints = []
        self.stopped = threading.Event()
        self.lock = threading.Lock()
        self.seen = 0
        log_clients, crash_clients = clients
        self.threads = [threading.Thread(target=self._client, args=(kind, n), daemon=True)
                        for kind, count in ((self._logs, log_clients), (self._crashes, crash_clients))
                        for n in range(count)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    def join(self):
        for thread in self.threads:
            thread.join()
        assert not self.complaints, self.complaints
        return self

    def run(self):
        return self.start().join()

    def stop(self):
        self.stopped.set()

    # -- clients

    def _client(self, body, n):
        try:
            body(n, random.Random(f"{body.__name__} {self.seed} {n}"))
        except (ConnectionEnded, ConnectionError):
            pass  # the daemon is gone, or will soon be seen to be
        except BaseException as error:
            self.complaints.append(repr(error))
            self.stop()

    def _answered(self):
        with self.lock:
            self.seen += 1
            seen = self.seen
        self.on_answer(seen)
        if seen >= self.wanted:
            self.stop()

    def _logs(self, n, rng):
        client = Http2(self.daemon.address)
        serial = 0
        try:
            while not self.stopped.is_set():
                batch = []
                for _ in range(rng.choice((1, 1, 2, 4))):  # several at once on one connection
                    serial += 1
                    export = self._export(f"{self.seed}.{n}.{serial}", rng)
                    message = otlp.export(*(self._resource_logs(part) for part in export.parts))
                    self.ledger.send(export)
                    stream = client.open("POST", grpc.EXPORT, grpc.headers(ACME))
                    client.data(stream, grpc.frame(message))
                    batch.append((export, stream))
                for export, stream in batch:
                    self._judge_export(export, grpc.outcome(client.answered(stream)))
        finally:
            client.close()

    def _resource_logs(self, part):
        records = [otlp.log_record(text_of(name, part.length)) for name in part.names]
        return otlp.resource_logs(part.source.attributes(), records)

    def _export(self, name, rng):
        kind = rng.random()
        if self.large == "only" or kind < 0.015 and self.large:
            shape = [(300, 4000)]  # more than a segment of the journal holds
        elif kind < 0.05 and self.large:
            shape = [(30, 4000)]
        elif kind < 0.08:
            shape = [(200, 100)]
        elif kind < 0.25:
            shape = [(rng.randrange(1, 4), rng.randrange(10, 300)) for _ in range(rng.randrange(2, 9))]
        else:
            shape = [(rng.randrange(1, 6), rng.choice((10, 100, 1000)))]
        chosen = rng.sample(self.sources, len(shape))
        return Export(parts=[Part(source, [f"{name}.{at}.{i}" for i in range(count)], length)
                             for at, (source, (count, length)) in enumerate(zip(chosen, shape))])

    def _judge_export(self, export, outcome):
        if outcome.code == grpc.OK:
            self.ledger.acknowledge(export)
        else:
            if outcome.code not in RETRYABLE_CODES or outcome.retry_ms is None:
                self.complaints.append(f"not retryable: {outcome}")
            self.ledger.refuse(export, f"gRPC {outcome.code}: {outcome.message}")
        self._answered()

    def _crashes(self, n, rng):
        client = Http1(self.daemon.address)
        serial, acknowledged = 0, []
        try:
            while not self.stopped.is_set():
                serial += 1
                if acknowledged and rng.random() < 0.1:
                    report, body = rng.choice(acknowledged)  # the very same again
                else:
                    report, body = make_report(rng, self.seed, self.sources, serial * 64 + n)
                    self.ledger.send(report)
                response = client.request("POST", crash.PATH, crash.headers(ACME), body)
                if response.status == 201:
                    assert response.json()["id"] == report.dump.sha256, response
                    self.ledger.acknowledge(report)
                    acknowledged = acknowledged[-20:] + [(report, body)]
                else:
                    if response.status not in RETRYABLE_STATUSES or response.header("retry-after") is None:
                        self.complaints.append(f"not retryable: {response}")
                    if report.position is None:
                        self.ledger.refuse(report, f"HTTP {response.status}: {response.json()['error']['message']}")
                self._answered()
                if response.header("connection", "") == "close":
                    client.close()
                    client = Http1(self.daemon.address)
        finally:
            client.close()


def make_report(rng, seed, sources, serial):
    """(Report, its body). One dump of three is shared with other reports, one attachment of two too."""
    def content(shared):
        if rng.random() < shared:
            return shared_blob(str(seed).split("/")[0], rng.randrange(SHARED_BLOBS))
        return rng.randbytes(rng.choice((100, 3000, 20000, 70000)))

    dump, encoding = content(0.35), None
    if rng.random() < 0.3:
        dump, encoding = zstandard.ZstdCompressor(level=1).compress(dump), "zstd"
    attachments = [(f"a{at}", content(0.5)) for at in range(rng.choice((0, 0, 1, 2)))]
    # The seed's own century, so that no two reports of a campaign have one timestamp.
    moment = datetime.datetime(2000, 1, 1) + datetime.timedelta(
        seconds=random.Random(f"{seed}").randrange(600000000) + serial)
    report = Report(source=rng.choice(sources), timestamp=moment.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    dump=Stored(sha256(dump), len(dump), encoding),
                    attachments=[(key, Stored(sha256(data), len(data))) for key, data in attachments])
    body = crash.body(metadata_part(report.source, timestamp=report.timestamp), dump_part(dump, encoding),
                      *(attachment_part(key, data) for key, data in attachments))
    return report, body
