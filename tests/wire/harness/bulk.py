"""Many crashes at once, and what goes on while somebody works on a data directory."""

import json
import os
import socket
import threading

from . import crash
from .children import DEADLINE_SECS, joined
from .daemon import ACME, sha256


def fill(data_dir, source, count, first=0):
    """So many reports of a source, each with a dump of its own, as files: a daemon that starts there for the first time
    takes them over."""
    index = data_dir / "crashes/by-source" / source.project / source.install_id
    index.mkdir(parents=True, exist_ok=True)
    for n in range(first, first + count):
        dump = b"MDMP %s %d" % (source.install_id.encode(), n)
        blob = data_dir / "crashes/by-hash" / sha256(dump)[:2] / (sha256(dump) + ".bin")
        blob.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(dump)
        stamp, text = f"20260519T{n // 3600:02d}{n // 60 % 60:02d}{n % 60:02d}Z", crash.metadata(
            source, timestamp=f"2026-05-19T{n // 3600:02d}:{n // 60 % 60:02d}:{n % 60:02d}Z")
        pointer = {"sha256": sha256(dump), "len": len(dump), "path": str(blob.relative_to(data_dir)), "dedup": False}
        (index / f"{stamp}-{sha256(dump)}.json").write_text(
            json.dumps({"metadata": text, "dump": pointer, "attachments": []}, indent=2))


class Uploads:
    """Distinct reports of a source, one after the other, until told to stop; every one must be taken."""

    def __init__(self, daemon, source):
        self.daemon, self.source, self.sent, self.failure = daemon, source, 0, None
        self.over, self.first = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._work, daemon=True)

    def _work(self):
        try:
            while not self.over.is_set():
                crash.report(self.daemon, "1.1", ACME, self.source, b"MDMP load %d" % self.sent,
                             timestamp=f"2026-05-19T00:00:00.{self.sent:09d}Z")
                self.sent += 1
                self.first.set()
        except BaseException as error:
            self.failure = error
            self.first.set()

    def __enter__(self):
        self.thread.start()
        assert self.first.wait(DEADLINE_SECS)
        return self

    def __exit__(self, *_):
        self.over.set()
        joined(self.thread)
        assert self.failure is None, self.failure


class Control:
    """The control socket, as bytes. The path may be longer than a socket's address."""

    def __init__(self, data_dir):
        directory = os.open(data_dir, os.O_PATH | os.O_DIRECTORY)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.socket.connect(f"/proc/self/fd/{directory}/control.sock")  # waits for its turn, as with a time limit it would not
        finally:
            os.close(directory)
        self.socket.settimeout(DEADLINE_SECS)
        self.lines = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.lines.close()
        self.socket.close()

    def send(self, request):
        self.socket.sendall((request if isinstance(request, bytes) else json.dumps(request).encode()) + b"\n")

    def read(self):
        """The next line; None: the daemon has closed."""
        try:
            line = self.lines.readline()
        except ConnectionResetError:  # it had not read all that was sent
            return None
        return json.loads(line) if line else None

    def ask(self, request):
        """All that comes before the last line, and the last line."""
        before = []
        self.send(request)
        while True:
            line = self.read()
            if line is None or line.keys() & {"ok", "error"}:
                return before, line
            before.append(line)
