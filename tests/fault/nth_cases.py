"""Where the N-th call is made to fail: during a script of requests, a first start, a start after a kill, retention, and
an orderly stop. Each scenario's run() takes one case and returns what was wrong, in words.

What must hold, whatever fails: an answer is true, before and after kill -9 and a restart; what was refused succeeds when
it is sent again, or the store says that it failed, and a restart heals it; a failed sync is final, a full disk never;
nothing is left over, and the daemon ends only when it was killed."""

import dataclasses
import pathlib
import shutil

from nth_control import JSON_C, LIBCRYPTO, Victim
from nth_script import NONE, OK, REFUSED, Export, Past, Upload, ask, script, send_again, send_all, truth
from harness import crash
from harness.daemon import COMPLAINTS, wait_until


@dataclasses.dataclass(frozen=True)
class Case:
    """function's n-th call does action. As text it is what nth_campaign takes."""

    function: str
    n: int
    action: str
    armed: list = dataclasses.field(default_factory=list, compare=False)  # the control that it was given to

    def __str__(self):
        return f"{self.function} {self.n} {self.action}"

    def arm(self, control, spared=JSON_C):
        control.arm(self.function, self.n, self.action, spared=spared)
        self.armed[:] = [control]

    @property
    def struck(self):
        """Where, as far as it happened."""
        return [control.where for control in self.armed if control.fired]

    @property
    def kills(self):
        return self.action.startswith("kill")

    def judge_failure(self, control, failed):
        """May the store have failed for good? Must it have? docs/adr/0013-errors.md has the table. SQLite syncs the data
        directory too, and does not mind when that fails; index_open() does it again. What is
        replaced as a whole (a JSON file, a small file of the journal's) is as it was when that fails."""
        sync = self.function in ("fdatasync", "fsync", "syncfs") and not control.where.endswith("/data")
        said = self.action in ("eio", "enospc", "edquot", "erofs")
        small = "/crashes/by-source" in control.where or "/.new-" in control.where or control.where.endswith("/journal")
        excused = "/.new-" in control.where or (small and self.action != "eio")
        if sync and said and control.fired and not failed and not excused:
            return [f"a sync of {control.where} failed, and the store goes on"]
        if failed and not (sync and said) and (self.function, self.action) != ("write", "eio"):
            return [f"{self.function}: {self.action} at {control.where} was final"]
        return []

    def excuses_mirrors(self, control):
        """A JSON file is derived, and may be missing until the next start."""
        on_its_way = "/crashes/by-source" in control.where or control.where.endswith("/crashes")
        return control.fired and (on_its_way or self.action in ("full", "enomem"))


# ---- what every scenario asks ----

def restart(victim):
    status = victim.try_start()
    return [] if status is None else [f"does not start again: status {status}\n{victim.log.text()}"]


def ended_badly(victim, case, *good):
    """It was killed where the case says so, else it ended with a good status."""
    status = victim.wait_exit()
    victim.close_clients()
    wait_until(lambda: victim.log.closed, "the end of the daemon's log")
    wrong = [f"said {line}" for line in victim.log.lines if COMPLAINTS.search(line)]
    if status not in ((-9,) if case.kills and victim.control.fired else good):
        wrong.append(f"ended with {status} at {victim.control.where}\n{victim.log.text()}")
    return wrong


def excuse_json_valid(victim, attempts):
    """SQLite's json_valid() says no when it has no memory: the report is refused as a bug of ours, with 500."""
    if "json_valid" in victim.log.text():
        for attempt in attempts:
            attempt.wrong = [words for words in attempt.wrong if "status=500" not in words]


def left_over(victim, mirrors=True):
    victim.mirrors_excused = not mirrors
    try:
        victim.nothing_left()
    except AssertionError as error:
        return [str(error), *victim.disorder()]
    finally:
        victim.mirrors_excused = False
    return []


def whole(victim, attempts):
    """With nothing armed: all that is sent again is taken, all is true, nothing is left."""
    if victim.failure():
        return [f"after a restart: {victim.failure()}"]
    attempts, wrong = send_again(victim, attempts)
    return wrong + truth(victim, attempts) + left_over(victim)


# ---- a daemon that serves ----

