"""Measurements that are no plain load: large uploads and what they are compared with, the disk by itself, and
connections that do nothing."""

import ctypes
import hashlib
import os
import subprocess
import time

from . import load, machine
from .process import Process, wait_until
from .sample import bare

IDLE_CONNECTIONS = 5000
SETTLED_SECS = 1
SEQUENTIAL_MB_FOR_EACH_SEC = 200
# Both ends read the same bytes once: the hash beside the file that is synced at its end.
PIPELINE = '$HASH <"$1" >"$1.sum" & tee "$1" <"$2" | dd of="$3" bs=1M iflag=fullblock conv=fdatasync status=none; wait'


def by_megabytes(result):
    """The same sample, with MB/s as its rate."""
    result["rate"], result["unit"] = result["mb_per_sec"], "MB/s"
    return result


def large(bench, who, size, connections=1, **options):
    return by_megabytes(bench.crashes(who, size, connections=connections, sources=connections, **options))


def pipeline(bench, size, program):
    """What a shell would do with the bytes of one upload, again and again. program: that makes the SHA-256."""
    with bench.directory() as directory:
        source, fifo, copy = directory / "source", directory / "fifo", directory / "copy"
        source.write_bytes(os.urandom(1 << 20) * (size >> 20))
        os.mkfifo(fifo)
        took, begin = [], time.monotonic()
        while not took or time.monotonic() - begin < bench.seconds:
            started = time.monotonic()
            subprocess.run(["bash", "-c", PIPELINE, "bash", fifo, source, copy], check=True,
                           env={**os.environ, "HASH": program})
            took.append(time.monotonic() - started)
            copy.unlink()
        return bare(size * len(took) / sum(took) / 1e6, "MB/s")


def dumps_floor(bench, size, at_once):
    """The least that must be done for dumps that are synced before they are answered: so many at once are hashed and
    written to files without a name, synced together, given their names, and these synced. No network, no index, one
    thread."""
    libc = ctypes.CDLL(None, use_errno=True)
    with bench.directory() as directory:
        for prefix in range(256):
            (directory / f"{prefix:02x}").mkdir()
        top, content, done, begin = os.open(directory, os.O_RDONLY), bytearray(os.urandom(size)), 0, time.monotonic()
        try:
            while time.monotonic() - begin < bench.seconds:
                files = []
                for number in range(done, done + at_once):
                    content[:8] = number.to_bytes(8, "big")
                    fd = os.open(directory, os.O_WRONLY | os.O_TMPFILE, 0o600)
                    os.write(fd, content)
                    files.append((fd, hashlib.sha256(content).hexdigest()))
                libc.syncfs(top)
                for fd, digest in files:
                    # The directory means nothing to an absolute path; given one, Python follows the link.
                    os.link(f"/proc/self/fd/{fd}", directory / digest[:2] / digest, src_dir_fd=top)
                    os.close(fd)
                libc.syncfs(top)
                done += at_once
            return bare(done / (time.monotonic() - begin), "req/s")
        finally:
            os.close(top)


def sequential_disk(bench):
    with bench.directory() as directory:
        megabytes = int(SEQUENTIAL_MB_FOR_EACH_SEC * bench.seconds)
        return bare(machine.sequential_mb_per_sec(directory, megabytes), "MB/s")


def _settled(value):
    """Once it has stayed the same for a while: an accepted connection's first bytes are read only later."""
    last, since = value(), time.monotonic()
    while time.monotonic() - since < SETTLED_SECS:
        time.sleep(SETTLED_SECS / 10)
        now = value()
        if now != last:
            last, since = now, time.monotonic()
    return last


def idle(bench):
    """Memory with many connections that are open and do nothing. The rate is how many there are."""
    with bench.directory() as directory, bench.server("detritus", directory) as server:
        command = load.detritus_load_command(bench.tools.load, server, mode="idle", connections=IDLE_CONNECTIONS,
                                             seconds=3600)
        holder = Process(command, directory / "holder")
        try:
            wait_until(lambda: server.metrics()["detritus_connections"] > IDLE_CONNECTIONS, "idle connections")
            rss = _settled(server.process.rss_mb)
        finally:
            holder.kill()
        server.stop()
        return {**bare(IDLE_CONNECTIONS, "connections"), "rss_mb": rss}
