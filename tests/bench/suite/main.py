"""tools/bench: the command line, and the order of things."""

import argparse
import json
import pathlib
import re
import sys
import tempfile
import time

from . import machine, report, rivals, runner, scaling, scenarios, servers
from .measure import Bench
from .process import BenchError
from .tools import Tools

REPO = pathlib.Path(__file__).resolve().parents[3]
SCALING = "scaling"
MODES = {"quick": {"rounds": 2, "seconds": 1, "stored": 20000, "expired": 20000},
         "full": {"rounds": 5, "seconds": 5, "stored": 1000000, "expired": 100000}}
SCALING_ROUNDS = 3

DESCRIPTION = """Measures the scenarios P1 to P12 beside their rivals and prints one table. Wants a release build
(build-release, made when missing), nghttpd and h2load. Rivals are taken from PATH or from their options, and skipped by
name when they are not there; tests/bench/README.md tells how to get them. It is a benchmark and no test: a bar that is
missed does not fail it. Exit status 1: some rate was void; 2: nothing could be measured."""


def arguments(words):
    parser = argparse.ArgumentParser(prog="bench", description=DESCRIPTION)
    parser.add_argument("--quick", action="store_true", help="2 short rounds and fewer stored crashes: about 8 minutes")
    parser.add_argument("--only", metavar="P1,P6,...", help=f"these scenarios; {SCALING}: the tables of growth,"
                        " which a full run has besides")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write everything measured there")
    parser.add_argument("--build", type=pathlib.Path, default=REPO / "build-release", metavar="DIR")
    parser.add_argument("--data", type=pathlib.Path, metavar="DIR",
                        help="where data goes: on the disk that is meant (default: the directory for temporary files)")
    parser.add_argument("--rounds", type=int, metavar="N")
    parser.add_argument("--seconds", type=int, metavar="S", help="of a measurement")
    parser.add_argument("--stored", type=int, metavar="N", help="crashes stored for P9")
    parser.add_argument("--expired", type=int, metavar="N", help="crashes deleted for P8")
    parser.add_argument("--without", default="", metavar="NAME,...", help="rivals to be left out")
    for name in rivals.KNOWN:
        if name != "floor":
            parser.add_argument(f"--{name}", metavar="PATH", dest=name)
    given = parser.parse_args(words)
    for name, value in MODES["quick" if given.quick else "full"].items():
        if getattr(given, name) is None:
            setattr(given, name, value)
    everything = [*scenarios.SCENARIOS] + ([] if given.quick else [SCALING])
    given.chosen = given.only.split(",") if given.only else everything
    unknown = [name for name in given.chosen if name not in (*scenarios.SCENARIOS, SCALING)]
    if unknown:
        parser.error(f"no such scenario: {', '.join(unknown)}")
    if given.rounds < 1 or given.seconds < 1:
        parser.error("--rounds and --seconds must be 1 or more")
    return given


def progress(text):
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
    else:
        print(f"bench: {text}", file=sys.stderr, flush=True)


def names_needed(chosen, measurements, found):
    """What the chosen scenarios need, each once. Samples of "P8" are called "P8/...": the measurement is meant."""
    names = []
    for scenario in chosen.values():
        for bar in scenario.bars:
            names += [bar.of[0]] + ([bar.to[0]] if bar.to else [])
        names += scenario.rows
    names = [name if name in measurements else name.partition("/")[0] for name in names]
    return [name for name in measurements if name in names and runner.usable(name, measurements, found)]


def label_of(measurements):
    def label(name):
        return scenarios.LABELS.get(name) or measurements[name].label
    return label


def measure_scaling(bench, rounds):
    tables = scaling.tables()
    samples = {}
    for title, table in tables.items():
        samples[title] = runner.run(bench, table.points, list(table.points), rounds,
                                    lambda text, title=title: progress(f"{title}, {text}"))
    return tables, samples


def is_void(outcome):
    every = [outcome["samples"], *outcome["scaling"].values()]
    return any(sample and sample["void"] for samples in every for rounds in samples.values() for sample in rounds)


def measure_all(given, top):
    tools = Tools(REPO, given.build)
    left_out = [name for name in given.without.split(",") if name]
    found, skipped = rivals.find(REPO, tools, {name: getattr(given, name, None) for name in rivals.KNOWN})
    for name in left_out:
        if found.pop(name, None) or name in skipped:
            skipped[name] = "left out"
    measurements = scenarios.measurements(given.stored, given.expired)
    chosen = {name: scenario for name, scenario in scenarios.SCENARIOS.items() if name in given.chosen}
    busy, begin = machine.Busy(), time.monotonic()
    with Bench(tools, top, found, given.seconds) as bench:
        outcome = {
            "machine": machine.describe(REPO, top),
            "rounds": given.rounds, "seconds": given.seconds, "stored": given.stored, "expired": given.expired,
            "rivals": {name: {"version": rivals.version_of(name, path), "note": rivals.KNOWN[name][0].note}
                       for name, path in found.items()},
            "skipped": skipped,
            "scaling": {},
        }
        names = names_needed(chosen, measurements, found)
        outcome["samples"] = runner.run(bench, measurements, names, given.rounds, progress)
        tables = {}
        if SCALING in given.chosen:
            tables, outcome["scaling"] = measure_scaling(bench, min(given.rounds, SCALING_ROUNDS))
    outcome["busy"], outcome["took_secs"] = busy.report(), round(time.monotonic() - begin)
    outcome["bars"] = {name: runner.judge_all(scenario.bars, outcome["samples"]) for name, scenario in chosen.items()}
    outcome["medians"] = {name: runner.summary(rounds) for name, rounds in outcome["samples"].items()}
    return outcome, report.text(outcome, chosen, tables, label_of(measurements))


def main(words):
    given = arguments(words)
    servers.raise_descriptor_limit()
    try:
        with tempfile.TemporaryDirectory(prefix="detritus-bench-", dir=given.data) as top:
            outcome, text = measure_all(given, pathlib.Path(top))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    print(text)
    print(f"\ntook {outcome['took_secs']} s")
    if given.json:
        given.json.write_text(json.dumps(outcome, indent=1) + "\n")
    return 1 if is_void(outcome) else 0
