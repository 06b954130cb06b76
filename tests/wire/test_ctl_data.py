"""detritusctl sql, config check, doctor and send-test, beside a real daemon and without one."""

import contextlib
import json
import os
import re
import shutil
import socket
import threading

import hpack
import pytest
from hyperframe import frame as frames

from harness import children, crash
from harness.children import joined
from harness.ctl import call as ctl
from harness.daemon import ACME, DETRITUSCTL, OTHER, RATE_UNLIMITED, tokens_toml
from harness.generate import generate
from harness.stock import Load

pytestmark = pytest.mark.ours

PROBE = "ca9a27e5-0000-4000-8000-000000000000"


def objects(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


# -- sql


def test_sql_beside_a_daemon(daemon, source):
    crash.report(daemon, "1.1", ACME, source, panic_text="one \u001b[31mred\ntwo")
    query = f"SELECT id, panic_text, length(metadata) > 1 AS long, NULL AS none FROM crash WHERE source_id = " \
            f"(SELECT id FROM source WHERE install_id = '{source.install_id}')"
    done = ctl("sql", "--json", query, data_dir=daemon.data_dir)
    [row] = objects(done)
    assert row == {"id": row["id"], "panic_text": "one \u001b[31mred\ntwo", "long": 1, "none": None}
    assert "\x1b" not in done.stdout
    table = ctl("sql", query, data_dir=daemon.data_dir).stdout.splitlines()
    assert table[0].split() == ["id", "panic_text", "long", "none"] and "\x1b" not in table[1]
    assert ctl("sql", data_dir=daemon.data_dir, stdin=query + ";\n-- that is all\n").stdout.splitlines() == table


def test_sql_takes_every_kind_of_value(tmp_path):
    generate(tmp_path, "--crashes", 20, "--sources", 3)
    query = "SELECT 1 AS a, 2.5 AS a, NULL AS b, x'00ff' AS c, 'é\"' AS d, 9e999 AS e, CAST(x'61ff' AS TEXT) AS f"
    assert objects(ctl("sql", "--json", query, data_dir=tmp_path)) == \
        [{"a": 1, "a:1": 2.5, "b": None, "c": "00ff", "d": 'é"', "e": "Inf", "f": "a?"}]
    assert objects(ctl("sql", "--json", "SELECT 1 WHERE 0", data_dir=tmp_path)) == []
    assert ctl("sql", "SELECT 1 AS one WHERE 0", data_dir=tmp_path).stdout == "one\n"
    # More rows than a page of the table.
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1700) SELECT i FROM n"
    assert ctl("sql", many, data_dir=tmp_path).stdout.split() == ["i"] + [str(i) for i in range(1, 1701)]


@pytest.mark.parametrize("query, says", [
    ("DELETE FROM crash", "only statements that read"), ("ATTACH 'x' AS x", "only statements that read"),
    ("VACUUM INTO 'copy.db'", "only statements that read"), ("PRAGMA journal_mode = DELETE", "only statements that read"),
    ("PRAGMA query_only = 0", "only statements that read"), ("CREATE TEMP TABLE t (a)", "only statements that read"),
    ("BEGIN", "only statements that read"), ("SELECT 1; SELECT 2", "one statement"), ("", "there is no statement"),
    ("/* nothing */", "there is no statement"), ("SELEC 1", "syntax error"), ("SELECT unheard FROM crash", "no such column"),
    ("SELECT load_extension('x')", "not authorized"), ("SELECT readfile('/etc/passwd')", "no such function"),
    ("PRAGMA wal_checkpoint", "only statements that read"), ("SELECT * FROM pragma_journal_mode", "not authorized"),
    ("EXPLAIN DELETE FROM crash", "only statements that read")])
def test_sql_only_reads(tmp_path, query, says):
    generate(tmp_path / "data", "--crashes", 20, "--sources", 3)
    before = (tmp_path / "data/detritus.db").read_bytes()
    done = children.run([DETRITUSCTL, "--data-dir", tmp_path / "data", "sql", query], cwd=tmp_path, capture_output=True,
                        text=True)
    assert done.returncode == 1 and says in done.stderr and not done.stdout, done
    assert (tmp_path / "data/detritus.db").read_bytes() == before and os.listdir(tmp_path) == ["data"]


