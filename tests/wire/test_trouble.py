"""What passes by itself, or when a person has put it right: no permission for files of our own, no descriptors left. Data
is refused so that senders come again, health says why and where, and all goes on without a restart."""

import json
import os
import resource
import stat

import pytest

from harness import crash, grpc, otlp
from harness.daemon import ACME, Daemon, wait_until

NOBODY = 65534
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--pdeathsig=KILL"]


@pytest.fixture
def as_nobody(start_daemon, tmp_path):
    """A daemon that is not root, which no permission stops. One log file is open at a time, so that a file is opened
    again."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to take a file away from the daemon")
    daemon = start_daemon({"limits": {"log_files_open": 1}}, prepare=give_to_nobody)
    yield daemon


def give_to_nobody(daemon):
    for path in [daemon.directory, *daemon.directory.parents][:5]:
        path.chmod(path.stat().st_mode | 0o055)
    os.chown(daemon.directory, NOBODY, NOBODY)
    os.chown(daemon.tokens_file, NOBODY, NOBODY)
    (daemon.directory / "detritusd.yaml").chmod(0o644)
    daemon.prefix = AS_NOBODY


def health(daemon):
    return daemon.request("1.1", "GET", "/healthz")


def detail(daemon):
    return daemon.request("1.1", "GET", "/healthz?detail").json()


def troubles(daemon):
    return {trouble["kind"]: trouble for trouble in detail(daemon)["troubles"]}


def export(daemon, source):
    return grpc.export(daemon, otlp.export_lines(source), ACME)


def body_of(source):
    return crash.body(crash.metadata_part(source), crash.dump_part(os.urandom(64)))


def upload(daemon, source):
    return crash.report(daemon, "1.1", ACME, source, dump=os.urandom(64))


class Denied:
    """A directory or file that root took away."""

    def __init__(self, path):
        self.path, self.before = path, path.stat()

    def __enter__(self):
        os.chown(self.path, 0, 0)
        self.path.chmod(0o700 if stat.S_ISDIR(self.before.st_mode) else 0)

    def __exit__(self, *_):
        os.chown(self.path, self.before.st_uid, self.before.st_gid)
        self.path.chmod(stat.S_IMODE(self.before.st_mode))


def lines_about(daemon, path, since):
    return [line for line in daemon.log.lines[since:] if "refused until the permissions" in line and path in line]


def healthy_again(daemon):
    wait_until(lambda: health(daemon).status == 204 and not troubles(daemon), "health without a request")


@pytest.mark.ours
@pytest.mark.parametrize("where, kind", [("logs", "logs_denied"), ("logs/{0.project}", "source_denied"),
                                         ("logs/{0.project}/{0.install_id}", "source_denied"), ("file", "source_denied")])
def test_logs_that_may_not_be_written(as_nobody, source, where, kind):
    daemon, other = as_nobody, crash.Source.fresh()
    export(daemon, source).accepted()
    export(daemon, other).accepted()  # the file of the first is closed
    path = daemon.log_files(source)[0] if where == "file" else daemon.data_dir / where.format(source)
    name, since = str(path.relative_to(daemon.data_dir)), len(daemon.log.lines)
    with Denied(path):
        for _ in range(3):
            assert export(daemon, source).refused(grpc.UNAVAILABLE, "may not use files").retry_ms
        assert name in health(daemon).refused(503, "Permission denied")
        assert health(daemon).header("retry-after")
        assert troubles(daemon)[kind]["path"] == name
        assert daemon.metric("detritus_trouble", kind=kind) == 1 and daemon.metric("detritus_ready") == 0
        assert len(lines_about(daemon, name, since)) == 1
        upload(daemon, source)  # the other store goes on
    healthy_again(daemon)
    export(daemon, source).accepted()
    assert len(daemon.log_lines(source)) == 2


@pytest.mark.ours
def test_one_source_does_not_stop_the_others(as_nobody, source):
    daemon, other = as_nobody, crash.Source.fresh()
    export(daemon, source).accepted()
    export(daemon, other).accepted()
    with Denied(daemon.data_dir / f"logs/{source.project}/{source.install_id}"):
        export(daemon, source).refused(grpc.UNAVAILABLE)
        export(daemon, other).accepted()
        found = detail(daemon)
        assert found["takes_logs"] and found["takes_crashes"]
    export(daemon, source).accepted()  # noticed by the request itself
    healthy_again(daemon)


@pytest.mark.ours
@pytest.mark.parametrize("where", ["crashes/by-hash", "tmp"])
def test_crashes_that_may_not_be_written(as_nobody, source, where):
    daemon = as_nobody
    upload(daemon, source)
    since = len(daemon.log.lines)
    with Denied(daemon.data_dir / where):
        for _ in range(3):
            answer = crash.upload(daemon, "1.1", ACME, crash.metadata_part(source), crash.dump_part(os.urandom(64)))
            answer.refused(503, "may not use files")
            assert answer.header("retry-after")
        assert where in health(daemon).refused(503, "Permission denied")
        assert not detail(daemon)["takes_crashes"] and detail(daemon)["takes_logs"]
        assert len(lines_about(daemon, where, since)) == 1
        export(daemon, source).accepted()
    healthy_again(daemon)
    upload(daemon, source)


@pytest.mark.ours
@pytest.mark.parametrize("where", ["journal", "detritus.db", "crashes/by-source", "logs"])
def test_a_place_is_missed_before_anything_is_refused(as_nobody, source, where):
    daemon = as_nobody
    export(daemon, source).accepted()
    upload(daemon, source)
    with Denied(daemon.data_dir / where):
        wait_until(lambda: troubles(daemon).get("files_denied", {}).get("path") == where, "the trouble")
        health(daemon).refused(503, "Permission denied", where)
        assert detail(daemon)["takes_logs"] and detail(daemon)["takes_crashes"]
    healthy_again(daemon)


# ---- descriptors ----

def limit(daemon, soft):
    _, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (soft, hard))


def call(client, source):
    """An export on a connection that is there."""
    stream = client.open("POST", grpc.EXPORT, grpc.headers(ACME))
    client.data(stream, grpc.frame(otlp.export_lines(source)))
    return grpc.outcome(client.answered(stream))


@pytest.mark.ours
def test_without_descriptors_nothing_is_lost(start_daemon, source):
    daemon = start_daemon()
    client, plain = daemon.connect("2"), daemon.connect()
    assert plain.request("GET", "/healthz").status == 204
    call(client, source).accepted()
    limit(daemon, 10)
    refused = 0
    for _ in range(20):  # each takes the descriptor of the one before, while there is one
        outcome = call(client, crash.Source.fresh())
        assert outcome.code in (grpc.OK, grpc.UNAVAILABLE), outcome
        refused += outcome.code == grpc.UNAVAILABLE
    assert refused
    answer = plain.request("POST", crash.PATH, crash.headers(ACME), body_of(source))
    assert answer.status == 201 or answer.refused(503, "too many files")
    assert plain.request("GET", "/healthz").status == 204
    assert "failed" not in json.dumps(plain.request("GET", "/healthz?detail").json()["troubles"])
    limit(daemon, 1024)
    wait_until(lambda: not plain.request("GET", "/healthz?detail").json()["troubles"], "the end of the trouble")
    call(client, crash.Source.fresh()).accepted()
    upload(daemon, source)


@pytest.mark.ours
def test_idle_connections_leave_enough_for_the_stores(start_daemon, source):
    """`ulimit -n 1024` and 1,200 idle connections: whoever was let in is served."""
    def few(daemon):
        daemon.prefix = ["prlimit", "--nofile=1024:1024"]
    daemon = start_daemon({"limits": {"connections_per_address": 5000}}, prepare=few)
    daemon.log.wait("fewer connections than limits.connections")
    client = daemon.connect("2")
    call(client, source).accepted()
    uploader = daemon.connect()
    assert uploader.request("GET", "/healthz").status == 204
    idle = [daemon.connect() for _ in range(1200)]
    for _ in range(300):
        call(client, crash.Source.fresh()).accepted()
    for _ in range(20):
        assert uploader.request("POST", crash.PATH, crash.headers(ACME), body_of(source)).status == 201
    assert uploader.request("GET", "/healthz?detail").json()["troubles"] == []
    assert uploader.request("GET", "/healthz").status == 204
    for connection in idle:
        connection.close()


@pytest.mark.ours
def test_far_too_few_descriptors(tmp_path):
    daemon = Daemon(tmp_path)
    daemon.prefix = ["prlimit", "--nofile=200:200"]
    daemon.launch()
    assert daemon.wait_exit() == 1
    daemon.log.wait("at most 200 files may be open, and at least 320 are needed")
