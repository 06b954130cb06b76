"""What detritusctl says of itself, and how it behaves on a terminal: help, man page, completion, colours, times, the pager,
questions."""

import fcntl
import os
import pathlib
import pty
import re
import select
import shlex
import shutil
import signal
import struct
import subprocess
import termios
import time

import pytest

from harness import children, crash, ctl, otlp
from harness.daemon import ACME, DEADLINE_SECS, DETRITUSCTL
from harness.grpc import export

pytestmark = pytest.mark.ours


def call(*arguments, status=0, **environment):
    done = children.run([DETRITUSCTL, *arguments], capture_output=True, text=True,
                        env=dict(os.environ, **environment))
    assert done.returncode == status, done
    return done


def candidates(*words):
    return [line.split("\t")[0] for line in call("__complete", *words).stdout.splitlines()]


def commands(path=()):
    """Every command that is no group, as the completion knows them."""
    for name in candidates(*path, ""):
        if call(*path, name, "--help").stdout.splitlines()[0].endswith(" COMMAND ..."):
            yield from commands((*path, name))
        else:
            yield *path, name


def test_every_command_explains_itself():
    found = list(commands())
    assert len(found) >= 12 and ("crashes", "list") in found and ("status",) in found
    page = call("help", "--man").stdout.replace("\\-", "-")
    for path in found:
        text = call(*path, "--help").stdout
        assert text == call("help", *path).stdout == call(*path, "-h").stdout
        assert "\nExamples:\n" in text and "--help" in text
        assert f'.SS "{" ".join(path)}' in page
    assert call("--help").stdout.startswith("Usage: detritusctl [OPTIONS] COMMAND ...")


def test_every_example_is_a_right_command_line():
    """With --help behind it, a command line is parsed and nothing is done."""
    examples = set()
    for path in [(), *commands()]:
        examples |= {line.strip() for line in call(*path, "--help").stdout.splitlines() if line.startswith("  detritusctl ")}
    assert len(examples) > 15
    for example in examples:
        words = re.split(r" [|<>] ", example)[0].split()[1:]
        if words[:2] == ["help", "crashes"]:
            continue
        assert call(*words, "--help").stdout.startswith("Usage: "), example


DOCS = pathlib.Path(__file__).parents[2] / "docs"


def test_the_documents_know_every_command():
    page, forms = (DOCS / "detritusctl.md").read_text(), (DOCS / "detritusctl-json.md").read_text()
    for path in commands():
        assert re.search(rf"\b{path[-1]}\b", page), path
        if path not in {("completion",), ("help",)}:
            assert re.search(rf"`({' '.join(path)}|{path[-1]})[` ]", forms), path


def test_the_documents_command_lines_are_right():
    """With --help behind it, a command line is parsed and nothing is done."""
    lines = set()
    for document in (*DOCS.glob("*.md"), DOCS.parent / "README.md"):
        lines |= {line.removeprefix("$ ") for line in document.read_text().splitlines()
                  if line.startswith(("detritusctl ", "$ detritusctl "))}
        lines |= set(re.findall(r"^\| `(detritusctl .*?)` \|", document.read_text(), re.M))
    assert len(lines) > 30
    for line in lines:
        words = shlex.split(re.split(r" (?:[|<>]|>>|#) ", line)[0].split("; do ")[0])[1:]
        assert call(*words, "--help").stdout.startswith("Usage: "), line


def test_wrong_command_lines():
    for words, hint in ((["crash"], '"crashes"'), (["crashes", "lst"], '"list"'), (["stats"], '"status"'),
                        (["crashes", "list", "--limt", "3"], "--limit"), (["status", "--wach"], "--watch"),
                        (["crashes", "list", "--limit"], "needs a value"), (["crashes", "show"], "ID|HASH is needed"),
                        (["status", "x"], "too many"), (["--color", "red", "status"], "auto, always, never"),
                        (["token", "add", "--id", "x"], "--project is needed"), (["status", "--json=1"], "takes no value"),
                        (["completion", "bash", "--json"], "no option --json"), (["status", "-q"], "no option -q"),
                        (["crashes", "list", "--limit", "x"], "not a number"), (["status", "--dry-run"], "no option"),
                        (["completion", "tcsh"], "bash, zsh, fish"), (["zzz"], 'no command "zzz"'),
                        (["help", "zzz"], 'no command "zzz"')):
        done = call(*words, status=2)
        assert hint in done.stderr and done.stdout == "", done
        assert "zzz" not in words or "did you mean" not in done.stderr
    for words in ([], ["crashes"]):
        done = call(*words, status=2)
        assert done.stderr.startswith("Usage: ") and done.stdout == ""


