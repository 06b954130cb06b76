"""The real detritusd as a child process: started, watched, asked what is left alive, stopped.

DETRITUSD and DETRITUSCTL say which binaries (default: <repo>/build/src/). DETRITUSD_IS_REFERENCE=1 says that DETRITUSD
is the Rust receiver: then only flags and the TOML token file are used, and tests of what it does not have are skipped.
"""

import collections
import contextlib
import copy
import hashlib
import json
import os
import pathlib
import re
import signal
import sqlite3
import subprocess
import threading
import time

import pytest
import yaml

from . import children, http1, http2, response
from .children import DEADLINE_SECS, wait_until

REPO = pathlib.Path(__file__).resolve().parents[3]
DETRITUSD = os.environ.get("DETRITUSD", str(REPO / "build/src/detritusd/detritusd"))
DETRITUSCTL = os.environ.get("DETRITUSCTL", str(REPO / "build/src/detritusctl/detritusctl"))
IS_REFERENCE = os.environ.get("DETRITUSD_IS_REFERENCE", "0") not in ("", "0")

# The daemon's own limits of time are beyond what a slow machine needs: a test that is about one sets that one.
PATIENT = {"limits": {f"{name}_secs": 86400 for name in (
    "head_timeout", "body_idle_timeout", "write_timeout", "idle_timeout", "drain_timeout", "control_idle_timeout",
    "control_write_timeout", "token_cache", "token_cache_bad")}}


class Token:
    def __init__(self, secret, id, phc, project, source_prefix):
        self.secret, self.id, self.phc, self.project, self.source_prefix = secret, id, phc, project, source_prefix

    @property
    def header(self):
        return ("authorization", "Bearer " + self.secret)

    def entry(self):
        return {"id": self.id, "secret": self.phc, "project": self.project, "source_prefix": self.source_prefix}


# Argon2id with m=8, t=1, p=1, computed once: a verification here costs microseconds.
ACME = Token("acme-secret", "acme-prod",
             "$argon2id$v=19$m=8,t=1,p=1$c2FsdC1vZi1hY21lLXNlYw$nU7v2Y1Qnc8jg/f4x1DqaCDHNbj+1ZI8VdNitYUu2no",
             "acme", "acme/")
NARROW = Token("acme-narrow-secret", "acme-narrow",
               "$argon2id$v=19$m=8,t=1,p=1$c2FsdC1vZi1hY21lLW5hcg$FP4XXXMeMKBqNj0oSpdF2/9UoCpHE56caj2i9QEYziU",
               "acme", "acme/00000000-")
OTHER = Token("other-secret", "other-prod",
              "$argon2id$v=19$m=8,t=1,p=1$c2FsdC1vZi1vdGhlci1zZQ$AFrmZbCybH/GpK2EmdtxprS/Czy7ZDuQg2vO1oXfO8g",
              "other", "other/")
LATE = Token("late-secret", "late",
             "$argon2id$v=19$m=8,t=1,p=1$c2FsdC1vZi1sYXRlLXNlYw$esgSZ+v8UXEtprOB3usa34gKnXeDDp6p5fcLSM7Sxkc",
             "acme", "acme/")
# As hash-token makes them, of a secret that was thrown away.
SLOW_PHC = ("$argon2id$v=19$m=19456,t=2,p=1$1xiUcEdKDBJDXSwpbaXopA$"
            "L20Hp3umT7VKs8liUSFJ/c16JsVJPeKBvKFnl/wsW5c")

RATE_UNLIMITED = {"logs_per_minute": 1000000, "logs_burst": 1000000,
                  "crashes_per_minute": 1000000, "crashes_burst": 1000000}

GAUGES = ("detritus_connections", "detritus_requests_in_flight", "detritus_body_bytes", "detritus_uploads_in_flight",
          "detritus_temporary_files", "detritus_writer_queue_depth", "detritus_index_queue_depth",
          "detritus_verifier_queue_depth", "detritus_disk_reserved_in_flight_bytes")

