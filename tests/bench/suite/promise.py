"""What an answer of success is worth: records are sent and acknowledged, and after a while the receiver is killed, or the
power is cut. It is started again on what is left, and the records are looked for."""

import contextlib
import pathlib
import random
import sys
import time
import urllib.request

from . import load, servers
from .checks import numbers
from .process import BenchError
from .rivals import KNOWN

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "fault"))
import device  # noqa: E402
from recorder_log import Replay  # noqa: E402

EXPORTS, RECORDS = 10, 100
DISK_BYTES = 192 << 20


class Detritus(servers.Detritus):
    def numbers(self):
        return numbers(self.log_files())


class Reference(KNOWN["reference"][0]):
    def numbers(self):
        return numbers(self.log_files())


CLASSES = {**{name: KNOWN[name][0] for name in ("victoria-logs", "fluent-bit", "collector", "collector-queue")},
           "detritus": Detritus, "reference": Reference}
RESTARTED = ("detritus", "reference", "victoria-logs")  # of the others, the files are read


class LeastKept(random.Random):
    """For Replay.image(): of the writes that no flush had made durable, none was."""

    def choice(self, seq):
        return seq[0]


def send(server, tools):
    """Everything acknowledged, or an error."""
    if not server.http1:
        said = load.detritus_load(tools.load, server, requests=EXPORTS, records=RECORDS)
        if said["ok"] != EXPORTS:
            raise BenchError(f"{said['failed']} of {EXPORTS} exports failed: {said['failed_by']}")
        return
    for export in range(EXPORTS):
        body = load.export_body(RECORDS, first=export * RECORDS)[load.GRPC_PREFIX:]
        request = urllib.request.Request(server.url + server.export_path, body,
                                         {"content-type": "application/x-protobuf"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            if answer.status != 200:
                raise BenchError(f"status {answer.status}")


def make(who, path, tools, directory):
    """Not started. Its data is in the directory; a second one there finds that of the first."""
    (directory / "run").mkdir(exist_ok=True)
    run = directory / "run" / str(len(list((directory / "run").iterdir())))
    run.mkdir()
    if who in RESTARTED:
        return CLASSES[who](tools, path, run, data=directory / "data")
    server = CLASSES[who](tools, path, directory)
    server.logs = directory / "logs"
    return server


def left(who, path, tools, directory):
    """How many of the records are there after a new start."""
    server = make(who, path, tools, directory)
    if who not in RESTARTED:
        return len(server.numbers())
    try:
        return len(server.start().numbers())
    finally:
        server.process.kill()


@contextlib.contextmanager
def acknowledged(who, path, tools, directory, after_secs):
    """Inside, so long after the last answer; at the end it is killed."""
    server = make(who, path, tools, directory)
    try:
        server.start()
        send(server, tools)
        time.sleep(after_secs)
        yield
    finally:
        if server.process:
            server.process.kill()


def after_kill(who, path, tools, directory, after_secs):
    with acknowledged(who, path, tools, directory, after_secs):
        pass
    return left(who, path, tools, directory)


def after_power_cut(who, path, tools, directory, after_secs):
    """The disk keeps what was flushed, and of the rest nothing. Needs what device.missing() looks for."""
    with device.RecordedDisk(directory / "disk", DISK_BYTES) as disk:
        with acknowledged(who, path, tools, disk.mount_point, after_secs):
            cut = disk.position()
    recording = disk.recording()
    replay = Replay(recording, directory / "durable")
    try:
        replay.image(cut, LeastKept(0), directory / "cut")
    finally:
        replay.close()
        recording.close()
    with device.mounted_image(directory / "cut", disk.mount_point):
        return left(who, path, tools, disk.mount_point)
