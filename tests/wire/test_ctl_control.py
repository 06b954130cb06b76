"""The control socket: who is heard, what is refused, and what it leaves."""

import os
import select
import socket
import stat
import sys

import pytest

from harness import children, crash
from harness.bulk import Control
from harness.daemon import ACME, LATE, RATE_UNLIMITED, Daemon, tokens_toml, wait_until

pytestmark = pytest.mark.ours

CONNECTIONS_MAX = 8
REQUEST_MAX = 65536


def test_it_is_there_and_ours_alone(daemon):
    found = os.stat(daemon.data_dir / "control.sock")
    assert stat.S_ISSOCK(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o600
    with Control(daemon.data_dir) as control:
        for _ in range(3):  # one connection may ask many times
            assert control.ask({"op": "ping"}) == ([], {"ok": True, "version": "0.1.0", "pid": daemon.process.pid,
                                                        "daemon": True})


def test_what_it_does_not_understand(daemon):
    with Control(daemon.data_dir) as control:
        for request in (b"", b"no json", b"[1]", b"{}", b'{"op":7}', b'{"op":"nothing"}', b'{"op":"gc","dry_run":1}',
                        b'{"op":"purge"}', b'{"op":"purge","project":""}',
                        b'{"op":"purge","project":"acme\\u0000x"}', b'{"op":"purge","project":"../acme"}',
                        b'{"op":"purge","project":"acme","install_id":"a/b"}', b'{"op":"purge","project":"a","before":"x"}',
                        b'{"op":"crash-delete"}', b'{"op":"crash-delete","ids":[]}', b'{"op":"crash-hold","ids":["1"]}',
                        b'{"op":"crash-hold","ids":[-1]}', b'{"op":"ping"} x', b'{"op":"ping"}\0'):
            before, last = control.ask(request)
            assert before == [] and list(last) == ["error"], request
        assert "ok" in control.ask({"op": "ping"})[1]


def test_an_error_is_valid_utf8_whatever_it_quotes(daemon):
    with Control(daemon.data_dir) as control:
        for letter in "é€😀":
            for offset in range(4):
                [error] = control.ask({"op": "x" * offset + letter * 300})[1].values()
                assert error.startswith('there is no operation "' + "x" * offset + letter * 50)
        assert list(control.ask(b'{"op":"\xff"}')[1]) == list(control.ask(b'{"op":"\\ud800"}')[1]) == ["error"]


def test_ids_of_one_request(daemon):
    with Control(daemon.data_dir) as control:
        items, last = control.ask({"op": "crash-release", "ids": list(range(10**6, 10**6 + 2000))})
        assert len(items) == last["absent"] == 2000 and "ok" in last
        assert "2001" in control.ask({"op": "crash-release", "ids": list(range(10**6, 10**6 + 2001))})[1]["error"]


def test_the_longest_request(daemon):
    def padded(length):
        return b'{"op":"ping","x":"%s"}' % (b"x" * (length - len(b'{"op":"ping","x":""}')))

    with Control(daemon.data_dir) as control:
        assert "ok" in control.ask(padded(REQUEST_MAX - 1))[1]  # with its newline REQUEST_MAX
        assert "longer" in control.ask(padded(REQUEST_MAX))[1]["error"]
        assert control.read() is None


def test_connections_are_limited(daemon):
    controls = [Control(daemon.data_dir) for _ in range(CONNECTIONS_MAX)]
    for control in controls:
        assert "ok" in control.ask({"op": "ping"})[1]
    with Control(daemon.data_dir) as another:
        assert "too many" in another.read()["error"] and another.read() is None
    controls.pop().close()

    def again():
        with Control(daemon.data_dir) as control:
            try:
                return "ok" in (control.ask({"op": "ping"})[1] or {})
            except OSError:
                return False

    wait_until(again, "a place that is free again")
    for control in controls:
        assert "ok" in control.ask({"op": "ping"})[1]
        control.close()


def test_a_flood_of_connections(daemon):
    """Each is told, none takes a thread or a descriptor from those that were there, or from who comes later."""
    held = [Control(daemon.data_dir) for _ in range(CONNECTIONS_MAX)]
    for control in held:
        control.socket.sendall(b'{"op":')  # half a line
    flood = [Control(daemon.data_dir) for _ in range(500)]
    assert all("too many" in control.read()["error"] for control in flood)
    wait_until(lambda: daemon.threads().count("control-client") == CONNECTIONS_MAX, "their threads, and no others")
    for _ in range(1000):
        Control(daemon.data_dir).close()
    for control in held:
        control.send(b'"ping"}')
        assert "ok" in control.read()
    for control in held + flood:
        control.close()
    wait_until(lambda: "control-client" not in daemon.threads(), "the end of their threads")
    with Control(daemon.data_dir) as control:
        assert "ok" in control.ask({"op": "ping"})[1]


def test_who_asks_nothing_is_cut_off(start_daemon):
    daemon = start_daemon({"limits": {"control_idle_timeout_secs": 1}})

    def asked():
        """One that was in time."""
        control = Control(daemon.data_dir)
        return control if control.ask({"op": "ping"})[1] else control.close()

    with Control(daemon.data_dir) as silent, Control(daemon.data_dir) as half, wait_until(asked, "an answer") as done:
        half.socket.sendall(b'{"op":"ping"}')
        assert silent.read() is done.read() is half.read() is None


def test_a_request_must_come_whole_in_time(start_daemon):
    """A byte now and then does not keep a place."""
    daemon = start_daemon({"limits": {"control_idle_timeout_secs": 1}})
    with Control(daemon.data_dir) as control:
        def cut_off():
            if not select.select([control.socket], [], [], 0.1)[0]:
                control.socket.sendall(b"x")
                return False
            return True

        wait_until(cut_off, "its end")
        assert control.read() is None


def test_who_takes_no_answer_is_cut_off(start_daemon):
    daemon = start_daemon({"limits": {"control_write_timeout_secs": 1}})
    ids = list(range(10**6, 10**6 + 2000))
    with Control(daemon.data_dir) as deaf, Control(daemon.data_dir) as control:
        for one in (deaf, control):
            assert "ok" in one.ask({"op": "ping"})[1]
        deaf.send({"op": "crash-release", "ids": ids})
        wait_until(lambda: daemon.threads().count("control-client") == 1, "the end of who does not read")
        lines = 0
        while line := deaf.read():
            assert list(line) == ["item"]
            lines += 1
        assert 0 < lines < 2000
        assert "ok" in control.ask({"op": "ping"})[1]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_strangers_are_not_heard(daemon):
    """Also when the modes would let them in."""
    os.chmod(daemon.data_dir, 0o755)
    os.chmod(daemon.data_dir / "control.sock", 0o666)
    script = ("import os, socket\nos.setgid(65534); os.setuid(65534)\ns = socket.socket(socket.AF_UNIX)\n"
              "s.connect('control.sock')\nprint(s.makefile().read())")
    done = children.run([sys.executable, "-c", script], cwd=daemon.data_dir, capture_output=True, text=True)
    os.chmod(daemon.data_dir, 0o750)
    assert '"error":"only the daemon' in done.stdout, done
    with Control(daemon.data_dir) as control:
        assert "ok" in control.ask({"op": "ping"})[1]


def test_it_goes_with_the_daemon_and_a_dead_ones_is_replaced(start_daemon):
    daemon = start_daemon()
    path = daemon.data_dir / "control.sock"
    daemon.kill()
    assert path.exists()
    daemon = start_daemon(directory=daemon.directory)
    with Control(daemon.data_dir) as control:
        assert control.ask({"op": "ping"})[1]["pid"] == daemon.process.pid
    daemon.stop()
    assert not path.exists()


def test_a_file_in_the_way_stays(start_daemon):
    daemon = start_daemon()
    daemon.stop()
    path = daemon.data_dir / "control.sock"
    path.write_text("somebody's")
    daemon = start_daemon(directory=daemon.directory)
    daemon.log.wait(r"no control socket.*in the way")
    crash.report(daemon, "1.1", ACME, crash.Source.fresh())
    assert path.read_text() == "somebody's"


def test_a_path_longer_than_an_address(tmp_path):
    directory = tmp_path / ("d" * 100) / ("e" * 100)
    directory.mkdir(parents=True)
    daemon = Daemon(directory).start()
    with pytest.raises(OSError):
        socket.socket(socket.AF_UNIX).connect(str(daemon.data_dir / "control.sock"))
    with Control(daemon.data_dir) as control:
        assert "ok" in control.ask({"op": "ping"})[1]
    daemon.stop()


def test_tokens_are_read_again(start_daemon):
    daemon = start_daemon(tokens=[ACME])
    source = crash.Source.fresh()
    parts = crash.metadata_part(source), crash.dump_part()
    assert crash.upload(daemon, "1.1", LATE, *parts).status == 401
    daemon.write_tokens(tokens_toml([ACME, LATE], RATE_UNLIMITED))
    with Control(daemon.data_dir) as control:
        assert control.ask({"op": "reload"}) == ([], {"ok": True, "tokens_config": str(daemon.tokens_file), "tokens": 2})
    assert crash.upload(daemon, "1.1", LATE, *parts).status == 201
    daemon.write_tokens("token = 7\n")
    with Control(daemon.data_dir) as control:
        assert "error" in control.ask({"op": "reload"})[1]
    assert crash.upload(daemon, "1.1", LATE, *parts).status == 201


def test_an_older_token_file_does_not_come_back(start_daemon):
    """Two reloads at once: the one that began first reads for longer, a file that has been replaced meanwhile."""
    daemon = start_daemon(tokens=[ACME, LATE])
    path, slow = daemon.tokens_file, daemon.tokens_file.with_name("slow.toml")
    old = path.read_bytes()
    os.mkfifo(slow)
    os.rename(slow, path)
    with Control(daemon.data_dir) as first, Control(daemon.data_dir) as second:
        first.send({"op": "reload"})
        with open(path, "wb") as file:  # the daemon has opened it
            path.unlink()
            daemon.write_tokens(tokens_toml([ACME], RATE_UNLIMITED))
            assert second.ask({"op": "reload"})[1]["tokens"] == 1
            file.write(old)
        assert "ok" in first.read()
    source = crash.Source.fresh()
    assert crash.upload(daemon, "1.1", LATE, crash.metadata_part(source), crash.dump_part()).status == 401


def test_stopping_does_not_wait_for_connections(start_daemon):
    daemon = start_daemon()
    with Control(daemon.data_dir) as idle, Control(daemon.data_dir) as asked:
        assert "ok" in asked.ask({"op": "ping"})[1]
        daemon.stop()
        assert idle.read() is None and asked.read() is None
