"""Tokens: what a request costs, what a reload does, which files are refused, and the command line around them."""

import re
import select
import signal

import pytest

from conftest import both
from harness import crash, grpc, http1, otlp
from harness.crash import body, dump_part, headers, metadata_part, upload
from harness.daemon import (ACME, ENDLESS_TOKENS, LATE, OTHER, RATE_UNLIMITED, Daemon, Token, run, slow_tokens, stranger,
                            tokens_toml, wait_until)

pytestmark = pytest.mark.ours


def verifications(daemon):
    return daemon.metric("detritus_verifications_total")


def attempt(daemon, token, http="1.1"):
    """The status of a request that needs nothing but a token."""
    return daemon.request(http, "GET", "/nowhere", [token.header]).status


# -- what it costs


def test_a_token_is_verified_once(start_daemon, source):
    daemon = start_daemon()
    assert attempt(daemon, ACME) == 404
    paid = verifications(daemon)
    assert paid >= 1
    for http in ("1.1", "2"):
        crash.report(daemon, http, ACME, source)
        assert attempt(daemon, ACME, http) == 404
    grpc.export(daemon, otlp.export_lines(source), ACME).accepted()
    assert verifications(daemon) == paid


def test_a_bad_token_is_verified_once(start_daemon):
    daemon = start_daemon()
    assert attempt(daemon, stranger("nobody")) == 401
    paid = verifications(daemon)
    assert paid >= 1
    assert [attempt(daemon, stranger("nobody"), http) for http in ("1.1", "2", "2")] == [401] * 3
    assert verifications(daemon) == paid


def test_what_is_no_token_costs_nothing(start_daemon):
    daemon = start_daemon()
    for authorization in ("Bearer ", "Basic YTpi", "Bearer", ""):
        assert daemon.request("1.1", "GET", "/nowhere", [("authorization", authorization)]).status == 401
    assert daemon.request("1.1", "GET", "/nowhere").status == 401
    assert verifications(daemon) == 0


def hash_token(secret):
    done = run("hash-token", stdin=secret + "\n")
    assert done.returncode == 0, done
    return done.stdout.strip()


def test_a_generated_token_costs_its_own_entry_only(start_daemon):
    secret = "dt_k-1_" + "s" * 43
    generated = Token(secret, "k-1", hash_token(secret), "acme", "acme/")
    daemon = start_daemon(tokens=(ACME, OTHER, generated))
    assert attempt(daemon, stranger("dt_k-1_wrong")) == 401
    assert verifications(daemon) == 1
    assert attempt(daemon, generated) == 404
    assert verifications(daemon) == 2
    assert attempt(daemon, stranger("dt_k-2_" + "s" * 43)) == 401
    assert attempt(daemon, stranger("dt_k-1_another")) == 401  # the entry's token is known, and is not this one
    assert verifications(daemon) == 2


# One is verified, one waits, the rest is turned away. Those two are waited for at the end, though their clients have gone.
BUSY = {"limits": {"verifier_queue": 1, "verifier_threads": 1, "drain_timeout_secs": 1}}


def test_a_busy_verifier_is_not_a_bad_token(start_daemon, source):
    """A flood of unknown tokens: 503 at once, and whoever is known already notices nothing."""
    daemon = start_daemon(BUSY, tokens=(ACME, *ENDLESS_TOKENS))
    assert attempt(daemon, ACME) == 404
    clients = [daemon.connect() for _ in range(20)]
    for n, client in enumerate(clients):
        client.send(b"GET /nowhere HTTP/1.1\r\nhost: x\r\nauthorization: Bearer nobody-%d\r\n\r\n" % n)

    def answered():
        return select.select([client.socket for client in clients], [], [], 0)[0]

    wait_until(lambda: len(answered()) >= 18, "all but two to be turned away")
    crash.report(daemon, "1.1", ACME, source)
    busy = [client.read() for client in clients if client.socket in answered()]
    assert {answer.status for answer in busy} == {503} and all(int(answer.header("retry-after")) >= 1 for answer in busy)
    daemon.stop()