def test_options_of_the_program_stand_anywhere(daemon, source):
    crash.report(daemon, "1.1", ACME, source)
    config = daemon.directory / "detritusd.yaml"
    place = ("--data-dir", str(daemon.data_dir))
    expected = call(*place, "crashes", "list", "--json").stdout
    assert source.install_id in expected
    assert call("crashes", *place, "--json", "list").stdout == call("crashes", "list", *place, "--json").stdout == expected
    assert call("crashes", "list", "--json", "--config", str(config)).stdout == expected
    assert call("crashes", "list", "--json", DETRITUS_CONFIG=str(config)).stdout == expected
    assert call("crashes", "list", "--json", DETRITUS_DATA_DIR=str(daemon.data_dir)).stdout == expected
    # The command line counts more than the environment.
    nowhere = {"DETRITUS_DATA_DIR": "/nonexistent", "DETRITUS_CONFIG": "/nonexistent"}
    assert call("crashes", "list", "--json", "--config", str(config), **nowhere).stdout == expected
    assert call("crashes", "list", "--json", *place, **nowhere).stdout == expected
    assert "/nonexistent" in call("crashes", "list", "--config", "/nonexistent", status=1).stderr


def test_a_newcomer_is_told_where_the_data_may_be(tmp_path):
    for words in (("status",), ("crashes", "list"), ("logs", "cat")):
        done = children.run([DETRITUSCTL, *words], capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == (4 if words == ("status",) else 1) and "--data-dir DIR, --config FILE" in done.stderr, done
    assert "--config FILE" not in call("--data-dir", str(tmp_path / "data"), "crashes", "list", status=1).stderr


@pytest.mark.skipif(not shutil.which("groff"), reason="no groff")
def test_the_man_page_is_right():
    page = call("help", "--man").stdout
    done = children.run(["groff", "-man", "-Tutf8", "-ww", "-z"], input=page, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert ".SH NAME\ndetritusctl \\- " in page


# ---- completion ----

def test_completion_knows_the_tree():
    assert {"status", "crashes", "token"} <= set(candidates("")) and "__complete" not in candidates("")
    assert {"list", "show", "delete"} <= set(candidates("crashes", ""))
    assert {"--limit", "--json", "--data-dir"} <= set(candidates("crashes", "list", "-"))
    assert "--dry-run" in candidates("gc", "--") and "--dry-run" not in candidates("status", "--")
    assert candidates("--color", "") == candidates("crashes", "list", "--color", "=", "a") == ["auto", "always", "never"]
    assert candidates("--data-dir", "") == [":directory"] and candidates("--config", "/et") == [":file"]
    assert candidates("--data-dir", "x", "crashes", "") == candidates("crashes", "")
    assert candidates("crashes", "list", "--color=al") == ["--color=auto", "--color=always", "--color=never"]
    assert candidates("--config=/et") == [":file"] and candidates("--nonsense=") == candidates("--json=") == []
    assert candidates("completion", "") == ["bash", "zsh", "fish"]
    assert candidates("sources", "") == ["show"] and candidates("sql", "") == []
    assert candidates("nothing", "") == []


def path_with_us():
    return {**os.environ, "PATH": os.path.dirname(os.path.abspath(DETRITUSCTL)) + ":" + os.environ["PATH"]}


def test_bash_completes(tmp_path):
    (tmp_path / "one file").touch()
    script = ("source <(detritusctl completion bash)\n"
              "try() { COMP_WORDS=(detritusctl \"$@\"); COMP_CWORD=$#; _detritusctl 2>/dev/null; printf '%s|' \"${COMPREPLY[@]}\"; echo; }\n"
              "try sta\ntry crashes l\ntry --color = al\ntry --config one\ntry crashes list --lim\n")
    done = children.run(["bash", "-c", script], capture_output=True, text=True, env=path_with_us(), cwd=tmp_path)
    assert done.stdout.splitlines() == ["status|", "list|", "always|", "one file|", "--limit|"], done


@pytest.mark.skipif(not shutil.which("fish"), reason="no fish")
def test_fish_completes(tmp_path):
    script = "detritusctl completion fish | source\ncomplete -C 'detritusctl crashes li'\ncomplete -C 'detritusctl --color al'\n"
    script += "complete -C 'detritusctl --color=al'\n"
    done = children.run(["fish", "--no-config", "-c", script], capture_output=True, text=True,
                        env={**path_with_us(), "HOME": str(tmp_path)})
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == ["list", "always", "--color=always"], done


@pytest.mark.skipif(not shutil.which("zsh"), reason="no zsh")
def test_zsh_completes(tmp_path):
    script = ("_describe() { print -l ${(P)4} }\ncompdef() { : }\n_files() { print files $1 }\ncompset() { : }\n"
              "source <(detritusctl completion zsh)\n"
              "words=(detritusctl crashes l) CURRENT=3; _detritusctl\n"
              "words=(detritusctl --data-dir x) CURRENT=3; _detritusctl\n")
    done = children.run(["zsh", "-f", "-c", script], capture_output=True, text=True, env=path_with_us(), cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert any(line.startswith("list:") for line in lines) and lines[-1] == "files -/", done


# ---- on a terminal ----

def on_terminal(*arguments, typed=b"", wait_for=None, columns=None, **environment):
    """What a person sees, and the exit status."""
    pid, terminal = pty.fork()
    if pid == 0:
        if columns:
            fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
        wanted = {"TERM": "xterm", "PAGER": "cat", "NO_COLOR": None, "DETRITUS_PAGER": None, **environment}
        for name in wanted:
            os.environ.pop(name, None)
        os.environ.update({name: value for name, value in wanted.items() if value is not None})
        os.execv(DETRITUSCTL, [DETRITUSCTL, *map(str, arguments)])
    seen = b""
    while True:
        if not select.select([terminal], [], [], DEADLINE_SECS)[0]:
            os.kill(pid, signal.SIGKILL)
            pytest.fail(f"waited in vain after {seen}")
        try:
            data = os.read(terminal, 65536)
        except OSError:  # its end
            break
        if not data:
            break
        seen += data
        if wait_for and wait_for in seen:
            os.write(terminal, typed)
            wait_for = None
    os.close(terminal)
    return seen.decode().replace("\r\n", "\n"), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def listed(daemon, *more):
    return ("--data-dir", daemon.data_dir, *more, "crashes", "list")


def test_a_terminal_gets_colours_and_relative_times(daemon, source):
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 2.1 * 3600))
    crash.report(daemon, "1.1", ACME, source, timestamp=now, panic_text="boom \x1b[31m")
    text, status = on_terminal(*listed(daemon))
    assert status == 0 and "\x1b[1m" in text and "2 h ago" in text and "\x1b[31m" not in text
    for plain in (on_terminal(*listed(daemon), NO_COLOR="1"), on_terminal(*listed(daemon, "--color", "never")),
                  on_terminal(*listed(daemon), TERM="dumb")):
        assert "\x1b" not in plain[0] and "2 h ago" in plain[0]
    piped = ctl.run(daemon.data_dir, "crashes", "list").stdout
    assert "\x1b" not in piped and now in piped and "ago" not in piped
    assert "\x1b[1m" in ctl.run(daemon.data_dir, "crashes", "list", "--color", "always").stdout
    assert "takes" in on_terminal("--data-dir", daemon.data_dir, "status")[0]


def test_a_pager_gets_what_is_long(daemon, source):
    crash.report(daemon, "1.1", ACME, source)
    for environment in ({"DETRITUS_PAGER": "sed s/^/paged:/"}, {"PAGER": "sed s/^/paged:/"}):
        text, status = on_terminal(*listed(daemon), **environment)
        assert status == 0 and all(line.startswith("paged:") for line in text.splitlines()), text
    assert "paged:" not in on_terminal(*listed(daemon, "--no-pager"), PAGER="sed s/^/paged:/")[0]
    assert "paged:" not in on_terminal(*listed(daemon), DETRITUS_PAGER="", PAGER="sed s/^/paged:/")[0]
    assert "paged:" not in call(*map(str, listed(daemon)), PAGER="sed s/^/paged:/").stdout
    # A reader that leaves early is no accident; one that is not there is.
    assert on_terminal(*listed(daemon), PAGER="true")[1] == 0
    text, status = on_terminal(*listed(daemon), PAGER="no-such-pager")
    assert status == 1 and "not found" in text


def test_without_less_it_is_not_paged(daemon, source, tmp_path):
    crash.report(daemon, "1.1", ACME, source)
    for name in ("sh", "cat"):
        (tmp_path / name).symlink_to(shutil.which(name))
    text, status = on_terminal(*listed(daemon), PAGER=None, PATH=str(tmp_path))
    assert status == 0 and source.install_id in text


@pytest.fixture
def long_lists(daemon, source):
    """Commands that print more than a pipe holds."""
    export(daemon, otlp.export_lines(source, 900, body="x" * 1000), ACME).accepted()
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 99999) SELECT i FROM n"
    return [("--data-dir", daemon.data_dir, *words) for words in
            (("logs", "cat"), ("logs", "cat", "--json"), ("logs", "grep", "x"), ("logs", "tail", "-n", "900"), ("sql", many),
             ("sql", "--json", many))]