class Requests:
    """The script, case after case on one data directory; between them a kill -9 or an orderly stop, by turns."""

    name = "requests"
    TURNS = 100  # on one directory, since each look at it takes longer than the one before

    def __init__(self, directory):
        self.directory = directory
        self.turn = 0
        self._begin()

    def _begin(self):
        self.victim = Victim(self.directory / f"{self.name}-{self.turn}")
        self.victim.start()
        self.past = Past(self.victim)
        self.victim.stop()
        self.blocks = self.victim.control.blocks_at_exit

    def close(self):
        self.victim.kill()

    def _script(self, case):
        """Sends the script while case is armed. Its attempts, and what failed afterwards (None: there is nobody)."""
        victim = self.victim
        if not victim.running:
            victim.start()
        self.past.tear(victim)
        attempts = script(self.past)
        case.arm(victim.control)
        send_all(victim, attempts)
        victim.control.disarm()
        return attempts, ask(victim.failure)

    def count(self):
        attempts, _ = self._script(Case("none", 0, "pass"))
        assert not truth(self.victim, attempts)
        counts = self.victim.control.counts
        self.victim.stop()
        return counts

    def run(self, case):
        self.turn += 1
        if self.turn % self.TURNS == 0:
            self.victim.kill()
            self._begin()
        attempts, failure = self._script(case)
        if failure is None:
            wrong = ended_badly(self.victim, case)
        elif failure:
            wrong = self._judge_failed(case, attempts, failure)
        else:
            attempts, wrong = self._judge_living(case, attempts)
        wrong = wrong or restart(self.victim) or whole(self.victim, self.past.attempts + attempts)
        return wrong or list(self.past.lost(self.victim))

    def _judge_living(self, case, attempts):
        victim = self.victim
        wrong = case.judge_failure(victim.control, False)
        excuse_json_valid(victim, attempts)
        mirrors = not case.excuses_mirrors(victim.control)
        for attempt in attempts:
            attempt.sure = attempt.outcome == REFUSED
        wrong += truth(victim, attempts, "past", mirrors)
        attempts, unanswered = send_again(victim, attempts)
        wrong += unanswered + truth(victim, attempts, "none", mirrors) + left_over(victim, mirrors)
        return attempts, wrong + self._end(case)

    def _end(self, case):
        if self.turn % 2:
            self.victim.kill()
            return []
        self.victim.signal(15)
        wrong = ended_badly(self.victim, case, 0)
        leaked = self.victim.control.blocks_at_exit - self.blocks
        return wrong + ([f"{leaked} allocations were not freed"] if leaked > 0 else [])

    def _judge_failed(self, case, attempts, failure):
        victim = self.victim
        wrong = case.judge_failure(victim.control, True)
        wrong += [f"a store failed, and {a.name} got no answer" for a in attempts if a.outcome == NONE]
        wrong += truth(victim, attempts, "any", mirrors=False)
        kind = Export if "the log store" in failure else Upload
        again = send_all(victim, [a.again() for a in attempts if isinstance(a, kind)])
        wrong += [f"{failure}, and {a.name} was {a.outcome}" for a in again if a.outcome != REFUSED]
        victim.kill()
        return wrong


# ---- a daemon that starts or ends ----