def test_a_busy_verifier_is_unavailable_to_grpc(start_daemon):
    daemon = start_daemon(BUSY, tokens=ENDLESS_TOKENS)
    client = daemon.connect("2")
    streams = []
    for n in range(20):
        streams.append(client.open("POST", grpc.EXPORT, grpc.headers(stranger(f"nobody-{n}"))))
        client.data(streams[-1], grpc.frame(b""))

    def answered():
        return [stream for stream in streams if client.streams[stream].ended]

    client.until(lambda: len(answered()) >= 18, "all but two are turned away")
    outcomes = [grpc.outcome(client.answered(stream)) for stream in answered()]
    assert all(outcome.refused(grpc.UNAVAILABLE).retry_ms >= 1 for outcome in outcomes)
    daemon.stop()


def test_a_verdict_comes_to_each_that_waits(start_daemon):
    daemon = start_daemon({"limits": {"verifier_queue": 20, "verifier_threads": 1}}, tokens=slow_tokens(2))
    clients = [daemon.connect() for _ in range(20)]
    for n, client in enumerate(clients):
        client.send(b"GET /nowhere HTTP/1.1\r\nhost: x\r\nauthorization: Bearer nobody-%d\r\n\r\n" % n)
    assert [client.read().status for client in clients] == [401] * 20


@both
def test_a_client_that_leaves_during_verification(start_daemon, http):
    """Whatever the outcome, which then nobody waits for."""
    daemon = start_daemon(tokens=(*slow_tokens(2), ACME))
    for token in (ACME, stranger("gone"), ACME):
        client = daemon.connect(http)
        if http == "2":
            client.reset(client.open("GET", "/nowhere", [token.header], end=True))
            client.ping()
        else:
            client.send(http1.head("GET", "/nowhere", [token.header]))
        client.close()


@both
@pytest.mark.parametrize("token", [ACME, stranger("gone")], ids=["good", "bad"])
def test_a_client_that_resets_during_verification_and_then_the_end(start_daemon, http, token):
    """Once with time for a verdict, once without. Whether anything leaks is for a sanitizer to say."""
    daemon = start_daemon(tokens=(*slow_tokens(3), ACME))
    for secret in (token, stranger("cut short")):
        paid = verifications(daemon)
        clients = [daemon.connect(http) for _ in range(3)]
        for client in clients:
            if http == "2":
                client.open("GET", "/nowhere", [secret.header], end=True)
            else:
                client.send(http1.head("GET", "/nowhere", [secret.header]))
        wait_until(lambda: verifications(daemon) > paid, "a verification")
        for client in clients:
            client.abort()
        if secret is token:
            wait_until(lambda: verifications(daemon) == paid + 4, "its end")
    daemon.stop()


# -- good clients stay


def test_a_reload_costs_nothing(start_daemon):
    """Each of many tokens in use stays good, whatever is added, and is the new file's at once."""
    daemon = start_daemon(tokens=(ACME, OTHER))
    assert (attempt(daemon, ACME), attempt(daemon, OTHER), attempt(daemon, LATE)) == (404, 404, 401)
    paid = verifications(daemon)
    daemon.write_tokens(tokens_toml((LATE, OTHER, ACME), RATE_UNLIMITED))
    reload(daemon, "tokens reloaded")
    assert (attempt(daemon, ACME), attempt(daemon, OTHER)) == (404, 404)
    assert verifications(daemon) == paid
    assert attempt(daemon, LATE) == 404  # bad before
    assert verifications(daemon) == paid + 1


def generated_tokens(n):
    secrets = [f"dt_k{i}_" + f"{i:043}" for i in range(n)]
    return [Token(secret, f"k{i}", hash_token(secret), "acme", "acme/") for i, secret in enumerate(secrets)]