def test_a_reader_who_has_enough(long_lists):
    for command in long_lists:
        if "cat" in command or "grep" in command:
            text, status = on_terminal(*command, PAGER="head -n 1")
            assert status == 0 and len(text.splitlines()) == 1, text
        process = children.start([DETRITUSCTL, *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b"" and process.wait(DEADLINE_SECS) == -signal.SIGPIPE
        process.stderr.close()


def test_the_pager_is_there_to_the_end(long_lists):
    """An interrupt ends what is written, and not before the pager, which would fight the shell for the terminal."""
    pager = "sh -c 'trap : INT; echo reading; read x < /dev/tty; cat > /dev/null; echo through'"
    text, status = on_terminal(*long_lists[0], PAGER=pager, typed=b"\x03\n", wait_for=b"reading")
    assert "through" in text and status == -signal.SIGINT


def test_following_is_interrupted(daemon, source):
    """Quietly, as every program is."""
    export(daemon, otlp.export_lines(source, 1, body="the first"), ACME).accepted()
    for command, stream in ((("logs", "tail", "-f", "-n", "1"), "stdout"), (("crashes", "follow"), "stderr")):
        process = children.start([DETRITUSCTL, "--data-dir", str(daemon.data_dir), *command], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True)
        assert getattr(process, stream).readline()  # it has begun
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=DEADLINE_SECS) == ("", "") and process.returncode == -signal.SIGINT


def test_what_stands_below_a_list_stands_below_it(daemon, source):
    """Also behind a pager, which prints what it gets when it has all of it."""
    for _ in range(2):
        crash.report(daemon, "1.1", ACME, source, timestamp=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), dump=os.urandom(8))
    text, status = on_terminal("--data-dir", daemon.data_dir, "crashes", "list", "--limit", "1", PAGER="sed s/^/paged:/")
    lines = text.splitlines()
    assert status == 0 and [line.startswith("paged:") for line in lines] == [True, True, False] and "--after" in lines[2], text
    text, status = on_terminal("--data-dir", daemon.data_dir, "crashes", "list", "--project", "nobody", PAGER="sed s/^/paged:/")
    assert status == 1 and 'there is no project "nobody"' in text.splitlines()[-1]
    text, status = on_terminal("--data-dir", daemon.data_dir, "crashes", "list", "--until", "2020-01-01", PAGER="sed s/^/paged:/")
    assert status == 0 and text.splitlines()[-1] == "detritusctl: no crash matches"
    assert ctl.run(daemon.data_dir, "crashes", "list", "--until", "2020-01-01").stderr == ""


