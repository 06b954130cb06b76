"""detritusctl token: the token file changed under a running daemon and without one."""

import contextlib
import fcntl
import json
import os
import re
import subprocess
import threading

import pytest

from harness import children
from harness.children import DEADLINE_SECS, joined
from harness.ctl import call as ctl
from harness.daemon import ACME, DETRITUSCTL, OTHER, RATE_UNLIMITED, tokens_toml, wait_until
from harness.stock import Load

pytestmark = pytest.mark.ours

YAML = """# Tokens of acme.
rate_limit:
  logs_burst: 1000000     # large
  logs_per_minute: 1000000
  crashes_per_minute: 1000000
  crashes_burst: 1000000

token:
  # the old one
  - id: acme-prod
    secret: "%s"  # since spring
    project: acme
    source_prefix: acme/

  # others
  - id: other-prod
    secret: '%s'
    project: other
    source_prefix: other/
# the end
""" % (ACME.phc, OTHER.phc)


def token(daemon, *arguments, **options):
    return ctl("token", *arguments, "--tokens-config", daemon.tokens_file, data_dir=daemon.data_dir, **options)


def status_of(daemon, secret):
    """Of a request that needs nothing but a token: 404 when it is good."""
    return daemon.request("1.1", "GET", "/nowhere", [("authorization", "Bearer " + secret)]).status


@pytest.fixture(params=["toml", "yaml"])
def daemon(request, start_daemon, tmp_path):
    """With ACME and OTHER in a token file of the format."""
    path = tmp_path / f"tokens.{request.param}"
    path.write_text(YAML if request.param == "yaml" else
                    "# Tokens of acme.\n" + tokens_toml((ACME, OTHER), RATE_UNLIMITED) + "# the end\n")
    path.chmod(0o640)
    return start_daemon(tokens_file=path)


def last_use(daemon, id):
    [row] = [json.loads(line) for line in token(daemon, "list", "--json").stdout.splitlines()
             if json.loads(line)["id"] == id]
    return row["last_used_at"]


# -- changes


def test_add_rotate_and_revoke_beside_a_daemon(daemon):
    before = daemon.tokens_file.read_text()
    inode, since = daemon.tokens_file.stat().st_ino, daemon.log.mark()

    done = token(daemon, "add", "--id", "fresh", "--project", "acme", "--prefix", "acme/x-", "--url-key")
    first = done.stdout.strip()
    assert re.fullmatch(r"dt_fresh_[A-Za-z0-9_-]{43}", first) and f"has reloaded {daemon.tokens_file}: 3 tokens" in done.stderr
    daemon.log.wait("tokens reloaded", since)
    added = daemon.tokens_file.read_text()
    assert daemon.tokens_file.stat().st_mode & 0o777 == 0o640 and daemon.tokens_file.stat().st_ino != inode
    assert [line for line in before.splitlines() if line not in added.splitlines()] == [] and first not in added
    assert (status_of(daemon, first), status_of(daemon, ACME.secret)) == (404, 404)

    since = daemon.log.mark()
    second = token(daemon, "rotate", "fresh").stdout.strip()
    daemon.log.wait("tokens reloaded", since)
    assert (status_of(daemon, first), status_of(daemon, second)) == (401, 404)
    rotated = daemon.tokens_file.read_text()
    assert [(a, b) for a, b in zip(added.splitlines(), rotated.splitlines()) if a != b and "$argon2id" not in a] == []
    assert len(rotated.splitlines()) == len(added.splitlines())

    since = daemon.log.mark()
    done = token(daemon, "revoke", "fresh", "--yes")
    daemon.log.wait("tokens reloaded", since)
    assert not done.stdout and (status_of(daemon, second), status_of(daemon, ACME.secret)) == (401, 404)
    # All that was there is there, comments too, and nothing else but blank lines.
    assert [line for line in daemon.tokens_file.read_text().splitlines() if line] == \
        [line for line in before.splitlines() if line]


def test_changes_disturb_no_upload(daemon):
    """Uploads with another token go on while entries come and go, and the daemon reads the file again each time."""
    with Load(daemon, OTHER) as load:
        for n in range(5):
            secret, sent = token(daemon, "add", "--id", f"t{n}", "--project", "acme").stdout.strip(), load.sent
            wait_until(lambda: status_of(daemon, secret) == 404, "the new one")
            assert token(daemon, "rotate", f"t{n}").stdout
            wait_until(lambda: status_of(daemon, secret) == 401, "the rotation")
            token(daemon, "revoke", f"t{n}", "--yes")
            assert [json.loads(line)["id"] for line in token(daemon, "list", "--json").stdout.splitlines()] == \
                ["acme-prod", "other-prod"]
            wait_until(lambda: load.sent > sent, "more uploads")