def test_sql_tells_of_the_schema(tmp_path):
    generate(tmp_path, "--crashes", 20, "--sources", 3)
    assert {row["name"] for row in objects(ctl("sql", "--json", "PRAGMA table_info(usage)", data_dir=tmp_path))} == \
        {"project", "log_bytes", "crash_bytes"}
    assert objects(ctl("sql", "--json", "PRAGMA user_version", data_dir=tmp_path))[0]["user_version"] >= 4
    assert "SCAN" in ctl("sql", "EXPLAIN QUERY PLAN SELECT * FROM blob", data_dir=tmp_path).stdout


def test_sql_starts_sqlite_on_a_terminal(tmp_path):
    generate(tmp_path / "data", "--crashes", 20, "--sources", 3)
    stand_in = tmp_path / "bin/sqlite3"
    stand_in.parent.mkdir()
    stand_in.write_text('#!/bin/sh\necho "started: $*"\n')
    stand_in.chmod(0o755)

    def on_a_terminal(path):
        return children.run(["script", "-qec", f"{DETRITUSCTL} --data-dir {tmp_path}/data sql", "/dev/null"],
                            capture_output=True, text=True, env={"PATH": path})

    if not shutil.which("script"):
        pytest.skip("needs script(1)")
    done = on_a_terminal(f"{stand_in.parent}:/usr/bin:/bin")
    assert f"started: -readonly -box {tmp_path}/data/detritus.db" in done.stdout
    script, directory = shutil.which("script"), tmp_path / "only"
    directory.mkdir()
    for name in (script, "/bin/sh"):
        (directory / os.path.basename(name)).symlink_to(name)
    assert "sqlite3 is not installed" in on_a_terminal(str(directory)).stdout


# -- config check


def test_config_check(tmp_path):
    tokens, path = tmp_path / "tokens.toml", tmp_path / "detritusd.yaml"
    tokens.write_text(tokens_toml((ACME, OTHER), RATE_UNLIMITED))
    path.write_text(json.dumps({"tokens_config": str(tokens), "durability": "written", "derive_source": False,
                                "listeners": [{"bind": "127.0.0.1:1"}, {"bind": "[::1]:2"}],
                                "limits": {"otlp_records": 5, "log_queue_bytes": "2MiB"},
                                "projects": {"acme": {"logs_max_bytes": "1GiB"}}}))
    said = json.loads(ctl("config", "check", "--json", path).stdout)
    assert said == json.loads(ctl("config", "check", "--json", environment={"DETRITUS_CONFIG": str(path)}).stdout)
    assert (said["path"], said["durability"], said["derive_source"], said["tokens"]) == (str(path), "written", False, 2)
    assert said["listeners"] == [{"bind": "127.0.0.1:1"}, {"bind": "[::1]:2"}]
    assert (said["limits"]["otlp_records"], said["limits"]["log_queue_bytes"]) == (5, 2 << 20)
    assert (said["limits"]["http2_streams"], said["logs"]["ttl_days"], said["log_format"]) == (100, 14, "pretty")
    assert said["projects"] == {"acme": {"logs_max_bytes": 1 << 30, "crashes_max_bytes": 0}}
    table = [line.split() for line in ctl("config", "check", path).stdout.splitlines()]
    assert ["limits.otlp_records", "5", "set"] in table and ["logs.ttl_days", "14", "default"] in table
    assert ["durability", "written", "set"] in table and ["projects.acme.logs_max_bytes", "1GiB", "set"] in table
    documented = json.loads(ctl("config", "check", "--json").stdout)
    assert documented["path"] is None and documented["tokens"] is None


@pytest.mark.parametrize("text, says", [("surprise: 1\n", ":1: surprise: unknown key"), ("logs:\n  ttl_days: -1\n", ":2:"),
                                        ("a: [", ":2:")])
def test_config_check_refuses_what_the_daemon_refuses(tmp_path, text, says):
    path = tmp_path / "detritusd.yaml"
    path.write_text(text)
    done = ctl("config", "check", path, status=1)
    assert str(path) + says in done.stderr and not done.stdout
    path.write_text(f"tokens_config: {tmp_path}/tokens.toml\n")
    assert "tokens.toml" in ctl("config", "check", path, status=1).stderr
    (tmp_path / "tokens.toml").write_text("[[token]]\nid = 'x'\n")
    assert "tokens.toml:1: token: secret is missing" in ctl("config", "check", path, status=1).stderr


