"""One measurement: a server is started on a fresh directory, put under load, stopped, and what it kept is read back."""

import contextlib
import os
import pathlib
import shutil
import tempfile

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
        """What generate() says, and what it cost the server, which is stopped: what it has put off counts too."""
        before = server.process.cpu_seconds()
        said = generate()
        said["rss_mb"] = server.process.peak_rss_mb()
        server.stop()
        said["server_cpu"] = server.process.whole_cpu_seconds - before
        return said

    def by_detritus_load(self, server, **options):
        timed = {} if "requests" in options else {"seconds": self.seconds}
        said = load.detritus_load(self.tools.load, server, **timed, **options)
        said["numbered"] = True
        return said

    def by_h2load(self, server, records, connections, streams):
        """As many requests as take about the wanted time, so that each is answered and can be looked for."""
        few = connections * streams * H2LOAD_PROBE
        probe = load.h2load(server, server.directory, records, connections, streams, few)
        many = max(few, int(probe["requests_per_sec"] * self.seconds))
        said = load.h2load(server, server.directory, records, connections, streams, many)
        said["ok"] += probe["ok"]
        said["failed"] += probe["failed"]
        return said

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
            bytes_of_logs = server.log_bytes()
            if bytes_of_logs is not None:
                per_request = bytes_of_logs / max(1, said["ok"])
                result["disk_mb_per_sec"] = per_request * said["requests_per_sec"] / 1e6
            return result

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
