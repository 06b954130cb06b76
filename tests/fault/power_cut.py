"""The power-cut campaign: a real daemon works on a recorded disk; then, for cut after cut, the disk that this moment
could have left is mounted, a daemon started on it, and what was acknowledged by then looked for.

All that a case draws follows from the seed. What a recording holds also depends on how threads were scheduled, so a case
is repeated from its recording, which is kept when something was found: keep, repeat().
"""

import ctypes
import dataclasses
import os
import pathlib
import pickle
import random
import shutil
import time

import aged
from device import RecordedDisk, mounted_image
from harness.daemon import Daemon, merged
from ledger import Ledger
from load import Load
from recorder_log import Recording, Replay
from result import Result
from verify import Findings, verify

DISK_BYTES = 192 << 20
# Small, so that the journal goes round its segments and checkpoints while it is watched.
CONFIG = merged(aged.CONFIG, {"limits": {"log_journal_bytes": "1MiB"}})
CUTS_EACH = 50  # of one recording
ANSWERS = 900
# Of a recording: what is made again, or cannot be copied.
NOT_KEPT = ("durable", "cut", "daemon", "case*", "nbd", "fuse", "mount")


@dataclasses.dataclass
class Watched:
    """A recorded load: what was sent, and between which positions of the log."""
    seed: str
    answers: list  # positions
    begin: int
    end: int
    whole_blocks: set
    exports: list
    reports: list

    def ledger(self):
        ledger = Ledger()
        ledger.exports, ledger.reports = self.exports, self.reports
        return ledger


class Writeback:
    """What the kernel does in its own time: some pages of some log files go to the disk early, and nothing is flushed."""

    LIBC = ctypes.CDLL(None)
    SYNC_FILE_RANGE_WRITE = 2

    def __init__(self, data_dir, seed):
        self.data_dir, self.rng = data_dir, random.Random(f"writeback {seed}")

    def __call__(self, answers):
        files = list((self.data_dir / "logs").glob("*/*/*.ndjson")) if self.rng.random() < 0.1 else []
        for path in self.rng.sample(files, min(3, len(files))):
            fd = os.open(path, os.O_RDONLY)
            begin = self.rng.randrange(os.fstat(fd).st_size + 1)
            self.LIBC.sync_file_range(fd, ctypes.c_int64(begin), ctypes.c_int64(65536), self.SYNC_FILE_RANGE_WRITE)
            os.close(fd)


def record(directory, seed, answers=ANSWERS, binary=None, config=CONFIG):
    """Runs the load on a recorded disk; leaves base, log and the rest of it in the directory."""
    with RecordedDisk(directory, DISK_BYTES) as disk:
        def start(binary=None):
            return Daemon(directory / "daemon", config, data_dir=disk.mount_point / "data", binary=binary).start()

        aged.age_reports(start(), seed)
        ledger = Ledger(disk.position)
        begin = disk.position()
        daemon = start(binary)
        try:
            Load(daemon, ledger, seed, answers, on_answer=Writeback(daemon.data_dir, seed)).run()
            daemon.stop()
        finally:
            daemon.kill()
        end = disk.position()
    positions = [sent.position for sent in ledger.exports + ledger.reports if sent.position is not None]
    watched = Watched(seed, positions, begin, end, disk.whole, ledger.exports, ledger.reports)
    (directory / "watched").write_bytes(pickle.dumps(watched))
    (directory / "image").unlink()


def draw_cuts(watched, recording, count):
    """Anywhere, at the very moment of an acknowledgement, and in the course of a flush: there the most is open. Ascending.
    """
    rng = random.Random(f"cuts {watched.seed}")
    flushes = [at for at in recording.flushes if watched.begin < at < watched.end]
    sizes = [at - before for before, at in zip([watched.begin, *flushes], flushes)]
    anywhere = range(watched.begin, watched.end + 1)

    def draw():
        kind = rng.randrange(3)
        if kind == 0 and watched.answers:
            return rng.choice(watched.answers)
        if kind == 1 and flushes:
            return rng.choices(flushes, sizes)[0]
        return rng.choice(anywhere)

    return sorted(draw() for _ in range(count))


def look(image, directory, ledger, cut, config=CONFIG):
    """Mounts an image, starts the daemon on it, verifies, stops it."""
    daemon = None
    try:
        with mounted_image(image, directory / "case"):
            try:
                daemon = Daemon(directory / "case-daemon", merged(config, {"janitor": {"interval_secs": 3600}}),
                                data_dir=directory / "case/data").start()
                findings = verify(daemon, ledger, cut)
                daemon.stop()
            finally:
                if daemon:
                    daemon.kill()
    except (AssertionError, RuntimeError) as error:  # no mount, no start, no verdict, no clean stop
        findings = Findings(lost=[f"no verdict: {error}"])
    return findings


def replay(directory, result, cuts, only=None, give_up=None, say=lambda text: None):
    """The cases of one recording: all, or `only` that number. give_up(findings): whether to stop after a case."""
    watched = pickle.loads((directory / "watched").read_bytes())
    recording = Recording(directory / "base", directory / "log", watched.whole_blocks)
    frames = Replay(recording, directory / "durable")
    try:
        for number, cut in enumerate(draw_cuts(watched, recording, cuts)):
            if only is not None and number != only:
                continue
            what = frames.image(cut, random.Random(f"case {watched.seed} {number}"), directory / "cut")
            findings = look(directory / "cut", directory, watched.ledger(), cut)
            case = f"seed {watched.seed}, case {number}, cut {cut} of {watched.begin}..{watched.end}: {what}"
            say(case)
            result.add(case, findings)
            if give_up and give_up(findings):
                break
    finally:
        frames.close()
        recording.close()


def run(directory, seed, cuts, binary=None, keep=None, give_up=None, answers=ANSWERS, name="power cut",
        say=lambda text: None):
    """keep: where recordings go in which something was found."""
    result, began = Result(name), time.monotonic()
    while result.cases < cuts:
        seed_here, before = f"{seed}-{result.cases}", len(result.failures)
        here = directory / f"recording-{result.cases}"
        record(here, seed_here, answers, binary)
        replay(here, result, min(CUTS_EACH, cuts - result.cases), give_up=give_up, say=say)
        if keep and len(result.failures) > before:
            shutil.copytree(here, pathlib.Path(keep) / seed_here, ignore=shutil.ignore_patterns(*NOT_KEPT))
        shutil.rmtree(here)
        if give_up and result.failures:
            break
    result.seconds = time.monotonic() - began
    return result


def repeat(directory, recording, only, say=lambda text: None):
    """One case of a kept recording, or all."""
    here = directory / "repeated"
    shutil.copytree(recording, here, ignore=shutil.ignore_patterns(*NOT_KEPT))
    result, began = Result("power cut, again"), time.monotonic()
    replay(here, result, CUTS_EACH, only, say=say)
    result.seconds = time.monotonic() - began
    return result
