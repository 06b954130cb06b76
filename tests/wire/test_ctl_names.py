"""What people type for names: what does not exist is said, with what is nearest; what a table shows can be pasted."""

import json

import pytest

from harness import crash, ctl, grpc, otlp
from harness.daemon import ACME

pytestmark = pytest.mark.ours

INSTALL = "8f14e45f-ceea-4e6a-9f2b-0000000000a1"
OTHER_INSTALL = "8f14e45f-ceea-4e6a-9f2b-0000000000b2"


@pytest.fixture
def stocked(start_daemon):
    daemon = start_daemon()
    for install in (INSTALL, OTHER_INSTALL):
        source = crash.Source(ACME.project, install)
        crash.report(daemon, "1.1", ACME, source, install.encode())
        grpc.export(daemon, otlp.export_lines(source, 2), ACME).accepted()
    return daemon


@pytest.mark.parametrize("command", [("crashes", "list"), ("logs", "cat"), ("logs", "grep", "x"), ("logs", "tail"), ("sources",)])
def test_a_project_that_is_not_there(stocked, command):
    done = ctl.run(stocked.data_dir, *command, "--project", "acmee", status=1)
    assert 'no project "acmee"' in done.stderr and "the nearest is acme" in done.stderr and not done.stdout
    done = ctl.run(stocked.data_dir, *command, "--project", "somethingelse", "--json", status=1)
    assert 'no project "somethingelse"' in done.stderr and "nearest" not in done.stderr and not done.stdout


@pytest.mark.parametrize("command", [("crashes", "list"), ("logs", "cat")])
def test_an_installation_that_is_not_there(stocked, command):
    done = ctl.run(stocked.data_dir, *command, "--install", INSTALL.replace("a1", "c1"), status=1)
    assert "there is no installation" in done.stderr and INSTALL in done.stderr
    done = ctl.run(stocked.data_dir, *command, "--install", "8f14e45f", status=1)
    assert f"acme/{INSTALL}" in done.stderr and f"acme/{OTHER_INSTALL}" in done.stderr


@pytest.mark.parametrize("typed", [INSTALL, INSTALL.upper(), INSTALL[:-1], "acme/" + INSTALL, "acme/" + INSTALL[:-1].upper()])
@pytest.mark.parametrize("command, count", [(("crashes", "list"), 1), (("logs", "cat"), 2)])
def test_what_is_shown_can_be_pasted(stocked, command, count, typed):
    found = ctl.objects(stocked.data_dir, *command, "--install", typed)
    assert [row["install_id"] for row in found] == [INSTALL] * count


def test_sources_and_crashes_can_be_pasted(stocked):
    for typed in (INSTALL.upper(), INSTALL[:-1], "acme/" + INSTALL):
        [found] = ctl.objects(stocked.data_dir, "sources", "show", typed)
        assert found["install_id"] == INSTALL
    [row] = ctl.objects(stocked.data_dir, "crashes", "list", "--install", INSTALL)
    [shown] = ctl.objects(stocked.data_dir, "crashes", "show", row["dump_sha256"][:12].upper())
    assert shown["id"] == row["id"]


def test_two_projects_in_one_command(stocked):
    done = ctl.run(stocked.data_dir, "crashes", "list", "--project", "other", "--install", "acme/" + INSTALL, status=2)
    assert "another project" in done.stderr


@pytest.mark.parametrize("option, typed, nearest", [("--version", "1.4.3", "1.4.2"), ("--platform", "linx", "linux"),
                                                    ("--version", "9", None), ("--version", "1.*", None)])
def test_a_value_that_no_crash_has(stocked, option, typed, nearest):
    done = ctl.run(stocked.data_dir, "crashes", "list", option, typed, "--json", status=1)
    assert f'"{typed}"' in done.stderr and not done.stdout
    assert nearest is None or f"the nearest is {nearest}" in done.stderr


def test_names_that_exist_and_do_not_meet(stocked):
    for command in (("crashes", "list", "--until", "2020-01-01", "--json"), ("logs", "cat", "--since", "2100-01-01"),
                    ("crashes", "list", "--kind", "RustcIce")):
        done = ctl.run(stocked.data_dir, *command, "--project", "acme")
        assert not done.stderr


def test_purge_refuses_what_is_not_there(stocked):
    for what in (("--project", "acmee"), ("--project", "acme", "--install", "nobody")):
        for how in ("--yes", "--dry-run"):
            done = ctl.run(stocked.data_dir, "purge", *what, how, status=1)
            assert "there is no" in done.stderr and not done.stdout
    assert len(ctl.objects(stocked.data_dir, "crashes", "list")) == 2
    receipt = json.loads(ctl.run(stocked.data_dir, "purge", "--project", "acme", "--install", INSTALL.upper(), "--yes",
                                 "--json").stdout)
    assert receipt["install_id"] == INSTALL and receipt["crashes"] == 1


def test_a_directory_without_data(tmp_path):
    assert "logs" in ctl.run(tmp_path, "logs", "cat", status=1).stderr
    assert "holds no data yet" in ctl.run(tmp_path, "logs", "cat", "--project", "acme", status=1).stderr
    assert "detritus.db" in ctl.run(tmp_path, "crashes", "list", status=1).stderr


def test_a_list_for_scripts_is_whole(stocked, source):
    for n in range(60):
        crash.report(stocked, "1.1", ACME, source, b"MDMP %d" % n)
    done = ctl.run(stocked.data_dir, "crashes", "list", "--json")
    assert len(done.stdout.splitlines()) == 50 and "there is more" in done.stderr
    assert len(ctl.objects(stocked.data_dir, "crashes", "list", "--limit", "0")) == 62
    assert "--limit 0 --json | jq .id" in ctl.call("crashes", "delete", "--help").stdout
