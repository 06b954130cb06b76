"""The rivals: how each is found, started and checked, and what it leaves out, which the table says. Their configuration
is in tests/bench/rivals/."""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import urllib.parse
import urllib.request

from .checks import SEQ_OTLP_JSON, SEQ_TEXT, mapped, numbers, wrong_numbers
from .load import PATH
from .servers import Receiver, Server

CONFIGURATION = pathlib.Path(__file__).resolve().parents[1] / "rivals"


class Nghttpd(Server):
    note = "the limit: reads the request, answers grpc-status 0 from memory; keeps nothing, knows no tokens"
    exit_statuses = None

    def start(self):
        page = self.directory / "htdocs" / PATH.lstrip("/")
        page.parent.mkdir(parents=True)
        page.write_bytes(b"\0" * 5)  # an empty answer, as gRPC frames it
        return self._launch_on_port(lambda port: ["--no-tls", "-n2", "-a", "127.0.0.1", "-d", self.directory / "htdocs",
                                                  "--trailer", "grpc-status: 0", port])


class Floor(Server):
    note = "the durable floor: journals the bodies in groups, syncs, then answers; no tokens, no decoding, one file"
    exit_statuses = None

    def start(self):
        return self._launch_on_port(lambda port: ["--port", port, "--dir", self.directory])

    def log_bytes(self):
        return (self.directory / "lines").stat().st_size

    def wrong_logs(self, said, records):
        sent = said["ok"] * said["body_bytes"]
        return "" if self.log_bytes() == sent else f"{self.log_bytes()} bytes on disk, {sent} acknowledged"


class Configured(Server):
    """Reads a file of tests/bench/rivals/, in which @PORT@ and @DIR@ stand for what they say."""

    template = None
    arguments = ()
    seq = None  # how its files have the number of a record
    copies = False  # as wrong_numbers() has it

    def start(self):
        config, self.logs = self.directory / self.template, self.directory / "logs"
        self.logs.mkdir(exist_ok=True)

        def arguments_for(port):
            text = (CONFIGURATION / self.template).read_text()
            config.write_text(text.replace("@PORT@", str(port)).replace("@DIR@", str(self.logs)))
            return [*self.arguments, "--config", config]

        return self._launch_on_port(arguments_for)

    def log_bytes(self):
        return sum(path.stat().st_size for path in self.logs.iterdir())

    def wrong_logs(self, said, records):
        return wrong_numbers(self.logs.iterdir(), said["ok"] * records, self.seq, self.copies)

    def numbers(self):
        return numbers(self.logs.glob("*"), self.seq)


class FluentBit(Configured):
    note = ("memory only: answers before anything is written, never syncs, no tokens; its file has body and time and"
            " drops every attribute, the severity and the source")
    template = "fluent-bit.yaml"
    arguments = ("--quiet",)
    seq = SEQ_TEXT


class Collector(Configured):
    note = "a buffer flushed each second, never synced, answered before that; no tokens; one file for all sources"
    template = "collector.yaml"
    seq = SEQ_OTLP_JSON


class CollectorQueue(Configured):
    note = ("its durable setting: a persistent queue with fsync, synced before the answer, and delivered to nobody; no"
            " tokens; not a file that people read. Looked for in the queue's file, where a record may be twice")
    template = "collector-queue.yaml"
    seq = SEQ_TEXT
    copies = True  # bbolt's old pages


class VictoriaLogs(Server):
    note = ("over HTTP/1.1, loaded by h2load: answers when the records are in memory, saves and syncs them 5 to 10 s"
            " later (-inmemoryDataFlushInterval); no tokens. Records are counted by a query")
    http1 = True
    export_path = "/insert/opentelemetry/v1/logs"

    def __init__(self, tools, path, directory, data=None):
        super().__init__(tools, path, directory)
        self.data = pathlib.Path(data) if data else self.directory / "data"

    def start(self):
        return self._launch_on_port(lambda port: [
            f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={self.data}", "-retentionPeriod=100y",
            "-loggerLevel=ERROR"])

    def query(self, text):
        """Its lines."""
        body = urllib.parse.urlencode({"query": text}).encode()
        with urllib.request.urlopen(self.url + "/select/logsql/query", body, timeout=600) as answer:
            return [json.loads(line) for line in answer.read().splitlines()]

    def numbers(self):
        """Of a server that runs."""
        return {int(line["seq"]) for line in self.query("* | fields seq")}

    def wrong_logs(self, said, records):
        try:
            self.start()
            [line] = self.query("* | stats count() as n")
            found, expected = int(line["n"]), said["ok"] * records
        finally:
            self.process.kill()
        return "" if found == expected else f"{found} records on disk, {expected} acknowledged"


class Reference(Receiver):
    note = ("computes Argon2 for each request; logs are answered when they are in a queue in memory (RESOURCE_EXHAUSTED when"
            " it is full) and synced when a file is closed; dumps are synced, their names and index files are not")
    stop_signal = signal.SIGINT

    def start(self):
        self._launch("--bind", "127.0.0.1:0", "--data-dir", self.data, "--tokens-config", self.make_tokens())
        return self._wait_listening()


class Program:
    """No server: something that a measurement calls by its name."""

    note = "for P7: its SHA-256 uses the processor's instructions for it, which that of sha256sum may not"


# By name: the class, the programs looked for on PATH, how to ask for the version; where a program does not say it, what of
# its file does.
KNOWN = {
    "nghttpd": (Nghttpd, ["nghttpd"], ["--version"]),
    "floor": (Floor, [], []),
    "fluent-bit": (FluentBit, ["fluent-bit"], ["--version"]),
    "collector": (Collector, ["otelcol-contrib", "otelcol"], ["--version"]),
    "collector-queue": (CollectorQueue, ["otelcol-contrib", "otelcol"], ["--version"]),
    "victoria-logs": (VictoriaLogs, ["victoria-logs"], rb"VictoriaMetrics/VictoriaLogs\tv(\d+\.\d+\.\d+)"),
    "openssl": (Program, ["openssl"], ["version"]),
    "reference": (Reference, ["detritus-server"], rb"/detritus-server-(\d+\.\d+\.\d+)/"),
}
UNSUPPORTED = {"vector": "nobody has set it up here yet"}


def reference_of_interop(repo):
    """The one that tests/interop has installed, if it has."""
    found = sorted(repo.glob("build*/interop/reference/bin/detritusd"))
    return found[0] if found else None


def find(repo, tools, given):
    """given: {name: path or None}. Returns {name: path}, {name: why not}."""
    found, skipped = {"floor": tools.floor}, dict(UNSUPPORTED)
    for name, (_, programs, _) in KNOWN.items():
        if name == "floor":
            continue
        same = given.get("collector") if name == "collector-queue" else None
        path = given.get(name) or same or next(filter(None, map(shutil.which, programs)), None)
        if not path and name == "reference":
            path = os.environ.get("DETRITUS_REFERENCE") or reference_of_interop(repo)
        if path and os.access(path, os.X_OK):
            found[name] = pathlib.Path(path)
        else:
            skipped[name] = f"not executable: {path}" if path else f"not found; --{name} names one"
    return found, skipped


def version_of(name, path):
    arguments = KNOWN[name][2]
    if not arguments:
        return ""
    if isinstance(arguments, bytes):
        with mapped(pathlib.Path(path)) as data:
            found = re.search(arguments, data)
            return found[1].decode() if found else ""
    done = subprocess.run([path, *arguments], capture_output=True, text=True, check=False)
    found = re.search(r"v?\d+\.\d+\.\d+", done.stdout + done.stderr)
    return found[0] if found else ""
