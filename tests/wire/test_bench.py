"""tools/bench at its smallest: it measures, says what it saw, and calls a rate void whose records are not all on disk
once. How fast anything is does not matter here."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

from harness import children
from harness.daemon import DETRITUSCTL, DETRITUSD, REPO

sys.path.insert(0, str(REPO / "tests/bench"))
from suite import machine, measure, report, rivals, runner, scaling, scenarios  # noqa: E402

LOAD = os.environ.get("DETRITUS_LOAD", str(REPO / "build/tools/load/detritus-load"))
FLOOR = os.environ.get("DETRITUS_FLOOR", str(REPO / "build/tests/floor"))
SMALL = ["--rounds", "1", "--seconds", "1", "--stored", "40", "--expired", "60"]
OTHERS = "nghttpd,fluent-bit,collector,collector-queue,victoria-logs,reference,openssl"

# In place of the daemon: runs it, and when it has stopped in order, does something to what it left.
VANDAL = """#!/usr/bin/python3
import pathlib, re, signal, subprocess, sys
daemon = subprocess.Popen(["{daemon}", *sys.argv[1:]])
signal.signal(signal.SIGTERM, lambda *_: daemon.terminate())
status = daemon.wait()
config = pathlib.Path(sys.argv[sys.argv.index("--config") + 1]).read_text()
data = pathlib.Path(re.search("^data_dir: (.*)$", config, re.MULTILINE)[1])
for log in data.glob("logs/*/*/*.ndjson"):
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes({lines})
    break
for dump in data.glob("crashes/by-hash/*/*.bin"):
    {dump}
    if dump.exists() and dump.stat().st_size > 32:
        break