TOP_LEVEL = {"detritus.db", "detritus.db-wal", "detritus.db-shm", "logs", "crashes", "journal", "lock", "control.sock",
             "tmp", "reserve", "corrupt", "recovered",
             "detritus.db.before-reindex", "detritus.db.before-reindex-wal"}

COMPLAINTS = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|MemorySanitizer|runtime error:|panicked at|"
                        r"Assertion .* failed")


def slow_tokens(count):
    """Entries that fit no token. Each costs 20 ms of Argon2 before those behind it are tried."""
    return tuple(Token("", f"slow-{n}", SLOW_PHC, "acme", "acme/") for n in range(count))


# A verification of an unknown token takes minutes. stop() does not wait for its end.
ENDLESS_TOKENS = slow_tokens(5000)


def stranger(name):
    """A token that is in no file."""
    return Token(name, "", "", "", "")


def tokens_toml(tokens, rate_limit):
    def table(entries):
        return "".join(f"{key} = {json.dumps(value)}\n" for key, value in entries.items())

    text = "".join(f"[[token]]\n{table(token.entry())}\n" for token in tokens)
    return text + (f"[rate_limit]\n{table(rate_limit)}" if rate_limit is not None else "")


def merged(base, changes):
    out = copy.deepcopy(base)
    for key, value in (changes or {}).items():
        out[key] = merged(out[key], value) if isinstance(value, dict) and isinstance(out.get(key), dict) else value
    return out


class Log:
    """What the daemon writes to standard error, line by line, as it comes."""

    def __init__(self, pipe):
        self.lines = []
        self.closed = False
        self.changed = threading.Condition()
        threading.Thread(target=self._read, args=(pipe,), daemon=True).start()

    def _read(self, pipe):
        with pipe:
            for raw in pipe:
                with self.changed:
                    self.lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
                    self.changed.notify_all()
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def text(self):
        with self.changed:
            return "\n".join(self.lines)

    def mark(self):
        with self.changed:
            return len(self.lines)

    def wait(self, pattern, since=0):
        """The match of the first line from `since` on that matches."""
        deadline = time.monotonic() + DEADLINE_SECS
        with self.changed:
            while True:
                for line in self.lines[since:]:
                    found = re.search(pattern, line)
                    if found:
                        return found
                left = deadline - time.monotonic()
                if self.closed or left <= 0:
                    why = "the daemon ended" if self.closed else "in vain"
                    raise AssertionError(f"waited for {pattern!r}: {why}\n" + "\n".join(self.lines))
                self.changed.wait(left)