@pytest.mark.parametrize("name, why", [("a b", "it has a blank"), ("a/b", 'it has "/"'), ("Z\u00fcrich", "it is not ASCII")])
def test_token_ids_that_clients_cannot_send_are_named(tmp_path, name, why):
    """token add refuses them. A file written by hand may have them, and a token chosen by hand works."""
    tokens, path = tmp_path / "tokens.toml", tmp_path / "detritusd.yaml"
    tokens.write_text(tokens_toml((ACME, OTHER), RATE_UNLIMITED))
    tokens.chmod(0o600)
    path.write_text(f"tokens_config: {tokens}\n")
    assert not ctl("config", "check", path).stderr
    tokens.write_text(tokens.read_text().replace('id = "', f'id = "{name}-', 1))
    for how in ((), ("--json",)):
        done = ctl("config", "check", path, *how)
        (said,) = done.stderr.splitlines()
        assert said.startswith(f'detritusctl: {tokens}: the token id "{name}-'), said
        assert f"does not fit into a token that clients can send: {why}" in said and done.stdout
    generate(tmp_path / "data", "--crashes", 1)
    found = checks(ctl("doctor", "--json", "--tokens-config", tokens, data_dir=tmp_path / "data"))["token file"]
    assert found["state"] == "warn" and why in found["found"]


# -- doctor


def checks(done):
    return {row["check"]: row for row in objects(done)}


def test_doctor_of_a_daemon(start_daemon):
    daemon = start_daemon()
    done = ctl("doctor", "--json", "--tokens-config", daemon.tokens_file, data_dir=daemon.data_dir)
    found = checks(done)
    assert set(found) >= {"daemon", "data directory", "database", "token file", "file system", "space", "syncs", "clock",
                          "cores", "memory", "descriptors"}
    assert str(daemon.process.pid) in found["daemon"]["found"]
    assert all((row["advice"] is None) == (row["state"] == "ok") for row in found.values())
    assert {found[name]["state"] for name in ("data directory", "database", "token file", "clock")} == {"ok"}
    lines = ctl("doctor", "--tokens-config", daemon.tokens_file, data_dir=daemon.data_dir).stdout.splitlines()
    assert all(line.split()[0] in ("ok", "warn", "bad") or line.startswith(" " * 20) for line in lines)
    assert os.listdir(daemon.data_dir / "tmp") == []



def test_doctor_finds_what_is_wrong(tmp_path):
    data_dir, tokens = tmp_path / "data", tmp_path / "tokens.toml"
    generate(data_dir, "--crashes", 20, "--sources", 3)
    tokens.write_text(tokens_toml((ACME,), None))
    tokens.chmod(0o600)

    def state(check, status):
        found = checks(ctl("doctor", "--json", "--tokens-config", tokens, data_dir=data_dir, status=status))
        return found[check]["state"]

    assert [state(check, 0) for check in ("data directory", "database", "token file", "clock")] == ["ok"] * 4
    for path, mode, check, expected in [(data_dir, 0o777, "data directory", "bad"), (data_dir, 0o755, "data directory", "warn"),
                                        (tokens, 0o666, "token file", "bad"), (tokens, 0o644, "token file", "warn"),
                                        (data_dir / "detritus.db", 0o644, "database", "warn")]:
        before = path.stat().st_mode & 0o777
        path.chmod(mode)
        assert state(check, 1 if expected == "bad" else 0) == expected, (path, mode)
        path.chmod(before)
    tokens.write_text("not toml")
    assert state("token file", 1) == "bad"
    tokens.unlink()
    assert state("token file", 1) == "bad"
    tokens.write_text(tokens_toml((ACME,), None))
    tokens.chmod(0o600)
    # A clock that was set back: files are from the future.
    os.utime(data_dir / "lock", (4102444800, 4102444800))
    assert state("clock", 1) == "bad"
    os.utime(data_dir / "lock")
    (data_dir / "detritus.db").write_bytes(b"no database" * 100)
    assert state("database", 1) == "bad"


def test_doctor_without_a_directory(tmp_path):
    found = checks(ctl("doctor", "--json", data_dir=tmp_path / "nowhere", status=1))
    assert found["data directory"]["state"] == "bad" and "syncs" not in found
    assert found["token file"]["state"] == "warn"


