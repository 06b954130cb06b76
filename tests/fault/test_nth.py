"""The N-th call of each function fails; nth_cases.py says what must hold. Here a few sites of each function are tried, all
of them by nth_campaign --full. And the campaign itself is tried: a call that only pretends must be found out, where that
can be seen without a power cut.

Allocations of two libraries are spared, because these do not look at what malloc gave them everywhere. json-c 0.16: of the
272 of one crash upload 23 end the process (SIGSEGV), some are answered 400 as if the client's JSON were wrong, and three
leave a string of the metadata empty, which is then stored and answered 201. libcrypto 3.0, while the daemon starts only:
without memory for its first context it ends the process."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import nth_rows  # noqa: E402
from nth_cases import SCENARIOS, Requests, restart  # noqa: E402
from nth_control import APPLICABLE  # noqa: E402
from nth_script import OK, Export, Upload, truth  # noqa: E402
from harness import crash  # noqa: E402


@pytest.fixture
def directory():
    with nth_rows.directory() as path:
        yield path


@pytest.fixture(scope="module")
def points():
    return nth_rows.FaultPoints()


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_site_is_safe(name, directory, points):
    done, wrong = 0, []
    for row in nth_rows.rows(name, directory):
        done += row.cases
        points.add(row)
        wrong += [f"{case}: {words}" for case, words in row.wrong.items()]
    assert not wrong, "\n".join(wrong)
    assert done > len(APPLICABLE)
    points.scenarios += 1
    print(*points.table(), sep="\n")
    if name == list(SCENARIOS)[-1] and points.scenarios == len(SCENARIOS):
        assert not points.never()


def export(source):
    return Export([source])


def upload(source):
    return Upload(source, b"MDMP of " + source.install_id.encode(), [("log", b"its log")])


# What is armed, on which files; what is sent; what the campaign must say, and whether only after kill -9 and a restart
# (a row that was lost would come back from its JSON file, so that goes first).
LIES = {
    "log-line": (("write", "/logs/"), export, "its lines are there [0, 0, 0] times", False),
    "log-file-cut": (("ftruncate", "/logs/"), export, "a torn line", False),
    "blob": (("write", "/tmp/"), upload, "a blob of it is other", False),
    "blob-name": (("linkat", "/by-hash/"), upload, "a blob of it is not there", False),
    "mirror": (("linkat", "/by-source/"), upload, "has 0 JSON files", False),
    "row": (("write", "detritus.db-wal"), upload, "is not in the index", True),
}


@pytest.mark.parametrize("what", LIES)
def test_lies_are_found_out(what, directory):
    (function, path), make, words, after_kill = LIES[what]
    scenario = Requests(directory)
    victim = scenario.victim
    try:
        victim.start()
        torn = what == "log-file-cut"
        if torn:
            scenario.past.tear(victim)
        attempt = make(scenario.past.torn_source if torn else crash.Source.fresh())
        for prefix in range(256):  # else the lie about a blob's name is told of a directory that is missing, and found out
            (victim.data_dir / f"crashes/by-hash/{prefix:02x}").mkdir(exist_ok=True)
        victim.control.arm(function, 1, "lie", path)
        attempt.send(victim)
        victim.control.disarm()
        assert victim.control.fired and attempt.outcome == OK, attempt
        if after_kill:
            victim.kill()
            for path in victim.mirror_files(attempt.source):
                path.unlink()
            assert not restart(victim)
        assert any(words in line for line in truth(victim, [attempt])), truth(victim, [attempt])
    finally:
        scenario.close()