def test_a_restart_costs_nothing(start_daemon):
    tokens = generated_tokens(5)
    daemon = start_daemon(tokens=(*tokens, ACME))
    assert [attempt(daemon, token) for token in (*tokens, ACME)] == [404] * 6
    assert verifications(daemon) == 6
    daemon.stop()
    seen = daemon.data_dir / "journal/tokens.seen"
    assert seen.stat().st_mode & 0o777 == 0o600
    assert not any(token.secret in seen.read_text() for token in (*tokens, ACME))
    daemon = start_daemon(directory=daemon.directory, tokens=(*tokens[1:], ACME))
    assert [attempt(daemon, token) for token in tokens[1:]] == [404] * 4
    assert [attempt(daemon, stranger(f"dt_k{i}_" + "g" * 43)) for i in range(5)] == [401] * 5
    assert attempt(daemon, tokens[0]) == 401  # revoked while the daemon was down
    assert verifications(daemon) == 0
    assert attempt(daemon, ACME) == 404  # not a generated one
    assert verifications(daemon) == 1


def test_a_flood_of_guesses_shuts_nobody_out(start_daemon):
    """At a first start, from the address of the good clients, and with key ids that exist."""
    tokens = generated_tokens(4)
    daemon = start_daemon({"limits": {"verifier_queue": 20}}, tokens=(*tokens, *slow_tokens(2)))
    floods = [daemon.connect("2") for _ in range(4)]
    for n in range(160):
        guess = stranger(f"dt_k{n % 4}_{n:043}" if n % 2 else f"nobody-{n}")
        floods[n % 4].open("GET", "/nowhere", [guess.header], end=True)
    for flood in floods:
        flood.ping()
    assert [attempt(daemon, token) for token in tokens] == [404] * 4


@both
@pytest.mark.parametrize("scheme, after", [("Bearer ", " "), ("bearer ", "\t"), ("BEARER   ", "  \t "), (" Bearer ", "")])
def test_blanks_around_a_token(start_daemon, http, scheme, after):
    daemon = start_daemon()
    client = daemon.connect(http)
    answer = client.request("GET", "/nowhere", [("authorization", scheme + ACME.secret + after)])
    assert answer.status == 404


# -- reload


def reload(daemon, says):
    since = daemon.log.mark()
    daemon.signal(signal.SIGHUP)
    return daemon.log.wait(says, since).string


def test_sighup_adds_and_removes_tokens(start_daemon):
    daemon = start_daemon(tokens=(ACME,))
    again = range(20)  # each network thread remembers a good token from its second time on
    assert {(attempt(daemon, ACME), attempt(daemon, LATE)) for _ in again} == {(404, 401)}
    daemon.write_tokens(tokens_toml((LATE,), RATE_UNLIMITED))
    reload(daemon, "tokens reloaded")
    assert {(attempt(daemon, ACME), attempt(daemon, LATE)) for _ in again} == {(401, 404)}


def test_sighup_changes_rate_limits(start_daemon, source):
    daemon = start_daemon(rate_limit={"logs_per_minute": 1, "logs_burst": 1, "crashes_per_minute": 1,
                                      "crashes_burst": 0})
    sent = metadata_part(source), dump_part()
    upload(daemon, "1.1", ACME, *sent).refused(429)
    daemon.write_tokens(tokens_toml((ACME,), RATE_UNLIMITED))
    reload(daemon, "tokens reloaded")
    wait_until(lambda: upload(daemon, "1.1", ACME, *sent).status == 201, "the new limits")


@pytest.mark.parametrize("text, line", [
    ("not toml at all", 1),
    ("[[token]]\nid = 'a'\n", 1),
    (tokens_toml((ACME,), None) + "\nsurprise = 1\n", None),
    ("", None),
])
def test_a_bad_file_keeps_the_old_tokens(start_daemon, text, line):
    daemon = start_daemon(tokens=(ACME,))
    daemon.write_tokens(text)
    said = reload(daemon, "tokens not reloaded")
    assert str(daemon.tokens_file) + ":" + (str(line) if line else "") in said
    assert attempt(daemon, ACME) == 404
    daemon.write_tokens(tokens_toml((LATE,), None))
    reload(daemon, "tokens reloaded")
    assert (attempt(daemon, ACME), attempt(daemon, LATE)) == (401, 404)


def test_a_missing_file_keeps_the_old_tokens(start_daemon):
    daemon = start_daemon(tokens=(ACME,))
    daemon.tokens_file.unlink()
    assert str(daemon.tokens_file) in reload(daemon, "tokens not reloaded")
    assert attempt(daemon, ACME) == 404