def test_doctor_counts_descriptors(tmp_path):
    def limited(number):
        done = children.run(["prlimit", f"--nofile={number}:{number}", DETRITUSCTL, "--data-dir", tmp_path, "doctor",
                             "--json"], capture_output=True, text=True)
        return checks(done)["descriptors"]["state"]

    assert [limited(319), limited(1024), limited(10000)] == ["bad", "warn", "warn"]
    config = tmp_path / "c.yaml"
    config.write_text("limits: {connections: 64, connections_per_address: 32, log_files_open: 64, uploads: 2}\n")
    done = ctl("doctor", "--json", "--config", config, data_dir=tmp_path)
    assert checks(done)["descriptors"]["state"] == "ok"


def test_doctor_knows_memory_from_a_disk():
    if not os.access("/dev/shm", os.W_OK):
        pytest.skip("needs /dev/shm")
    path = f"/dev/shm/detritus-doctor-{os.getpid()}"
    os.mkdir(path, 0o750)
    try:
        found = checks(ctl("doctor", "--json", data_dir=path, status=1))
        assert (found["file system"]["state"], found["file system"]["found"]) == ("bad", "tmpfs")
        assert "sync honesty" not in found and os.listdir(path) == []
    finally:
        os.rmdir(path)


# -- send-test


def send(daemon, *arguments, token=ACME, **options):
    return ctl("send-test", "--address", "%s:%d" % daemon.address, *arguments, data_dir=daemon.data_dir,
               stdin=token.secret + "\n", **options)


def test_a_canary_is_sent_and_found(start_daemon):
    daemon = start_daemon()
    done = send(daemon, "--project", "acme")
    lines = done.stdout.splitlines()
    assert len(lines) == 7 and all(line.startswith("ok ") for line in lines[1:])
    canary = lines[0].split()[1]
    [line] = daemon.log_lines(crash.Source("acme", PROBE))
    assert (line["attributes"], line["platform"]) == ({"detritus.canary": canary}, "canary")
    [row] = daemon.rows("SELECT project, install_id, crash.platform, context, profile FROM crash"
                        " JOIN source ON source.id = source_id")
    assert row == {"project": "acme", "install_id": PROBE, "platform": "canary", "profile": "canary",
                   "context": json.dumps({"detritus.canary": canary}, separators=(",", ":"))}
    # Again, as another install, from the environment.
    found = objects(send(daemon, "--project", "acme", "--json", "--install", "{3F2B8C1E-0000-4000-8000-00000000000A}",
                         environment={"DETRITUS_TOKEN": ACME.secret}))
    assert [row["state"] for row in found] == ["ok"] * 6 and len({row["canary"] for row in found}) == 1
    assert daemon.rows("SELECT count(*) AS n FROM crash") == [{"n": 2}]


def test_a_canary_that_is_refused(start_daemon, tmp_path):
    daemon = start_daemon()
    secret = tmp_path / "secret"
    secret.write_text(ACME.secret + "\n")
    done = send(daemon, "--project", "acme", token=OTHER, status=1)
    assert "gRPC status 7" in done.stdout and "HTTP 403" in done.stdout and "stored" not in done.stdout
    done = ctl("send-test", "--address", "%s:%d" % daemon.address, "--project", "acme", data_dir=daemon.data_dir,
               stdin="wrong\n", status=1)
    assert "gRPC status 16" in done.stdout and "HTTP 401" in done.stdout
    # The data directory is another one: whoever listens there is not its daemon, and gets no token.
    elsewhere = tmp_path / "elsewhere"
    generate(elsewhere, "--crashes", 5, "--sources", 1)
    arguments = ("send-test", "--address", "%s:%d" % daemon.address, "--project", "acme", "--token-file", secret)
    done = ctl(*arguments, data_dir=elsewhere, status=1)
    assert "the token was not sent" in done.stderr and not done.stdout
    assert len(ctl(*arguments, "--remote", data_dir=elsewhere).stdout.splitlines()) == 3


def test_a_canary_to_nobody(start_daemon, tmp_path):
    daemon = start_daemon()
    address = "%s:%d" % daemon.address
    daemon.stop()
    done = ctl("send-test", "--address", address, "--project", "acme", data_dir=tmp_path, stdin="x\n", status=1)
    assert "the token was not sent" in done.stderr and not done.stdout
    done = ctl("send-test", "--address", address, "--project", "acme", "--remote", data_dir=tmp_path, stdin="x\n", status=1)
    assert "cannot connect" in done.stderr and not done.stdout
    done = ctl("send-test", "--address", address, "--project", "acme", data_dir=tmp_path, status=1,
               environment={"DETRITUS_TOKEN": "x" * 4096})
    assert "$DETRITUS_TOKEN is too long" in done.stderr
    for arguments, status in [((), 2), (("--project", "acme", "x"), 2), (("--project", "a/b"), 2),
                              (("--project", "acme", "--install", "no-uuid"), 2), (("--project", "acme"), 1)]:
        assert ctl("send-test", *arguments, data_dir=tmp_path, status=status).stderr


