"""The harness itself: a daemon ends with its test, however that ends."""

import os
import pathlib
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
