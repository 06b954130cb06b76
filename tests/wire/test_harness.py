"""The harness itself: a daemon ends with its test, however that ends, and nobody waits in a way of his own."""

import os
import pathlib
import re
import sys

import pytest

from harness import children

HERE = pathlib.Path(__file__).resolve().parent
TEST = """
import os, pathlib, signal
from harness.daemon import Daemon

PID = pathlib.Path(__file__).with_name("pid")

def test_it(tmp_path):
    daemon = Daemon(tmp_path).start()
    PID.write_text(str(daemon.process.pid))
    {end}

def test_the_next():
    assert not os.path.exists("/proc/" + PID.read_text())
"""


def pytest_on(tmp_path, end):
    (tmp_path / "test_it.py").write_text(TEST.format(end=end))
    return children.run([sys.executable, "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "conftest",
                         str(tmp_path / "test_it.py")], capture_output=True, text=True,
                        env={**os.environ, "PYTHONPATH": str(HERE)})


def runs(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("number", ["SIGKILL", "SIGINT"])
def test_no_daemon_outlives_the_tests(tmp_path, number):
    done = pytest_on(tmp_path, f"os.kill(os.getpid(), signal.{number})")
    assert done.returncode != 0
    children.wait_until(lambda: not runs((tmp_path / "pid").read_text()), "the daemon's end")


def test_a_daemon_ends_with_a_test_that_fails(tmp_path):
    done = pytest_on(tmp_path, "assert False")
    assert "1 failed, 1 passed" in done.stdout, done.stdout


def test_a_daemon_that_a_test_forgets_ends_with_all(tmp_path):
    assert "1 failed, 1 passed" in pytest_on(tmp_path, "pass").stdout  # it is still there for the next
    assert not runs((tmp_path / "pid").read_text())


OWN_WAIT = re.compile(r"time\.sleep\(|settimeout\(\d|timeout=\d|\.(?:wait|join)\(\d|^(?!daemon =).*subprocess\.(?:run|Popen)\(")
ELSEWHERE = ("children.py", "test_harness.py")


def test_nobody_has_a_limit_of_their_own():
    """Each wait has the limit of harness/children.py, and each child its care."""
    found = [f"{path.relative_to(HERE)}:{number}: {line.strip()}" for path in sorted(HERE.rglob("*.py"))
             if path.name not in ELSEWHERE for number, line in enumerate(path.read_text().splitlines(), 1)
             if OWN_WAIT.search(line)]
    assert found == []