sys.exit(status)
"""


@pytest.fixture
def build(tmp_path):
    """A build directory as tools/bench wants it. daemon: what is started as detritusd."""
    def make(daemon=DETRITUSD):
        for path, target in {"src/detritusd/detritusd": daemon, "src/detritusctl/detritusctl": DETRITUSCTL, "tools/load/detritus-load": LOAD,
                             "tests/floor": FLOOR}.items():
            (tmp_path / "build" / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / "build" / path).symlink_to(target)
        return tmp_path / "build"
    return make


def bench(tmp_path, build, *arguments):
    """Exit status, what it printed, and what it wrote as JSON."""
    out = tmp_path / "bench.json"
    data = tmp_path / "data"
    data.mkdir()
    done = children.run([REPO / "tools/bench", "--build", build, "--data", data, "--json", out, *SMALL, *arguments],
                        capture_output=True, text=True)
    assert done.returncode in (0, 1), done
    assert list(data.iterdir()) == []
    return done.returncode, done.stdout, json.loads(out.read_text())


def test_everything_is_measured_and_counted(tmp_path, build):
    status, text, said = bench(tmp_path, build(), "--only", "P1,P6,P8,P9", "--without", OTHERS)
    assert (status, said["skipped"]["nghttpd"]) == (0, "left out"), text
    assert set(said["samples"]) == {"P1/detritus", "P1/floor", "P1/detritus, h2load", "P1/floor, h2load",
                                    "P6/detritus", "P6/floor", "P8/without", "P8/beside", "P9/stored", "P9/empty"}
    for name, [sample] in said["samples"].items():
        assert sample["void"] == "" and sample["rate"] > 0 and sample.get("ok", 1) > 0, (name, sample)
        assert 0 <= sample["others_cpu_percent"] <= 100
    [exports] = said["samples"]["P1/detritus"]
    assert 0 <= exports["unwritten"] < 0.01 and exports["whole_rate"] > 0 and exports["bytes_per_record"] > 400
    [stored] = said["samples"]["P9/stored"]
    assert stored["stored"] == 40 and stored["list_ms"] > 0 and stored["start_ms"] > 0
    assert {bar["what"]: bar["figure"] is not None for bar in said["bars"]["P1"]} == {
        "of the floor": True, "of the floor, both by h2load": True, "of Fluent Bit": False,
        "of the Collector that syncs": False, "of VictoriaLogs, both by h2load": False}
    assert said["bars"]["P1"][2]["verdict"] == "no figure" and "-> NO FIGURE" in text
    assert "nghttpd: skipped, left out" in text and "floor: the durable floor" in text


@pytest.mark.parametrize("lines, only, reason", [
    ("b''.join(lines[:-1])", "P2", "records are not on disk, 0 are not wanted"),
    ("b''.join(lines + lines[-1:])", "P2", "0 of"),
    ("b''.join(lines[1:] + lines[-1:])", "P2", "are not on disk, 1 are not wanted"),
    ("b''.join(lines[:-1])", "P1", "records on disk"),  # by h2load: counted alone
], ids=["lost", "twice", "one for another", "h2load"])
def test_a_rate_is_void_when_a_record_is_not_there_once(tmp_path, build, lines, only, reason):
    vandal = tmp_path / "vandal"
    vandal.write_text(VANDAL.format(daemon=DETRITUSD, lines=lines, dump="break"))
    vandal.chmod(0o755)
    status, text, said = bench(tmp_path, build(vandal), "--only", only, "--without", OTHERS)
    # By h2load, records can only be counted.
    ours = [name for name in said["samples"] if "detritus" in name and ("h2load" in name) == (only == "P1")]
    assert status == 1 and all(said["samples"][name][0]["void"] for name in ours)
    assert any(reason in said["samples"][name][0]["void"] for name in ours), said["samples"]
    assert all(said["medians"][name]["rate"] is None for name in ours)
    assert {bar["verdict"] for bar in said["bars"][only]} == {"no figure"} and "void: " in text
    assert said["samples"][only + "/floor"][0]["void"] == ""


@pytest.mark.parametrize("dump, reason", [("dump.unlink()", "dumps on disk"),
                                          ("dump.write_bytes(b'x' * dump.stat().st_size)", "not what their name says")],
                         ids=["lost", "damaged"])
def test_a_rate_is_void_when_a_dump_is_not_there(tmp_path, build, dump, reason):
    vandal = tmp_path / "vandal"
    vandal.write_text(VANDAL.format(daemon=DETRITUSD, lines="b''", dump=dump))
    vandal.chmod(0o755)
    status, _, said = bench(tmp_path, build(vandal), "--only", "P6", "--without", OTHERS)
    assert status == 1 and reason in said["samples"]["P6/detritus"][0]["void"]


def test_a_daemon_that_does_not_start_is_said(tmp_path, build):
    status, text, said = bench(tmp_path, build("/bin/false"), "--only", "P2", "--without", OTHERS)
    assert status == 1 and "ended while it was waited for" in said["samples"]["P2/detritus"][0]["void"]
    assert said["samples"]["P2/floor"][0]["rate"] > 0 and "void: detritusd ended" in text


def a_sample(rate, void="", **more):
    return {"rate": rate, "unit": "req/s", "void": void, **more}


def test_a_ratio_is_taken_within_each_round():
    ours, theirs = [a_sample(10), a_sample(100), a_sample(5)], [a_sample(20), a_sample(200), a_sample(50, "lost")]
    assert runner.ratio(ours, theirs) == 0.5
    assert runner.ratio([a_sample(1, "lost")], [a_sample(1)]) is None


@pytest.mark.parametrize("ours, bar, verdict", [
    (95, {"bar": 0.7, "beyond": 0.9}, "beyond"), (70, {"bar": 0.7, "beyond": 0.9}, "met"),
    (69, {"bar": 0.7, "beyond": 0.9}, "missed"), (40, {"beyond": 0.5}, "shown"),
    (100, {"bar": 1.2, "less_is_better": True}, "met"), (121, {"bar": 1.2, "less_is_better": True}, "missed"),
])
def test_a_bar_is_judged(ours, bar, verdict):
    samples = {"ours": [a_sample(ours)], "theirs": [a_sample(100)]}
    judged = runner.judge(scenarios.Bar("", ("ours", "rate"), ("theirs", "rate"), **bar), samples)
    assert (judged["verdict"], judged["figure"]) == (verdict, ours / 100)


@pytest.mark.parametrize("noise, verdict", [([10, 99, 3], "met"), ([11, 11, 3], "withheld")])
def test_no_verdict_is_given_on_a_busy_machine(noise, verdict):
    """Where half of the rounds were disturbed, of either end."""
    quiet = [a_sample(100, others_cpu_percent=0)] * 3
    noisy = [a_sample(100, others_cpu_percent=percent) for percent in noise]
    for samples in ({"ours": noisy, "theirs": quiet}, {"ours": quiet, "theirs": noisy}):
        judged = runner.judge(scenarios.Bar("of it", ("ours", "rate"), ("theirs", "rate"), 1.0), samples)
        assert (judged["figure"], judged["verdict"]) == (1, verdict)
        assert ("others used 11 % of the CPU" in report.bar_line(judged)) == (verdict == "withheld")


def test_what_others_use_of_the_cpu_is_told_from_what_we_use():
    """A child that still runs is another's as far as can be told; one that ended is ours."""
    busy = machine.Busy()
    spin = "import time\nwhile time.process_time() < 1: pass\nprint(flush=True)\ninput()"
    spinner = children.start([sys.executable, "-c", spin], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert spinner.stdout.readline() == b"\n"
    took, own, *_ = (now - then for now, then in zip(busy._now()[:2], busy.before[:2]))
    assert took > 0.9 and own < 0.5 and busy.report()["others_cpu_percent"] > 0
    spinner.communicate(b"\n")
    assert busy._now()[1] - busy.before[1] > 0.99


def test_records_that_stay_in_memory_are_seen():
    """An answer that is ahead of the disk: what was not there when the load ended, and the rate until it was."""
    said = {"ok": 50, "numbered": True, "requests_per_sec": 25, "log_bytes": 600, "whole_secs": 4}
    assert measure.Bench.written(said, 2, 1000) == {
        "disk_mb_per_sec": 0.0005, "bytes_per_record": 10, "unwritten": 0.4, "whole_rate": 25}
    assert "whole_rate" not in measure.Bench.written({**said, "numbered": False}, 2, 1000)


@pytest.mark.parametrize("lines, wrong", [
    ("0 1 2", ""), ("0 1", "1 of 3 records are not on disk, 0 are not wanted"),
    ("0 1 1", "1 of 3 records are not on disk, 1 are not wanted"), ("0 1 2 3", "0 of 3 records are not on disk, 1 are"),
])
def test_records_of_fluent_bit_are_compared(tmp_path, lines, wrong):
    bit = rivals.FluentBit(None, "", tmp_path)
    bit.logs = tmp_path / "logs"
    bit.logs.mkdir()
    (bit.logs / "logs").write_text("".join(
        f'v1_logs: [1795000000.000000000, {{"log":"request finished, cart {int(number):012}"}}]\n' for number in lines.split()))
    assert bit.wrong_logs({"ok": 3}, 1).startswith(wrong) and bool(bit.wrong_logs({"ok": 3}, 1)) == bool(wrong)
    assert bit.numbers() == set(map(int, lines.split()))


def test_one_of_two_bars_may_be_enough():
    samples = {"ours": [a_sample(50)], "weak": [a_sample(10)], "strong": [a_sample(100)]}
    bars = [scenarios.Bar(name, ("ours", "rate"), (name, "rate"), 1.0, either="x") for name in ("weak", "strong")]
    assert [judged["verdict"] for judged in runner.judge_all(bars, samples)] == ["met", "not needed"]
    assert [judged["verdict"] for judged in runner.judge_all(bars[1:], samples)] == ["missed"]
    samples["weak"] = [a_sample(10, others_cpu_percent=50)]  # the machine was busy: it might have been enough
    assert [judged["verdict"] for judged in runner.judge_all(bars, samples)] == ["withheld", "withheld"]


def test_every_bar_and_row_is_a_measurement():
    known = set(scenarios.measurements(1, 1)) | set(scenarios.LABELS)
    for scenario in scenarios.SCENARIOS.values():
        named = {*scenario.rows, *scenario.against, *filter(None, scenario.against.values())}
        named |= {end[0] for bar in scenario.bars for end in (bar.of, bar.to) if end}
        assert named <= known
    assert all(len(table.points) > 3 for table in scaling.tables().values())