def test_a_canary_goes_to_the_daemon_alone(start_daemon):
    """Somebody else listens on the port of the daemon that is down, or where the daemon does not listen."""
    daemon = start_daemon()
    with socket.create_server(("127.0.0.1", 0)) as impostor:
        impostor.setblocking(False)
        address = "127.0.0.1:%d" % impostor.getsockname()[1]
        arguments = ("send-test", "--address", address, "--project", "acme")
        done = ctl(*arguments, data_dir=daemon.data_dir, stdin=ACME.secret + "\n", status=1)
        assert "does not listen on " + address in done.stderr
        daemon.stop()
        done = ctl(*arguments, data_dir=daemon.data_dir, stdin=ACME.secret + "\n", status=1)
        assert "none answers" in done.stderr
        with pytest.raises(BlockingIOError):
            impostor.accept()


def test_a_canary_finds_the_port_itself(start_daemon):
    daemon = start_daemon()
    done = ctl("send-test", "--project", "acme", data_dir=daemon.data_dir, stdin=ACME.secret + "\n")
    assert len(done.stdout.splitlines()) == 7


def test_each_under_load_and_without_a_daemon(start_daemon, tmp_path):
    daemon = start_daemon()
    config = tmp_path / "c.yaml"
    config.write_text(json.dumps({"data_dir": str(daemon.data_dir), "tokens_config": str(daemon.tokens_file)}))

    def count():
        # Two subqueries of one statement: of one moment, whatever comes meanwhile.
        [row] = objects(ctl("sql", "--json", "SELECT (SELECT count(*) FROM crash) AS n, crashes FROM crash_count WHERE"
                            " project = ''", data_dir=daemon.data_dir))
        assert row["n"] == row["crashes"]
        return row["n"]

    with Load(daemon, OTHER) as load:
        first = count()
        for _ in range(5):
            assert count() >= first
        assert all(line.startswith("ok ") for line in send(daemon, "--project", "acme").stdout.splitlines()[1:])
        assert str(daemon.process.pid) in checks(ctl("doctor", "--json", "--config", config))["daemon"]["found"]
        assert json.loads(ctl("config", "check", "--json", config).stdout)["data_dir"] == str(daemon.data_dir)
    assert count() == load.sent + 1
    daemon.stop()
    assert count() == load.sent + 1
    assert checks(ctl("doctor", "--json", "--config", config))["daemon"]["found"] == "none runs on this directory"
    assert json.loads(ctl("config", "check", "--json", config).stdout)["tokens"] >= 2
    assert "the token was not sent" in send(daemon, "--project", "acme", status=1).stderr


@contextlib.contextmanager
def stranger(body):
    """Answers every request with 503 and this body."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(connection):
        with connection, connection.makefile("rb") as stream:
            stream.read(len(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
            connection.sendall(frames.SettingsFrame(0).serialize())
            while head := stream.read(9):
                frame, length = frames.Frame.parse_frame_header(memoryview(head))
                frame.parse_body(memoryview(stream.read(length)))
                if not isinstance(frame, frames.DataFrame) or "END_STREAM" not in frame.flags:
                    continue
                block = hpack.Encoder().encode([(":status", "503")])
                connection.sendall(frames.HeadersFrame(frame.stream_id, block, flags=["END_HEADERS"]).serialize() +
                                   frames.DataFrame(frame.stream_id, body, flags=["END_STREAM"]).serialize())

    def accept():
        with contextlib.suppress(OSError): # closed
            while True:
                answer(listener.accept()[0])

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield "%s:%d" % listener.getsockname()
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        joined(thread)
        listener.close()


def test_what_a_stranger_answers_is_harmless(tmp_path):
    for options in ((), ("--json",)):
        with stranger(b"no \x1b[31mred \xc2\x9b2J \xff way") as address:
            done = ctl("send-test", "--address", address, "--project", "acme", "--remote", *options, data_dir=tmp_path,
                       stdin="x\n", status=1)
        assert "HTTP 503" in done.stdout and "way" in done.stdout
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f]", done.stdout), done.stdout