def test_changes_without_a_daemon(daemon):
    daemon.stop()
    secret = token(daemon, "add", "--id", "t", "--project", "acme").stdout.strip()
    assert "t" in [json.loads(line)["id"] for line in token(daemon, "list", "--json").stdout.splitlines()]
    assert "no daemon runs" in token(daemon, "revoke", "acme-prod", "--yes").stderr
    daemon.start()
    assert (status_of(daemon, secret), status_of(daemon, ACME.secret)) == (404, 401)


def test_comments_stay_when_an_old_entry_goes(daemon):
    comments = [line.strip() for line in daemon.tokens_file.read_text().splitlines() if line.strip().startswith("#")]
    token(daemon, "revoke", "acme-prod", "--yes")
    text = daemon.tokens_file.read_text()
    assert [line.strip() for line in text.splitlines() if line.strip().startswith("#")] == comments
    assert ACME.phc not in text and OTHER.phc in text
    assert (status_of(daemon, ACME.secret), status_of(daemon, OTHER.secret)) == (401, 404)


def test_it_is_said_when_the_daemon_does_not_follow(daemon, tmp_path):
    """The file is changed all the same, and the token is printed."""
    elsewhere = tmp_path / ("elsewhere" + daemon.tokens_file.suffix)
    elsewhere.write_bytes(daemon.tokens_file.read_bytes())
    add = ("token", "add", "--project", "acme", "--tokens-config", elsewhere, "--id")
    done = ctl(*add, "a", data_dir=daemon.data_dir, status=1)
    assert f"{elsewhere} was changed, but the daemon uses another token file, {daemon.tokens_file}" in done.stderr
    assert done.stdout.startswith("dt_a_") and "id: a" in elsewhere.read_text().replace(' = "', ": ").replace('"', "")
    daemon.tokens_file.unlink()
    done = ctl("token", "revoke", "acme-prod", "--yes", "--tokens-config", elsewhere, data_dir=daemon.data_dir, status=1)
    assert f"{elsewhere} was changed, but the daemon rejected it and still uses the old tokens: cannot read {daemon.tokens_file}" in done.stderr
    assert status_of(daemon, ACME.secret) == 404
    daemon.tokens_file.symlink_to(elsewhere)
    assert "has reloaded" in ctl(*add, "b", data_dir=daemon.data_dir).stderr
    assert (status_of(daemon, ACME.secret), status_of(daemon, OTHER.secret)) == (401, 404)


def test_what_cannot_be_is_refused_and_leaves_the_file(daemon):
    before, since = daemon.tokens_file.read_bytes(), daemon.log.mark()
    for arguments, says in [(("add", "--id", "acme-prod", "--project", "acme"), "already; detritusctl token rotate"),
                            (("add", "--id", "x\ny", "--project", "acme"), ""),
                            (("add", "--id", "x" * 65, "--project", "acme"), "1 to 64 bytes"),
                            (("add", "--id", "x", "--project", "../acme"), "token.project"),
                            (("rotate", "nobody"), 'no token "nobody"'), (("revoke", "nobody", "--yes"), 'no token "nobody"'),
                            (("revoke", "acme-prod"), "--yes")]:
        done = token(daemon, *arguments, status=1)
        assert says in done.stderr and not done.stdout and ".new" not in done.stderr, done
    token(daemon, "revoke", "other-prod", "--yes", "--no-reload")
    assert "only token" in token(daemon, "revoke", "acme-prod", "--yes", status=1).stderr
    daemon.tokens_file.write_bytes(before)
    assert sorted(os.listdir(daemon.tokens_file.parent)) == sorted([daemon.tokens_file.name, "daemon-0"])
    assert "reload" not in "\n".join(daemon.log.lines[since:])


@pytest.mark.parametrize("text", [
    'token = [{id = "a", secret = "%s", project = "p", source_prefix = "p/"},'
    ' {id = "b", secret = "%s", project = "p", source_prefix = "p/"}]\n' % (ACME.phc, OTHER.phc),
    "token: [{id: a, secret: '%s', project: p, source_prefix: p/},"
    " {id: b, secret: '%s', project: p, source_prefix: p/}]\n" % (ACME.phc, OTHER.phc)], ids=["toml", "yaml"])
