"""One measurement: a server is started on a fresh directory, put under load, stopped, and what it kept is read back."""

import contextlib
import os
import pathlib
import shutil
import tempfile
import time

from . import load
from .rivals import KNOWN
from .sample import sample, void_of
from .servers import Detritus
from .stored import Stored

WARM_UP_SECS = 1  # tokens are checked, files and segments made
FILL_BYTES = 32
H2LOAD_PROBE = 50  # requests a stream, to find out how many make a measurement


class Bench:
    """What all measurements share. seconds: how long each one takes, about."""

    def __init__(self, tools, top, rivals, seconds):
        self.tools, self.top, self.rivals, self.seconds = tools, pathlib.Path(top), rivals, seconds
        self.stored = Stored(self)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stored.close()

    @contextlib.contextmanager
    def directory(self):
        """A fresh one. What is left of it is gone, and the disk at rest, before the next measurement."""
        path = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=self.top))
        try:
            yield path
        finally:
            shutil.rmtree(path)
            os.sync()

    @contextlib.contextmanager
    def server(self, who, directory, config=None, data=None):
        """Started. It need not be running any more at the end."""
        if who == "detritus":
            server = Detritus(self.tools, self.tools.detritusd, directory, data=data, config=config)
        else:
            server = KNOWN[who][0](self.tools, self.rivals[who], directory)
        try:
            yield server.start()
        finally:
            if server.process:
                server.process.kill()

    # -- load

    def under_load(self, server, generate):
        """What generate() says, and what it cost the server, which is stopped: what it has put off counts too, in CPU time
        and in the time until all is written (whole_secs, from the first request on). log_bytes: when the load ended."""
        before, begin = server.process.cpu_seconds(), time.monotonic()
        said = generate()
        load_secs = time.monotonic() - begin
        said["rss_mb"] = server.process.peak_rss_mb()
        said["log_bytes"] = server.log_bytes()
        begin = time.monotonic()
        server.stop()
        said["whole_secs"] = load_secs + time.monotonic() - begin
        said["server_cpu"] = server.process.whole_cpu_seconds - before
        return said

    def by_detritus_load(self, server, **options):
        timed = {} if "requests" in options else {"seconds": self.seconds}
        said = load.detritus_load(self.tools.load, server, **timed, **options)
        said["numbered"] = True
        return said

    def by_h2load(self, server, records, connections, streams):
        """As many requests as take about the wanted time, so that each is answered and can be looked for. A few find out how
        many that are, and as many as the warm-up takes go ahead unmeasured."""
        few = many = connections * streams * H2LOAD_PROBE
        ok = failed = 0
        for wanted_secs in (WARM_UP_SECS, self.seconds, 0):
            said = load.h2load(server, server.directory, records, connections, streams, many)
            ok, failed = ok + said["ok"], failed + said["failed"]
            many = max(few, int(said["requests_per_sec"] * wanted_secs))
        return {**said, "ok": ok, "failed": failed}

    # -- whole measurements

    def logs(self, who, records=1, config=None, generator="detritus-load", **options):
        """Log exports. The unit is requests, or records where an export has several."""
        with self.directory() as directory, self.server(who, directory, config) as server:
            if generator == "h2load":
                by, wanted = self.by_h2load, {}
            else:
                by, wanted = self.by_detritus_load, {} if "requests" in options else {"warm_up": WARM_UP_SECS}
            said = self.under_load(server, lambda: by(server, records=records, **wanted, **options))
            said["body_bytes"] = len(load.export_body(records))
            result = sample(said, records, void_of(said, server.wrong_logs(said, records)))
            return {**result, **self.written(said, records, server.log_bytes())}

    @staticmethod
    def written(said, records, log_bytes):
        """What is on disk, and when it was: an answer may be far ahead of it."""
        if not log_bytes or not said["ok"]:
            return {}
        sent = said["ok"] * records
        written = {"disk_mb_per_sec": log_bytes / said["ok"] * said["requests_per_sec"] / 1e6,
                   "bytes_per_record": log_bytes / sent,
                   "unwritten": max(0.0, 1 - said["log_bytes"] / log_bytes)}
        if said["numbered"]:  # else the generator was started several times, and that counts too
            written["whole_rate"] = sent / said["whole_secs"]
        return written

    def crashes(self, who, size, config=None, **options):
        """Crash uploads, each with a dump of its own."""
        with self.directory() as directory, self.server(who, directory, config) as server:
            return self.upload_to(server, size, **options)[0]

    def upload_to(self, server, size, before=0, rows_before=0, fill=0, **options):
        """Uploads to a server that runs, has so many dumps of that size and so many rows, and is stopped. fill: so many
        tiny uploads go ahead, for which all directories are made: a store does that once in its life. Returns a sample
        and what the generator says."""
        cold = None
        if fill:
            cold = self.by_detritus_load(server, crashes=True, bytes=FILL_BYTES, **{**options, "requests": fill})
        said = self.under_load(server, lambda: self.by_detritus_load(server, crashes=True, bytes=size, **options))
        counts = {"rows_before": rows_before + (cold["ok"] if cold else 0)} if server.has_index else {}
        result = sample(said, 0, void_of(said, server.wrong_crashes(said, size, before, **counts)))
        return {**result, **({"cold_rate": cold["requests_per_sec"]} if cold else {})}, said