def test_an_upload_under_way_survives_a_reload(start_daemon, source):
    """It was authenticated when it came; what is removed meanwhile stops the next one."""
    daemon = start_daemon(tokens=(ACME,))
    whole = body(metadata_part(source), dump_part())
    client = daemon.connect("2")
    stream = client.open("POST", crash.PATH, headers(ACME))
    client.data(stream, whole[:-20], end=False)
    daemon.wait_metric("detritus_uploads_in_flight", lambda n: n == 1)
    daemon.write_tokens(tokens_toml((LATE,), RATE_UNLIMITED))
    reload(daemon, "tokens reloaded")
    client.data(stream, whole[-20:])
    assert client.answered(stream).status == 201
    assert client.request("POST", crash.PATH, headers(ACME), whole).status == 401


# -- files


YAML = f"""\
token:
  - id: {ACME.id}
    secret: "{ACME.phc}"
    project: acme
    source_prefix: acme/
    url_key: false
rate_limit: {{crashes_burst: 2, crashes_per_minute: 1}}
"""


@pytest.mark.parametrize("name", ["tokens.yaml", "tokens.yml"])
def test_a_yaml_token_file(start_daemon, tmp_path, source, name):
    (tmp_path / name).write_text(YAML)
    daemon = start_daemon(tokens_file=tmp_path / name)
    for n in range(2):
        crash.report(daemon, "1.1", ACME, source, timestamp=f"2026-05-19T00:00:0{n}Z")
    assert upload(daemon, "1.1", ACME, metadata_part(source), dump_part()).status == 429