def test_a_layout_that_is_not_understood_is_left_alone(tmp_path, text):
    path = tmp_path / ("t.toml" if text.startswith("token =") else "t.yaml")
    path.write_text(text)
    for arguments in (("revoke", "a", "--yes"), ("add", "--id", "c", "--project", "p")):
        assert ctl("token", *arguments, "--tokens-config", path, status=1).stderr
        assert path.read_text() == text and os.listdir(tmp_path) == [path.name]
    # A hash is found wherever it stands.
    assert ctl("token", "rotate", "b", "--tokens-config", path).stdout.startswith("dt_b_")
    assert ACME.phc in path.read_text() and OTHER.phc not in path.read_text()


def test_a_new_file_is_for_its_owner_alone(tmp_path):
    path = tmp_path / "tokens.yaml"
    secret = ctl("token", "add", "--id", "one", "--project", "acme", "--tokens-config", path).stdout
    assert path.stat().st_mode & 0o777 == 0o600
    assert ctl("token", "check", "--tokens-config", path, stdin=secret).stdout.startswith('This is token "one"')
    assert "must end in .toml" in ctl("token", "add", "--id", "one", "--project", "acme", "--tokens-config",
                                  tmp_path / "tokens.conf", status=1).stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a file away")
def test_the_owner_stays(tmp_path):
    path = tmp_path / "tokens.toml"
    path.write_text(tokens_toml((ACME,), None))
    path.chmod(0o600)
    os.chown(path, 4242, 4343)
    ctl("token", "add", "--id", "two", "--project", "acme", "--tokens-config", path)
    status = path.stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (4242, 4343, 0o600)


def test_a_symbolic_link_stays_one(tmp_path):
    (tmp_path / "real").mkdir()
    real, link = tmp_path / "real/tokens.toml", tmp_path / "tokens.toml"
    real.write_text(tokens_toml((ACME,), None))
    link.symlink_to(real)
    ctl("token", "add", "--id", "two", "--project", "acme", "--tokens-config", link)
    assert link.is_symlink() and 'id = "two"' in real.read_text()


def test_many_at_once_lose_nothing(tmp_path):
    path, done = tmp_path / "tokens.yaml", []
    path.write_text(YAML)

    def add(n):
        done.append(ctl("token", "add", "--id", f"t{n}", "--project", "acme", "--tokens-config", path).stdout)

    threads = [threading.Thread(target=add, args=(n,), daemon=True) for n in range(8)]
    for thread in threads:
        thread.start()
    joined(*threads)
    listed = {json.loads(line)["id"] for line in
              ctl("token", "list", "--json", "--tokens-config", path, data_dir=tmp_path).stdout.splitlines()}
    assert listed == {"acme-prod", "other-prod", *(f"t{n}" for n in range(8))} and len(set(done)) == 8
    assert os.listdir(tmp_path) == [path.name]


