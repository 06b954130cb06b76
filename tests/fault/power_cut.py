"""The power-cut campaign: a real daemon works on a recorded disk; then, for cut after cut, the disk that this moment
could have left is mounted, a daemon started on it, and what was acknowledged by then looked for.

All that a case draws follows from the seed. What a recording holds also depends on how threads were scheduled, so a case
is repeated from its recording, which is kept when something was found: keep, repeat().
"""

import contextlib
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
from moves import MARK, Mover, Moves, log_files
from recorder_log import FATES, FLUSH, Fate, Recording, Replay
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
    deleted: dict
    moved: bool

    def ledger(self):
        ledger = Ledger()
        ledger.exports, ledger.reports, ledger.deleted = self.exports, self.reports, self.deleted
        ledger.copies = self.moved
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


def record(directory, seed, answers=ANSWERS, binary=None, config=CONFIG, moves=()):
    """Runs the load on a recorded disk; leaves base, log and the rest of it in the directory. moves: what is done to log
    files meanwhile (moves.py)."""
    with RecordedDisk(directory, DISK_BYTES) as disk:
        def start(binary=None):
            return Daemon(directory / "daemon", config, data_dir=disk.mount_point / "data", binary=binary).start()

        aged.age_reports(start(), seed)
        ledger = Ledger(disk.position)
        begin = disk.position()
        daemon = start(binary)
        writeback = Writeback(daemon.data_dir, seed)
        mover = Mover(daemon.data_dir, seed, ledger, moves)

        def on_answer(seen):
            with contextlib.suppress(FileNotFoundError):  # the file was moved, or the daemon took its directory away
                writeback(seen)
            if moves:
                mover(seen)

        try:
            Load(daemon, ledger, seed, answers, on_answer=on_answer).run()
            daemon.stop()
        finally:
            daemon.kill()
            mover.finish()
        end = disk.position()
    keep_watched(directory, seed, disk, begin, end, ledger, mover, bool(moves))


def keep_watched(directory, seed, disk, begin, end, ledger, moves, moved):
    positions = [sent.position for sent in ledger.exports + ledger.reports if sent.position is not None]
    watched = Watched(seed, positions, begin, end, disk.whole, ledger.exports, ledger.reports, moves.deleted, moved)
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


def run(directory, seed, cuts, binary=None, keep=None, give_up=None, answers=ANSWERS, moves=(), name="power cut",
        say=lambda text: None):
    """keep: where recordings go in which something was found."""
    result, began = Result(name), time.monotonic()
    while result.cases < cuts:
        seed_here, before = f"{seed}-{result.cases}", len(result.failures)
        here = directory / f"recording-{result.cases}"
        record(here, seed_here, answers, binary, moves=moves)
        replay(here, result, min(CUTS_EACH, cuts - result.cases), give_up=give_up, say=say)
        if keep and len(result.failures) > before:
            shutil.copytree(here, pathlib.Path(keep) / seed_here, ignore=shutil.ignore_patterns(*NOT_KEPT))
        shutil.rmtree(here)
        if give_up and result.failures:
            break
    result.seconds = time.monotonic() - began
    return result


def every_cut(directory, seed, step=1, keep=None, say=lambda text: None):
    """The cut after each write and flush (or each step-th) of one short recording. Where nothing was left to be flushed,
    one image; else three, with all of that dropped, kept, torn."""
    result, began = Result("every cut"), time.monotonic()
    here = directory / "recording-every"
    record_short(here, seed)
    watched = pickle.loads((here / "watched").read_bytes())
    recording = Recording(here / "base", here / "log", watched.whole_blocks)
    frames = Replay(recording, here / "durable")
    try:
        for cut in range(watched.begin, watched.end + 1, step):
            nothing_open = cut > 0 and recording.records[cut - 1][0] == FLUSH
            for fate in ("dropped",) if nothing_open else FATES:
                what = frames.image(cut, Fate(*FATES[fate], cut), here / "cut")
                case = f"cut {cut} of {watched.begin}..{watched.end}: {what}"
                findings = look(here / "cut", here, watched.ledger(), cut)
                say(case)
                result.add(case, findings)
    finally:
        frames.close()
        recording.close()
    if keep and result.failures:
        shutil.copytree(here, pathlib.Path(keep) / f"every-{seed}", ignore=shutil.ignore_patterns(*NOT_KEPT))
    shutil.rmtree(here)
    result.seconds = time.monotonic() - began
    return result


def record_short(directory, seed):
    """A few hundred writes: exports, one of them more than a segment of the journal, a renamed file, reports, checkpoints."""
    with RecordedDisk(directory, DISK_BYTES) as disk:
        ledger = Ledger(disk.position)
        moves = Moves(ledger)
        daemon = Daemon(directory / "daemon", CONFIG, data_dir=disk.mount_point / "data").start()
        begin = disk.position()
        try:
            for phase in range(2):
                Load(daemon, ledger, f"{seed}/{phase}", 5, clients=(1, 1), large=False).run()
                for _ in moves.rename(log_files(daemon.data_dir / "logs")[phase], f"{MARK}{phase}"):
                    pass
            checkpoints = daemon.metric("detritus_log_checkpoints_total")
            Load(daemon, ledger, f"{seed}/large", 1, clients=(1, 0), large="only").run()
            daemon.wait_metric("detritus_log_checkpoints_total", lambda count: count > checkpoints)
            Load(daemon, ledger, f"{seed}/after", 3, clients=(1, 1), large=False).run()
            daemon.stop()
        finally:
            daemon.kill()
        end = disk.position()
    keep_watched(directory, seed, disk, begin, end, ledger, moves, True)


def repeat(directory, recording, only, say=lambda text: None):
    """One case of a kept recording, or all."""
    here = directory / "repeated"
    shutil.copytree(recording, here, ignore=shutil.ignore_patterns(*NOT_KEPT))
    result, began = Result("power cut, again"), time.monotonic()
    replay(here, result, CUTS_EACH, only, say=say)
    result.seconds = time.monotonic() - began
    return result
