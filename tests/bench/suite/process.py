"""Child processes: started with their output in a file, waited for by what they do, asked by /proc what they cost."""

import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import time

DEADLINE_SECS = float(os.environ.get("DETRITUS_TEST_DEADLINE", "300"))  # only a hang ever waits so long
POLL_SECS = 0.005


class BenchError(Exception):
    """Nothing can be measured: told in one line."""


def free_port():
    """A port of 127.0.0.1 that nothing listens on, for servers that cannot be asked which one they took."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(check, what, deadline_secs=DEADLINE_SECS):
    deadline = time.monotonic() + deadline_secs
    while True:
        outcome = check()
        if outcome:
            return outcome
        if time.monotonic() > deadline:
            raise BenchError(f"waited in vain for {what}")
        time.sleep(POLL_SECS)


def children_cpu_seconds():
    """User and system time of all children that have ended and were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class Process:
    def __init__(self, command, log, env=None):
        self.name = pathlib.Path(command[0]).name
        self.log = pathlib.Path(log)
        self.whole_cpu_seconds = None  # from its start to its end; told by stop()
        with self.log.open("wb") as out:
            self.child = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=out,
                                          stderr=subprocess.STDOUT, env={**os.environ, "NO_COLOR": "1", **(env or {})})

    @property
    def running(self):
        return self.child.poll() is None

    def _or_dead(self, check):
        outcome = check()
        if not outcome and not self.running:
            raise BenchError(f"{self.name} ended while it was waited for: {self.said()}")
        return outcome

    def said(self):
        return self.log.read_text(errors="replace").strip()[-400:]

    def wait_line(self, pattern):
        """The match of the pattern in what it has written."""
        return wait_until(lambda: self._or_dead(lambda: re.search(pattern, self.log.read_text(errors="replace"))),
                          f"{pattern!r} from {self.name}")

    def wait_port(self, port):
        def answers():
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
            except OSError:
                return False
            return True

        wait_until(lambda: self._or_dead(answers), f"port {port} of {self.name}")

    def cpu_seconds(self):
        """User and system time of all threads."""
        fields = pathlib.Path(f"/proc/{self.child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _memory_mb(self, field):
        status = pathlib.Path(f"/proc/{self.child.pid}/status").read_text()
        return int(re.search(rf"{field}:\s+(\d+)", status)[1]) / 1024

    def rss_mb(self):
        return self._memory_mb("VmRSS")

    def peak_rss_mb(self):
        return self._memory_mb("VmHWM")

    def stop(self, number=signal.SIGTERM, statuses=(0,)):
        """Ends it in order. statuses: None when any will do."""
        before = children_cpu_seconds()
        if self.running:
            self.child.send_signal(number)
        try:
            status = self.child.wait(DEADLINE_SECS)
            self.whole_cpu_seconds = children_cpu_seconds() - before
        except subprocess.TimeoutExpired:
            self.kill()
            raise BenchError(f"{self.name} does not end") from None
        if statuses is not None and status not in statuses:
            raise BenchError(f"{self.name} ended with status {status}: {self.said()}")

    def kill(self):
        if self.running:
            self.child.kill()
        self.child.wait()