class Life:
    """One start for each case, on a directory of its own, then a start with nothing armed."""

    config = None

    def __init__(self, directory):
        self.directory = directory / self.name
        self.template = self.past = None
        self.serial = 0
        self.prepare()

    def close(self):
        pass

    def prepare(self):
        """Makes the directory that cases start from, in self.template; nothing: a fresh one."""

    def make_template(self, end):
        victim = Victim(self.directory / "template")
        victim.start()
        self.past = Past(victim)
        end(victim)
        self.template = victim.data_dir
        return victim

    def _victim(self):
        self.serial += 1
        victim = Victim(self.directory / str(self.serial), self.config)
        if self.template:
            shutil.copytree(self.template, victim.data_dir, ignore=shutil.ignore_patterns("control.sock"))
        return victim

    def count(self):
        victim = self._victim()
        assert not self.live(victim, Case("none", 0, "pass"))
        counts = victim.control.counts
        victim.kill()
        return counts

    def run(self, case):
        victim = self._victim()
        wrong = ["it could not be looked at"]
        try:
            wrong = self.live(victim, case)
            victim.kill()
            wrong = wrong or restart(victim) or self.check(victim)
            if not wrong:
                victim.stop()
        finally:
            victim.kill()
            if not wrong:
                shutil.rmtree(victim.directory)
        return wrong

    def live(self, victim, case):
        """Starts with the case armed. It comes up, or says in words why not."""
        case.arm(victim.control, JSON_C | LIBCRYPTO)
        try:
            status = victim.try_start()
        except Exception:
            if case.action == "enomem" and "listening" in victim.log.text():
                return []  # there was no memory for the rest of that line, and nobody can know the port
            raise
        victim.control.disarm()
        if status is None:
            return self.serve(victim, case)
        if not victim.log.lines and not case.kills:
            return ["ended without a word"]
        return ended_badly(victim, case, 1, 2)

    def serve(self, victim, case):
        """It came up: it takes what it is sent, or says that it does not."""
        failure = ask(victim.failure)
        if failure is None:
            return ended_badly(victim, case)
        attempts = send_all(victim, script(self.past or Past.nothing()))
        wrong = case.judge_failure(victim.control, bool(failure))
        if not failure:
            wrong += [f"{a.name} was {a.outcome}" for a in attempts if a.outcome != OK and not a.broken]
        return wrong + truth(victim, attempts, "any", mirrors=not failure)

    def check(self, victim):
        past = self.past.attempts if self.past else []
        return whole(victim, past + send_all(victim, script(self.past or Past.nothing())))


class FirstStart(Life):
    name = "first-start"


class StartAfterKill(Life):
    """A kill left a WAL, a torn log file, a blob and a JSON file half made, an upload, a blob without its row, a report
    without its JSON file."""

    name = "start-after-kill"

    def prepare(self):
        victim = self.make_template(Victim.kill)
        self.past.tear(victim)
        victim.mirror_files(self.past.source)[0].unlink()
        orphan = victim.blob("ab" * 32)
        orphan.parent.mkdir(exist_ok=True)
        orphan.write_bytes(b"linked, and never committed")
        for leftover in (orphan.parent / ".new-1-1", victim.source_dir("crashes/by-source", self.past.source) / ".new-1-2",
                         victim.data_dir / "tmp/blob-7"):
            leftover.write_bytes(b"half")


class Retention(Life):
    """The first cycle of a daemon that keeps nothing, on a directory that has something."""

    name = "retention"
    config = {"logs": {"ttl_days": 0}, "crashes": {"ttl_days": 0}}

    def prepare(self):
        self.make_template(Victim.stop)

    def serve(self, victim, case):
        if ask(victim.failure) is None:
            return ended_badly(victim, case)
        victim.mirrors_excused = True
        # A JSON file that cannot be removed outlives its row and then its blobs: it is named in the log and left.
        victim.kept = pathlib.Path(victim.control.where) if case.action in ("eio", "eperm") else None
        return [words for words in victim.disorder() if "row without" in words or "refs" in words]

    def check(self, victim):
        """The next cycle finishes what the broken one left."""
        if victim.kept in victim.data_dir.rglob("*.json"):
            victim.kept.unlink()
        gone = [f"left: {path}" for top in ("logs", "crashes") for path in (victim.data_dir / top).rglob("*")
                if path.is_file()]
        rows = {table: victim.rows(f"SELECT count(*) AS n FROM {table}")[0]["n"] for table in
                ("crash", "attachment", "blob", "log_file")}
        return gone + [f"left: {n} rows of {table}" for table, n in rows.items() if n] + left_over(victim)


class Stop(Life):
    """SIGTERM, after some requests."""

    name = "stop"

    def prepare(self):
        self.make_template(Victim.kill)

    def live(self, victim, case):
        victim.start()
        self.attempts = send_all(victim, script(self.past))
        case.arm(victim.control)
        victim.signal(15)
        wrong = ended_badly(victim, case, 0)
        victim.control.disarm()
        return wrong

    def check(self, victim):
        return whole(victim, self.past.attempts + self.attempts)


SCENARIOS = {scenario.name: scenario for scenario in (Requests, FirstStart, StartAfterKill, Retention, Stop)}