TOML_LINES = tokens_toml((ACME,), {"crashes_burst": 5})
REFUSED = {
    "schema": (TOML_LINES + "[[schema]]\nproject = 'acme'\nkind = 'crash_metadata'\npath = 'x.json'\n",
               r":9: .*schema"),
    "syntax": ("[[token]\n", r":1: "),
    "unknown key": (TOML_LINES.replace("source_prefix", "sauce_prefix"), r":5: .*sauce_prefix"),
    "unknown top key": ("tokens = []\n", r":1: .*tokens"),
    "unknown rate": (TOML_LINES + "crashes_per_hour = 1\n", r":9: .*crashes_per_hour"),
    "no tokens": ("[rate_limit]\n", r"no tokens"),
    "duplicate id": (tokens_toml((ACME, ACME), None), r":8: .*acme-prod"),
    "bad hash": (TOML_LINES.replace("$argon2id", "$bcrypt"), r":3: .*secret"),
    "plain secret": (TOML_LINES.replace(ACME.phc, "acme-secret"), r":3: .*secret"),
    "wrong type": (TOML_LINES.replace('"acme/"', "7"), r":5: .*source_prefix"),
    "missing project": (TOML_LINES.replace('project = "acme"\n', ""), r":1: .*project"),
    "bad project": (TOML_LINES.replace('project = "acme"', 'project = "a/b"'), r":4: .*project"),
    "negative rate": (TOML_LINES.replace("burst = 5", "burst = -5"), r":8: .*crashes_burst"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_token_file_is_refused_at_start(tmp_path, case):
    text, reason = REFUSED[case]
    daemon = Daemon(tmp_path)
    daemon.write_tokens(text)
    said = daemon.refuses_to_start()
    if case == "schema":
        assert "schemas are not supported yet" in said
    assert re.search(re.escape(str(daemon.tokens_file)) + (r".*" if reason == "no tokens" else "") + reason, said), said
    assert ACME.phc[40:] not in said


def test_a_bad_yaml_token_file_is_refused_at_start(tmp_path):
    path = tmp_path / "tokens.yaml"
    path.write_text(YAML.replace("url_key: false", "url_key: perhaps"))
    assert f"{path}:6: " in Daemon(tmp_path, tokens_file=path).refuses_to_start()


def test_a_token_file_for_everybody_is_a_warning(start_daemon, tmp_path):
    path = tmp_path / "tokens.toml"
    path.write_text(tokens_toml((ACME,), None))
    path.chmod(0o644)
    daemon = start_daemon(tokens_file=path)
    assert daemon.log.wait(r"WARN.*token file")


@both
def test_secrets_are_not_logged(start_daemon, http):
    daemon = start_daemon()
    attempt(daemon, ACME, http)
    attempt(daemon, stranger("hush-hush"), http)
    assert "hush" not in daemon.log.text() and ACME.secret not in daemon.log.text()


# -- the command line


def test_hash_token(start_daemon):
    first, second = hash_token("correct horse"), hash_token("correct horse")
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$") and first != second
    daemon = start_daemon(tokens=(Token("correct horse", "a", first, "acme", "acme/"),))
    assert attempt(daemon, stranger("correct horse")) == 404
    assert attempt(daemon, stranger("correct hors")) == 401


@pytest.mark.parametrize("stdin", ["", "\n"])
def test_hash_token_of_nothing_is_an_error(stdin):
    done = run("hash-token", stdin=stdin)
    assert done.returncode != 0 and done.stdout == "" and done.stderr


def test_hash_token_takes_one_line():
    done = run("hash-token", stdin="no end of line")
    assert done.returncode == 0 and done.stdout.startswith("$argon2id$") and done.stdout.count("\n") == 1


def test_version():
    done = run("--version")
    assert done.returncode == 0 and "0.1.0" in done.stdout


@pytest.mark.parametrize("arguments", [["--nope"], ["--bind"], ["--bind", "nonsense", "--tokens-config", "x"],
                                       ["--logs-ttl-days", "-1", "--tokens-config", "x"], ["surplus"], []])
def test_bad_command_lines(arguments, tmp_path):
    done = run(*arguments, "--data-dir", str(tmp_path / "data")) if arguments != ["--bind"] else run(*arguments)
    assert done.returncode not in (0, -6, -11) and done.stderr
    assert not (tmp_path / "data").exists()


def test_flags_alone_will_do(tmp_path, source):
    """The reference's command line."""
    daemon = Daemon(tmp_path)
    daemon._arguments = ["--bind", "127.0.0.1:0", "--data-dir", str(daemon.data_dir), "--tokens-config",
                         str(daemon.tokens_file), "--log-format", "json", "--max-dump-bytes", "100",
                         "--logs-ttl-days", "14", "--crashes-ttl-days", "90", "--janitor-interval-secs", "3600"]
    daemon.start()
    try:
        crash.report(daemon, "1.1", ACME, source, dump=b"x" * 100)
        upload(daemon, "1.1", ACME, metadata_part(source), dump_part(b"x" * 101)).refused(413)
        assert daemon.log.text().startswith("{")
        daemon.nothing_left()
    except BaseException:
        daemon.kill()
        raise
    daemon.stop()


def test_a_flag_wins_over_the_file(start_daemon, source):
    daemon = start_daemon({"crashes": {"max_part_bytes": 10}}, flags=["--max-dump-bytes", "100"])
    crash.report(daemon, "1.1", ACME, source, dump=b"x" * 100)


@pytest.mark.parametrize("change, reason", [
    ({"surprise": 1}, "surprise"), ({"logs": {"ttl_dayz": 1}}, "ttl_dayz"), ({"limits": {"http2_streams": "many"}},
                                                                           "http2_streams"),
    ({"durability": "maybe"}, "durability"), ({"bind": "127.0.0.1"}, "bind"), ({"crashes": []}, "crashes"),
])
def test_a_bad_configuration_is_refused_at_start(tmp_path, change, reason):
    said = Daemon(tmp_path, change).refuses_to_start(1, 2)
    assert reason in said and str(tmp_path / "detritusd.yaml") + ":" in said


def test_a_data_directory_has_one_daemon(start_daemon):
    first = start_daemon()
    second = Daemon(first.directory / "second", {"data_dir": str(first.data_dir)})
    said = second.refuses_to_start()
    assert "lock" in said or "in use" in said
    assert attempt(first, ACME) == 404


def test_a_port_that_is_taken(start_daemon, tmp_path):
    first = start_daemon()
    second = Daemon(tmp_path / "second", {"bind": "%s:%d" % first.address})
    assert "%s:%d" % first.address in second.refuses_to_start()