@contextlib.contextmanager
def locked(directory):
    """The lock of a change, held by somebody else."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def test_two_that_make_the_file_at_once(tmp_path):
    """Both see that there is none, and wait: the second one must not begin anew."""
    path = tmp_path / "tokens.toml"
    with locked(tmp_path):
        adding = [children.start([DETRITUSCTL, "token", "add", "--id", f"t{n}", "--project", "acme", "--tokens-config",
                                  path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for n in range(2)]
        inode = f":{tmp_path.stat().st_ino} "
        wait_until(lambda: sum("->" in line and inode in line for line in open("/proc/locks")) == 2, "both to wait")
    for process in adding:
        assert process.communicate(timeout=DEADLINE_SECS)[0].startswith("dt_t") and process.returncode == 0
    assert {line for line in path.read_text().splitlines() if line.startswith("id")} == {'id = "t0"', 'id = "t1"'}


def test_who_only_reads_waits_for_nobody(tmp_path):
    path = tmp_path / "tokens.toml"
    path.write_text(tokens_toml((ACME,), None))
    with locked(tmp_path):
        assert "acme-prod" in ctl("token", "list", "--tokens-config", path, data_dir=tmp_path).stdout
        assert "acme-prod" in ctl("token", "check", "--tokens-config", path, stdin=ACME.secret).stdout


def test_a_link_to_nothing_is_left_alone(tmp_path):
    link = tmp_path / "tokens.toml"
    link.symlink_to(tmp_path / "nothing.toml")
    assert "No such file" in ctl("token", "add", "--id", "x", "--project", "acme", "--tokens-config", link, status=1).stderr
    assert link.is_symlink() and os.listdir(tmp_path) == [link.name]


@pytest.mark.parametrize("text", [
    YAML.replace("\n", "\r\n"), YAML.rstrip("\n"), "---\n" + YAML + "...\n",
    YAML.replace("  - id", "  -   id").replace("    secret", "      secret").replace("    pro", "      pro")
    .replace("    sou", "      sou"),
    "token: # flow within\n  - {id: acme-prod, secret: '%s', project: acme, source_prefix: acme/} # one line\n"
    "  # between\n  - {\n    id: other-prod,\n    secret: '%s',\n    project: other, source_prefix: other/}\n# the end\n"
    % (ACME.phc, OTHER.phc)], ids=["crlf", "no newline", "markers", "wide", "flow"])
def test_odd_layouts_keep_every_byte(tmp_path, text):
    """add, rotate, revoke: what is left is what was there, to the byte; revoking takes out whole lines of the entry."""
    path = tmp_path / "tokens.yaml"
    path.write_text(text, newline="")
    ctl("token", "add", "--id", "new", "--project", "acme", "--tokens-config", path)
    ctl("token", "rotate", "other-prod", "--tokens-config", path)
    ctl("token", "revoke", "new", "--yes", "--tokens-config", path)
    left = path.read_bytes().decode()
    shape = re.compile(r"\$argon2id[^\"'\s]+")
    assert shape.sub("H", left).rstrip("\r\n") == shape.sub("H", text).rstrip("\r\n")
    ctl("token", "revoke", "acme-prod", "--yes", "--tokens-config", path)
    gone = [line for line in text.split("\n") if line not in path.read_bytes().decode().split("\n")]
    assert gone and not [line for line in gone if line.lstrip().startswith("#") or line.strip() in ("---", "...", "token:")]


# -- which file, which daemon


def test_the_file_is_found(tmp_path):
    path, config = tmp_path / "tokens.toml", tmp_path / "detritusd.yaml"
    path.write_text(tokens_toml((ACME,), None))
    config.write_text(json.dumps({"tokens_config": str(path)}))
    (tmp_path / "empty.yaml").write_text("data_dir: /x\n")
    for arguments, environment in [(("--tokens-config", path), {}), (("--config", config), {}),
                                   ((), {"DETRITUS_TOKENS_CONFIG": str(path)}), ((), {"DETRITUS_CONFIG": str(config)}),
                                   (("--tokens-config", path), {"DETRITUS_TOKENS_CONFIG": "/nowhere.toml"})]:
        done = ctl("token", "list", *arguments, environment=environment, data_dir=tmp_path)
        assert done.stdout.splitlines()[1].split()[:3] == ["acme-prod", "acme", "acme/"]
        assert "not known when tokens were used last" in done.stderr  # there is no database
    assert "name the token file" in ctl("token", "list", status=2).stderr
    assert "does not name a token file" in ctl("token", "list", "--config", tmp_path / "empty.yaml", status=1).stderr
    assert "nowhere.toml" in ctl("token", "list", "--tokens-config", "/nowhere.toml", status=1).stderr


def test_nobody_is_told_who_is_no_daemon(tmp_path):
    """A lock file whose process has ended, and one that somebody else holds."""
    path, data_dir = tmp_path / "tokens.toml", tmp_path / "data"
    path.write_text(tokens_toml((ACME,), None))
    data_dir.mkdir()
    add = ("token", "add", "--project", "acme", "--tokens-config", path, "--id")
    assert "no daemon runs" in ctl(*add, "a", data_dir=data_dir).stderr
    ended = children.start(["true"])
    ended.wait()
    (data_dir / "lock").write_text(f"{ended.pid}\nrunning\n")
    assert "no daemon runs" in ctl(*add, "b", data_dir=data_dir).stderr
    holder = children.start(["flock", str(data_dir / "lock"), "sh", "-c", "echo held; read line"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "held\n"
        (data_dir / "lock").write_text(f"{holder.pid}\nrunning\n")
        assert f"process {holder.pid}" in ctl(*add, "c", data_dir=data_dir, status=1).stderr
        assert holder.poll() is None  # SIGHUP would have ended it
    finally:
        holder.communicate("\n")


# -- last use, check


def test_the_last_use_is_shown_and_survives_a_restart(daemon):
    assert (last_use(daemon, "acme-prod"), last_use(daemon, "other-prod")) == (None, None)
    assert status_of(daemon, "no token of ours") == 401
    assert status_of(daemon, ACME.secret) == 404
    used = wait_until(lambda: last_use(daemon, "acme-prod"), "the last use")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", used)
    assert last_use(daemon, "other-prod") is None
    daemon.kill()
    assert last_use(daemon, "acme-prod") == used
    daemon.start()
    assert last_use(daemon, "acme-prod") == used
    lines = token(daemon, "list").stdout.splitlines()
    assert lines[0].split() == ["ID", "PROJECT", "PREFIX", "URL", "KEY", "LAST", "USED"]
    assert lines[1].split() == ["acme-prod", "acme", "acme/", "no", used[:19] + "Z"]
    assert lines[2].split() == ["other-prod", "other", "other/", "no", "never"]
    # And later uses move it on.
    assert status_of(daemon, ACME.secret) == 404
    wait_until(lambda: last_use(daemon, "acme-prod") > used, "a later use")


def test_check_tells_whose_a_token_is(daemon):
    said = json.loads(token(daemon, "check", "--json", stdin=ACME.secret + "\n").stdout)
    assert (said["id"], said["project"], said["source_prefix"]) == ("acme-prod", "acme", "acme/")
    assert "acme-prod" in token(daemon, "check", stdin=ACME.secret).stdout
    for arguments, status in [(("--project", "acme"), 0), (("--project", "acme", "--install", "x"), 0),
                              (("--project", "other"), 1), (("--project", "other", "--install", "x"), 1)]:
        token(daemon, "check", *arguments, stdin=ACME.secret, status=status)
    assert "not a token of" in token(daemon, "check", stdin="wrong", status=1).stderr
    assert "empty" in token(daemon, "check", stdin="", status=1).stderr
    # One that is cut off would be another token.
    assert "not a token of" in token(daemon, "check", stdin="x" * 4094, status=1).stderr
    assert "too long; the limit is 4094" in token(daemon, "check", stdin="x" * 4095, status=1).stderr
    assert "too long; the limit is 4094" in ctl("token", "hash", stdin="x" * 4095, status=1).stderr
    prefixed = token(daemon, "add", "--id", "narrow", "--project", "acme", "--prefix", "acme/a").stdout
    token(daemon, "check", "--project", "acme", "--install", "abc", stdin=prefixed)
    token(daemon, "check", "--project", "acme", "--install", "cba", stdin=prefixed, status=1)


def test_secrets_as_json(daemon):
    for arguments in (("add", "--id", "fresh", "--project", "acme"), ("rotate", "fresh")):
        said = json.loads(token(daemon, *arguments, "--json").stdout)
        assert said["id"] == "fresh" and list(said) == ["id", "token"]
        assert '"fresh"' in token(daemon, "check", stdin=said["token"]).stdout


def test_hash_is_what_the_file_keeps(daemon):
    phc = ctl("token", "hash", stdin="a secret of mine\n").stdout.strip()
    assert phc.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    daemon.tokens_file.write_text(daemon.tokens_file.read_text().replace(OTHER.phc, phc))
    assert '"other-prod"' in token(daemon, "check", stdin="a secret of mine").stdout


@pytest.mark.parametrize("arguments", [
    (), ("nonsense",), ("add",), ("add", "--id", "x"), ("rotate",), ("revoke", "a", "b"), ("list", "--yes"),
    ("check", "--install", "x"), ("hash", "x"), ("add", "--id", "x", "--project", "y", "z")], ids=" ".join)
def test_a_wrong_command_line(arguments):
    done = ctl("token", *arguments, status=2)
    assert "--help" in done.stderr and not done.stdout


def test_help():
    for command in ("add", "list", "rotate", "revoke", "check", "hash"):
        assert command in ctl("token", "--help").stdout
        assert f"detritusctl token {command}" in ctl("token", command, "--help").stdout


@pytest.mark.parametrize("bad", ["", "a b", "a/b", "a%b", "Zürich", "a:b", "a\tb", "x" * 65])
def test_an_id_that_clients_could_not_send(tmp_path, bad):
    path = tmp_path / "tokens.toml"
    done = ctl("token", "add", "--id", bad, "--project", "acme", "--tokens-config", path, status=1)
    assert "1 to 64 bytes of" in done.stderr and not done.stdout and not path.exists()


@pytest.mark.parametrize("bad, right", [
    ("other/", "acme/"), ("other/x", "acme/x"), ("x-", "acme/x-"), ("acme-", "acme/acme-"), ("acme/.x", None),
    ("acme/a b", None), ("/acme", None)])
def test_a_prefix_that_could_write_nothing(tmp_path, bad, right):
    path = tmp_path / "tokens.toml"
    done = ctl("token", "add", "--id", "x", "--project", "acme", "--prefix", bad, "--tokens-config", path, status=1)
    assert "could write nothing" in done.stderr and not done.stdout and not path.exists()
    assert not right or f'use "{right}"' in done.stderr
