"""Fixtures: `daemon` is one real detritusd for all tests of a file, `start_daemon` starts others with their own
settings. Every test ends with "nothing left alive", on every daemon it used.

DETRITUS_TEST_FRESH=1 gives each test a daemon of its own, to find the test behind what a daemon says when it ends."""

import os
import signal

import pytest

from harness import children, crash
from harness.daemon import IS_REFERENCE, Daemon
from harness.full_disk import mounted

CRASHES = [-number for number in (signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGSYS)]


def pytest_configure(config):
    config.addinivalue_line("markers", "ours: what the reference receiver does not have or does otherwise")
    config.addinivalue_line("markers", "slow: takes long, or fetches packages")
    config.addinivalue_line("markers", "interop: against foreign clients")


def pytest_collection_modifyitems(items):
    for item in items:
        if IS_REFERENCE and item.get_closest_marker("ours"):
            item.add_marker(pytest.mark.skip(reason="not in the reference"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    item.failed = getattr(item, "failed", False) or report.failed


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item):
    """No child of a test that failed lives on: it would keep a file system mounted, or a directory in use."""
    if item.failed:
        children.end_all()


def pytest_sessionfinish():
    children.end_all()


def finish(node, daemon):
    """After a test that passed: nothing is left, and the daemon ends well. Another one's has been killed."""
    if daemon.process is None:
        return
    if node.failed:
        print("--- log of the daemon\n" + daemon.log.text())
        daemon.kill()
        return
    if not daemon.running:
        assert daemon.process.returncode not in CRASHES, daemon.log.text()
        return
    try:
        daemon.nothing_left()
    except BaseException:
        daemon.kill()
        raise


@pytest.fixture(scope="module")
def shared_daemon(request, tmp_path_factory):
    """The present daemon of a file, in a list; the next test makes a new one where the last is gone."""
    alive = []
    yield alive
    if alive and alive[0].running:
        alive[0].stop()


@pytest.fixture
def daemon(request, shared_daemon, tmp_path_factory):
    if shared_daemon and not shared_daemon[0].running:
        shared_daemon.clear()
    if not shared_daemon:
        config = getattr(request.module, "CONFIG", None)
        shared_daemon.append(Daemon(tmp_path_factory.mktemp("daemon"), config).start())
    yield shared_daemon[0]
    try:
        finish(request.node, shared_daemon[0])
        if os.environ.get("DETRITUS_TEST_FRESH") and shared_daemon[0].running:
            shared_daemon[0].stop()
    finally:
        if not shared_daemon[0].running:
            shared_daemon.clear()


@pytest.fixture
def start_daemon(request, tmp_path):
    """start_daemon(config, **options) starts a daemon in the test's own directory; stopped at the end."""
    started = []

    def start(config=None, **options):
        directory = options.pop("directory", tmp_path / f"daemon-{len(started)}")
        started.append(Daemon(directory, config, **options))
        return started[-1].start()

    yield start
    for daemon in started:
        finish(request.node, daemon)
        if daemon.running:
            daemon.stop()


@pytest.fixture
def source():
    """A source that no other test writes."""
    return crash.Source.fresh()


both = pytest.mark.parametrize("http", ["1.1", "2"])


@pytest.fixture
def small_disk(tmp_path):
    """An empty file system of 64 MiB."""
    with mounted(tmp_path) as path:
        yield path
