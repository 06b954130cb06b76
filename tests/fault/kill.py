"""The kill campaign: a daemon under load is killed at some answer, another is started on what it left, all that was
acknowledged in all rounds is looked for, and so on. Now and then a daemon is killed in the middle of its start.

Between a kill and the look nothing else happens to the data: the daemon that is looked at has a janitor that rests. Every
other one has a janitor that works, so that kills come into deletions too. Descriptors are taken away, and the clock is set ahead
and back, while load runs.
"""

import random
import shutil
import time

import aged
from clock_jumps import ClockJumps
from harness.children import DEADLINE_SECS
from harness.daemon import Daemon, merged
from ledger import Ledger
from load import Load
from moves import Mover
from power_cut import CONFIG
from result import Result
from starve import Starvation
from verify import Findings, verify

ROUNDS_EACH = 20  # then the data begins anew, or looking would take ever longer
MOST_ANSWERS = 150
AT_REST = merged(CONFIG, {"janitor": {"interval_secs": 3600}})


def kill_at(daemon, clock, ledger, seed, answers, moves=()):
    """Kills the daemon when the load got so many answers, while more are under way. Until then it is starved now and
    then, its clock jumps, and log files are moved (moves.py)."""
    starvation = Starvation(daemon, seed)
    mover = Mover(daemon.data_dir, seed, ledger, moves)

    def on_answer(seen):
        starvation.on_answer(seen)
        clock.on_answer(seen)
        if moves:
            mover(seen)
        if seen == answers:
            daemon.process.kill()

    load = Load(daemon, ledger, seed, 1 << 30, on_answer=on_answer, large=answers % 2 == 0)
    load.run()
    daemon.kill()
    mover.finish()
    ledger.deleted.update(mover.deleted)
    ledger.copies = bool(moves)


def kill_while_starting(daemon, rng):
    """Kills it when it has said some lines of its log, or right away."""
    daemon.launch()
    lines = rng.randrange(4)
    with daemon.log.changed:
        daemon.log.changed.wait_for(lambda: len(daemon.log.lines) >= lines or daemon.log.closed, DEADLINE_SECS)
    daemon.kill()


def campaign_round(directory, ledger, seed, rng, moves=()):
    """One kill, and the verdict on it."""
    clock = ClockJumps(directory.with_name(directory.name + ".clock"), seed)
    daemon = Daemon(directory, CONFIG, environment=clock.environment()).start()
    try:
        kill_at(daemon, clock, ledger, seed, rng.randrange(1, MOST_ANSWERS), moves)
        for _ in range(rng.choice((0, 0, 0, 1, 2))):
            kill_while_starting(Daemon(directory, AT_REST), rng)
        daemon = Daemon(directory, AT_REST).start()
        findings = verify(daemon, ledger)
        if rng.random() < 0.5:
            daemon.stop()
        return findings
    except AssertionError as error:
        return Findings(lost=[f"no verdict: {error}"])
    finally:
        daemon.kill()


def run(directory, seed, kills, keep=None, moves=(), name="kill -9", say=lambda text: None):
    """keep: where a data directory goes in which something was found."""
    result, began = Result(name), time.monotonic()
    while result.cases < kills:
        here = directory / f"kills-{result.cases}"
        ledger, seed_here = Ledger(), f"{seed}-{result.cases}"
        rng = random.Random(f"kills {seed_here}")
        aged.age_reports(Daemon(here, CONFIG).start(), seed_here)
        for number in range(min(ROUNDS_EACH, kills - result.cases)):
            findings = campaign_round(here, ledger, f"{seed_here}/{number}", rng, moves)
            case = f"seed {seed_here}, kill {number}"
            say(case)
            result.add(case, findings)
            if findings:
                if keep:
                    shutil.copytree(here, keep / f"kills-{seed_here}-{number}",
                                    ignore=shutil.ignore_patterns("control.sock"))
                break  # what is lost stays lost: the rounds to come would only say it again
        shutil.rmtree(here)
    result.seconds = time.monotonic() - began
    return result
