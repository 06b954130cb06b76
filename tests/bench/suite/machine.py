"""The machine: what it is, how fast its disk is, and how busy others keep it while we measure."""

import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import time

SYNCS = 200
CHUNK = 1 << 20
TICKS = os.sysconf("SC_CLK_TCK")
KERNEL_THREAD = 0x00200000  # PF_KTHREAD, among the flags of proc(5)'s stat


def _first(pattern, path):
    found = re.search(pattern, pathlib.Path(path).read_text(), re.MULTILINE)
    return found[1].strip() if found else "unknown"


def _file_system(directory):
    """Type of the file system that a directory is on."""
    real, best = os.path.realpath(directory), ("", "unknown")
    for line in pathlib.Path("/proc/mounts").read_text().splitlines():
        _, where, kind, *_ = line.split()
        if (real + "/").startswith(where.rstrip("/") + "/") and len(where) >= len(best[0]):
            best = (where, kind)
    return best[1]


def sync_ms(directory):
    """Median time of a 4 KiB append made durable by fdatasync."""
    path = pathlib.Path(directory) / "syncs"
    block, took = os.urandom(4096), []
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        for _ in range(SYNCS):
            begin = time.perf_counter()
            os.write(fd, block)
            os.fdatasync(fd)
            took.append((time.perf_counter() - begin) * 1000)
    finally:
        os.close(fd)
        path.unlink()
    return statistics.median(took)


def sequential_mb_per_sec(directory, megabytes):
    """What the disk takes: one new file written from front to back, then fdatasync."""
    path = pathlib.Path(directory) / "sequential"
    block = os.urandom(CHUNK)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        begin = time.perf_counter()
        for _ in range(megabytes):
            os.write(fd, block)
        os.fdatasync(fd)
        return megabytes * CHUNK / 1e6 / (time.perf_counter() - begin)
    finally:
        os.close(fd)
        path.unlink()


def commit_of(repo):
    if not shutil.which("git"):
        return "unknown"
    done = subprocess.run(["git", "-C", repo, "describe", "--always", "--dirty", "--exclude=*"], capture_output=True,
                          text=True, check=False)
    return done.stdout.strip() or "unknown"


def describe(repo, directory):
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": commit_of(repo),
        "cpu": _first(r"^model name\s*:(.*)", "/proc/cpuinfo"),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(int(_first(r"^MemTotal:\s+(\d+)", "/proc/meminfo")) / 1e6, 1),
        "kernel": platform.release(),
        "file_system": _file_system(directory),
        "fdatasync_ms": round(sync_ms(directory), 3),
    }


def _own_secs():
    """CPU time of this process and of all that it started and that have ended and were waited for."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def _kernel_secs():
    """{thread of the kernel: its CPU time}"""
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        if int(fields[6]) & KERNEL_THREAD:
            found[path.parent.name] = (int(fields[11]) + int(fields[12])) / TICKS
    return found


class Busy:
    """How much of all CPU time since then went to processes that are not ours: the noise of a measurement. What we started
    must have ended by the time of report(). The kernel's threads count for nobody: our load is as likely behind them as
    anybody's. Time in interrupts is part of what a process is charged for, so it counts here too."""

    def __init__(self):
        self.before = self._now()

    @staticmethod
    def _now():
        user, nice, system, idle, iowait, irq, softirq, steal, *_ = (
            int(word) / TICKS for word in pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:])
        busy = user + nice + system + irq + softirq
        return busy, _own_secs(), steal, busy + idle + iowait + steal, _kernel_secs()

    def report(self):
        *then, kernel_then = self.before
        *now, kernel_now = self._now()
        busy, own, steal, total = (a - b for a, b in zip(now, then))
        kernel = sum(secs - kernel_then.get(thread, 0) for thread, secs in kernel_now.items())
        return {"others_cpu_percent": round(max(0.0, busy - own - kernel) / total * 100, 1) if total else 0.0,
                "stolen_cpu_percent": round(steal / total * 100, 1) if total else 0.0}