@pytest.mark.parametrize("columns", (60, 80, 100, 160))
def test_a_list_fits_its_terminal(daemon, source, columns):
    panic = "thread 'main' panicked at src/render/very/long/path.rs:12:5:\nindex out of bounds: " + "x" * 200
    crash.report(daemon, "1.1", ACME, source, panic_text=panic)
    widths = {}
    for words in (("crashes", "list"), ("sources",), ("top", "--count", "1"), ("crashes", "list", "--help")):
        text, status = on_terminal("--data-dir", daemon.data_dir, "--color", "never", *words, columns=columns)
        lines = [line.replace("\x1b[H\x1b[2J", "") for line in text.splitlines()]
        help_line = "--data-dir --config"  # names and examples are never broken
        widths[words] = max(len(line) for line in lines if help_line not in line and not line.startswith("  detritusctl"))
        assert status == 0 and widths[words] <= columns, text
        if words == ("crashes", "list"):
            assert " src/render/very/lo" in text or columns == 60 and " src/render/" in text
            assert columns == 100 or ("KIND" in text) == (columns == 160), text


def test_a_dumb_terminal_is_not_paged(daemon, source):
    crash.report(daemon, "1.1", ACME, source)
    text, status = on_terminal(*listed(daemon), TERM="dumb", PAGER="sed s/^/paged:/")
    assert status == 0 and source.install_id[:8] in text and "paged:" not in text


def test_it_asks_before_it_destroys(daemon, source):
    crash.report(daemon, "1.1", ACME, source)
    [row] = daemon.crash_rows(source)
    arguments = ("--data-dir", daemon.data_dir, "crashes", "delete", row["id"])
    for typed in (b"n\n", b"\n", b"yesterday\n", b"\x04"):
        text, status = on_terminal(*arguments, typed=typed, wait_for=b"[y/N]")
        assert status == 1 and "delete 1 crash?" in text and "nothing was done" in text
        assert daemon.crash_rows(source) == [row]
    text, status = on_terminal(*arguments, typed=b"y\n", wait_for=b"[y/N]")
    assert status == 0 and daemon.crash_rows(source) == []


def test_a_full_pipe_that_ends(daemon, source):
    """Nothing to write to is said."""
    crash.report(daemon, "1.1", ACME, source)
    with open("/dev/full", "w") as full:
        done = children.run([DETRITUSCTL, *map(str, listed(daemon))], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1 and "standard output" in done.stderr