class Daemon:
    """config: YAML overrides over the test defaults. flags: command line, where a flag is what is tested. data_dir: where
    it is when not in the directory; binary: which daemon when not DETRITUSD; prepare: called with it before it starts."""

    def __init__(self, directory, config=None, tokens=(ACME, NARROW, OTHER), rate_limit=RATE_UNLIMITED,
                 tokens_file=None, flags=(), data_dir=None, binary=None, prepare=None, environment=None):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.reference = IS_REFERENCE
        self.binary = binary or DETRITUSD
        self.data_dir = pathlib.Path(data_dir) if data_dir else self.directory / "data"
        self.tokens_file = pathlib.Path(tokens_file) if tokens_file else self.directory / "tokens.toml"
        if not tokens_file:
            self.write_tokens(tokens_toml(tokens, rate_limit))
        self.clients = []
        self.environment = environment or {}  # what the daemon gets besides ours
        self.prefix = []  # a command that executes the daemon
        self.process = None
        self._arguments = self._reference_arguments(config or {}) if IS_REFERENCE else self._own_arguments(config or {})
        self._arguments += list(flags)
        if prepare:
            prepare(self)

    # -- starting and stopping

    def _own_arguments(self, config):
        defaults = {"bind": "127.0.0.1:0", "data_dir": str(self.data_dir), "tokens_config": str(self.tokens_file)}
        path = self.directory / "detritusd.yaml"
        path.write_text(yaml.safe_dump(merged(merged(defaults, PATIENT), config)))
        return ["--config", str(path)]

    def _reference_arguments(self, config):
        known = {("crashes", "max_part_bytes"): "--max-dump-bytes", ("logs", "ttl_days"): "--logs-ttl-days",
                 ("crashes", "ttl_days"): "--crashes-ttl-days", ("janitor", "interval_secs"): "--janitor-interval-secs"}
        arguments = ["--bind", "127.0.0.1:0", "--data-dir", str(self.data_dir), "--tokens-config",
                     str(self.tokens_file)]
        for group, settings in config.items():
            for key, value in (settings.items() if isinstance(settings, dict) else [(None, settings)]):
                if (group, key) not in known:
                    pytest.skip(f"the reference has no setting {group}.{key}")
                arguments += [known[group, key], str(value)]
        return arguments

    def write_tokens(self, text):
        # Renamed into place, so that a reload never reads half of it.
        fresh = self.tokens_file.with_name(self.tokens_file.name + ".new")
        fresh.write_text(text)
        fresh.chmod(0o600)
        fresh.rename(self.tokens_file)

    def launch(self):
        """Only the process; nothing is waited for."""
        if not os.access(self.binary, os.X_OK):
            pytest.fail(f"no daemon at {self.binary}: build it, or set DETRITUSD", pytrace=False)
        environment = dict(os.environ, NO_COLOR="1", **self.environment)
        environment.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0")
        environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        self.process = children.start([*self.prefix, self.binary, *self._arguments], stdin=subprocess.DEVNULL,
                                      stdout=subprocess.PIPE if self.reference else subprocess.DEVNULL,
                                      stderr=subprocess.STDOUT if self.reference else subprocess.PIPE,
                                      env=environment)
        self.log = Log(self.process.stdout if self.reference else self.process.stderr)
        return self

    def start(self):
        self.launch()
        found = self.log.wait(r"listening.*\baddr\W+([0-9.]+):(\d+)")
        self.address = (found[1], int(found[2]))
        if not self.reference:
            self.log.wait(r"retention cycle")  # the first one runs at once; it opens files of its own
        self.baseline = None if self.reference else self._baseline()
        return self

    def refuses_to_start(self, *statuses):
        """Runs a daemon that cannot start. What it says about it."""
        done = run(*self._arguments)
        assert done.returncode in (statuses or (1,)), done
        assert "listening" not in done.stderr and not COMPLAINTS.search(done.stderr), done.stderr
        return done.stderr

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    @property
    def url(self):
        return "http://%s:%d" % self.address

    def signal(self, number):
        self.process.send_signal(number)

    def wait_exit(self):
        try:
            return self.process.wait(DEADLINE_SECS)
        except subprocess.TimeoutExpired:
            children.end(self.process)
            raise AssertionError("the daemon does not end\n" + self.log.text())

    def stop(self):
        """SIGTERM drains and exits 0; nothing that a sanitizer says is overlooked."""
        self.close_clients()
        if self.running:
            self.signal(signal.SIGINT if self.reference else signal.SIGTERM)
        status = self.wait_exit()
        wait_until(lambda: self.log.closed, "the end of the daemon's log")
        assert not COMPLAINTS.search(self.log.text()), self.log.text()
        assert status == 0, f"exit status {status}\n{self.log.text()}"

    def kill(self):
        self.close_clients()
        if self.process:
            children.end(self.process)

    # -- talking

    def connect(self, http="1.1", **options):
        client = (http1.Http1 if http == "1.1" else http2.Http2)(self.address, **options)
        self.clients.append(client)
        return client

    def request(self, http, method, path, headers=(), body=None):
        """One request on a connection of its own."""
        client = self.connect(http)
        try:
            return client.request(method, path, headers, body)
        finally:
            client.close()

    def close_clients(self):
        for client in self.clients:
            client.close()
        self.clients.clear()

    # -- looking

    def metrics_text(self, client=None):
        response = client.request("GET", "/metrics") if client else self.request("1.1", "GET", "/metrics")
        assert response.status == 200
        return response.body.decode()

    def metric(self, name, default=None, client=None, **labels):
        """The value of one sample."""
        return samples(self.metrics_text(client)).get(sample_key(name, labels), default)

    def wait_metric(self, name, check, **labels):
        return wait_until(lambda: check(self.metric(name, 0, **labels)), f"{name} {labels}\n{self.log.text()}")

    def threads(self):
        """The names of its threads; one that is just ending may be missing."""
        names = []
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            with contextlib.suppress(OSError):
                names.append((task / "comm").read_text().strip())
        return names

    def source_dir(self, kind, source):
        return self.data_dir / kind / source.project / source.install_id

    def log_files(self, source):
        directory = self.data_dir / "logs" / source.project / source.install_id
        try:
            return sorted(directory / name for name in os.listdir(directory) if name.endswith(".ndjson"))
        except FileNotFoundError:  # glob() looks twice, and the janitor may take the directory between
            return []

    def log_text(self, source):
        return b"".join(path.read_bytes() for path in self.log_files(source))

    def log_lines(self, source, expect=None):
        """The NDJSON lines of a source. The reference answers before it writes, so there they are waited for."""
        def read():
            text = self.log_text(source)
            return text if expect is None or text.count(b"\n") >= expect else None

        text = wait_until(read, f"{expect} lines of {source}") if self.reference and expect else self.log_text(source)
        assert text == b"" or text.endswith(b"\n")
        lines = [json.loads(line, object_pairs_hook=strict_object) for line in text.decode("utf-8").split("\n")[:-1]]
        assert expect is None or len(lines) == expect, lines
        return lines

    def mirror_files(self, source):
        return sorted((self.data_dir / "crashes/by-source" / source.project / source.install_id).glob("*"))

    def blob(self, sha256):
        return self.data_dir / "crashes/by-hash" / sha256[:2] / (sha256 + ".bin")

    def rows(self, sql, parameters=()):
        with contextlib.closing(sqlite3.connect(f"file:{self.data_dir}/detritus.db?mode=ro", uri=True,
                                                timeout=DEADLINE_SECS)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(sql, parameters)]

    def crash_rows(self, source):
        return self.rows("SELECT crash.* FROM crash JOIN source ON source.id = crash.source_id"
                         " WHERE project = ? AND install_id = ? ORDER BY crash.id", (source.project, source.install_id))

    def rss_bytes(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) * 1024

    def cpu_secs(self):
        """User and system time of all its threads."""
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    # -- what is left

    def _baseline(self):
        """What is alive while nothing but the question itself is: one connection, and perhaps its request."""
        found = []

        def quiet():
            found[:] = [self._alive()]
            others = {**found[0][0], "detritus_connections": 0, "detritus_requests_in_flight": 0}
            return found[0][0]["detritus_connections"] == 1 and not any(others.values())

        wait_until(quiet, lambda: f"a daemon at rest after its start: {found[0]}\n{self.log.text()}")
        return found[0]

    def _alive(self):
        """The gauges of what is alive, and the open descriptors by kind, while one connection asks."""
        client = http1.Http1(self.address)
        try:
            values = samples(self.metrics_text(client))
            gauges = {name: values.get(name) for name in GAUGES}
            return gauges, self._descriptors()
        finally:
            client.close()

    def _descriptors(self):
        kinds = collections.Counter()
        for entry in os.scandir(f"/proc/{self.process.pid}/fd"):
            try:
                target = os.readlink(entry.path)
            except FileNotFoundError:
                continue
            inside = target[len(str(self.data_dir)) + 1:] if target.startswith(str(self.data_dir)) else ""
            if inside.startswith(("detritus.db", "journal/")) or re.fullmatch(r"logs/.*\.ndjson", inside):
                continue  # SQLite's and the log files' descriptor cache come and go as they like
            kinds[re.sub(r":\[\d+\]$", "", target)] += 1
        return kinds

    def nothing_left(self):
        """No connection, request, buffer, upload, queue entry, descriptor or temporary file is alive, and the index
        says exactly what is on disk."""
        self.close_clients()
        if not self.running or self.reference:
            return  # the reference leaves temporary files and blobs behind
        found = []

        def quiet():
            try:
                found[:] = [self._alive(), self.disorder()]
            except response.ConnectionEnded:  # where connections are limited, those that were closed may still count
                return False
            gauges, descriptors = found[0]
            if gauges != self.baseline[0] or descriptors - self.baseline[1] or found[1]:
                return False
            self.baseline = gauges, descriptors  # without what was only passing when the first count was made
            return True

        wait_until(quiet, lambda: f"nothing left alive:\n  now    {found[0]}\n  before {self.baseline}\n"
                                  f"  index  {found[1]}\n{self.log.text()}")

    def disorder(self):
        """Where the index and the disk differ, in words; empty when all is well."""
        wrong = [f"unexpected {name}" for name in os.listdir(self.data_dir) if name not in TOP_LEVEL]
        wrong += [f"left in tmp/: {name}" for name in os.listdir(self.data_dir / "tmp")]
        blobs = {path.stem: path.stat().st_size for path in (self.data_dir / "crashes/by-hash").rglob("*.bin")}
        indexed = {row["sha256"]: row for row in self.rows("SELECT sha256, len, refs FROM blob")}
        wrong += [f"blob without row: {sha256}" for sha256 in blobs.keys() - indexed.keys()]
        wrong += [f"row without blob: {sha256}" for sha256 in indexed.keys() - blobs.keys()]
        wrong += [f"length of {sha256}: {blobs[sha256]} is not {indexed[sha256]['len']}"
                  for sha256 in blobs.keys() & indexed.keys() if blobs[sha256] != indexed[sha256]["len"]]
        uses = self.rows("SELECT sha256, count(*) AS n FROM (SELECT dump_sha256 AS sha256 FROM crash"
                         " UNION ALL SELECT sha256 FROM attachment) GROUP BY sha256")
        counted = {row["sha256"]: row["n"] for row in uses}
        wrong += [f"refs of {sha256}: {row['refs']} is not {counted.get(sha256, 0)}"
                  for sha256, row in indexed.items() if row["refs"] != counted.get(sha256, 0)]
        mirrors = [path for path in (self.data_dir / "crashes/by-source").rglob("*") if path.is_file()]
        crashes = self.rows("SELECT count(*) AS n FROM crash")[0]["n"]
        if len(mirrors) != crashes:
            wrong.append(f"{len(mirrors)} mirror files for {crashes} crashes")
        return wrong

    def snapshot(self):
        """Every stored file with its size and every row about crashes."""
        files = {str(path.relative_to(self.data_dir)): path.stat().st_size
                 for top in ("logs", "crashes", "tmp") for path in (self.data_dir / top).rglob("*") if path.is_file()}
        rows = {}
        if not self.reference:
            rows = {table: self.rows(f"SELECT count(*) AS n FROM {table}")[0]["n"]
                    for table in ("crash", "attachment", "blob")}
        return files, rows

    @contextlib.contextmanager
    def unchanged(self):
        """What happens inside leaves no file, no line, no row."""
        before = self.snapshot()
        yield
        self.nothing_left()
        assert self.snapshot() == before


def run(*arguments, stdin=""):
    """detritusd with a command line that ends by itself."""
    return children.run([DETRITUSD, *arguments], input=stdin, capture_output=True, text=True)


def strict_object(pairs):
    """A JSON object that names no key twice."""
    keys = [key for key, _ in pairs]
    assert len(keys) == len(set(keys)), f"a key twice: {keys}"
    return dict(pairs)


def sample_key(name, labels):
    return name if not labels else name + "{" + ",".join(f'{k}="{v}"' for k, v in sorted(labels.items())) + "}"


def samples(text):
    """{"name" or 'name{label="value",…}': value} of an exposition whose label values need no escapes."""
    values = {}
    for line in text.split("\n"):
        found = re.fullmatch(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)", line)
        if found:
            labels = dict(re.findall(r'(\w+)="([^"]*)"', found[2] or ""))
            values[sample_key(found[1], labels)] = float(found[3])
    return values


def sha256(data):
    return hashlib.sha256(data).hexdigest()
