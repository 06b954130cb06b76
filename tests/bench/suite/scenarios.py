"""P1 to P12: what is measured for each, and the bars it has to reach. Measurements are named "P1/detritus"; several
scenarios may use the same one, and each is made once a round."""

import dataclasses

from . import stored, uploads

COMMIT, WRITTEN = {"durability": "commit"}, {"durability": "written"}
P1 = {"connections": 32, "streams": 1}
P2 = {"connections": 16, "streams": 16}
P3 = {"records": 256, "connections": 16, "streams": 4}
P4 = {"records": 8, "connections": 16, "streams": 16}
P5 = {"connections": 32, "new_connection": True}
# The port of a connection that is over can be had again only a while later: so many are to be had at once.
P5_REQUESTS = {"requests": 12000}
P6 = {"connections": 32, "sources": 100, "fill": 1000}
# Fluent Bit resets a connection's second stream, and HTTP/1.1 has none: as many exports at once, on more connections.
P2_ONE_EACH = {"connections": 256, "streams": 1}
P3_ONE_EACH = {"records": 256, "connections": 64, "streams": 1}
DUMP_BYTES = 64 * 1024
LARGE_BYTES = 100 << 20


@dataclasses.dataclass
class Measurement:
    """make(bench) returns a sample, or several by label: "P8" is then "P8/without" and so on. label: what the table
    calls it. rival: without which it cannot be made; "" where it needs none."""

    label: str
    make: object
    rival: str = ""


@dataclasses.dataclass
class Bar:
    """A figure that is to be reached: a value of one measurement, or what it is divided by that of another. of and to
    are (measurement, value). Where bars follow each other with the same name in `either`, one of them is enough."""

    what: str
    of: tuple
    to: tuple = None
    bar: float = None
    beyond: float = None
    less_is_better: bool = False
    unit: str = "×"
    either: str = ""


@dataclasses.dataclass
class Scenario:
    """rows: the measurements that the table shows. The first one's rate is divided by that of each other; against names
    another one for it, or None for no ratio."""

    title: str
    rows: list
    bars: list
    against: dict = dataclasses.field(default_factory=dict)


def _logs(who, label=None, **options):
    return Measurement(label or who, lambda bench: bench.logs(who, **options), "" if who == "detritus" else who)


def _crashes(who, **options):
    return Measurement(who, lambda bench: bench.crashes(who, DUMP_BYTES, **options), "" if who == "detritus" else who)


def measurements(stored_crashes, expired_crashes):
    """All, by name."""
    return {
        "P1/detritus": _logs("detritus", config=COMMIT, **P1),
        "P1/floor": _logs("floor", **P1),
        "P1/fluent-bit": _logs("fluent-bit", **P1),
        "P1/collector": _logs("collector", **P1),
        "P1/collector-queue": _logs("collector-queue", "collector, fsync", **P1),
        "P1/reference": _logs("reference", **P1),
        "P1/nghttpd": _logs("nghttpd", **P1),
        "P1/detritus, h2load": _logs("detritus", "detritus, by h2load", generator="h2load", config=COMMIT, **P1),
        "P1/floor, h2load": _logs("floor", "floor, by h2load", generator="h2load", **P1),
        "P1/victoria-logs, h2load": _logs("victoria-logs", "victoria-logs, by h2load", generator="h2load", **P1),
        "P1/written": _logs("detritus", "detritus, written", config=WRITTEN, **P1),
        "P2/detritus": _logs("detritus", config=COMMIT, **P2),
        "P2/floor": _logs("floor", **P2),
        "P2/fluent-bit": _logs("fluent-bit", "fluent-bit, -c256 -m1", **P2_ONE_EACH),
        "P2/collector": _logs("collector", **P2),
        "P2/collector-queue": _logs("collector-queue", "collector, fsync", **P2),
        "P2/detritus, h2load": _logs("detritus", "detritus, by h2load", generator="h2load", config=COMMIT, **P2),
        "P2/victoria-logs, h2load": _logs("victoria-logs", "victoria-logs, -c256 -m1", generator="h2load", **P2_ONE_EACH),
        "P2/nghttpd": _logs("nghttpd", **P2),
        "P3/detritus": _logs("detritus", config=COMMIT, **P3),
        "P3/fluent-bit": _logs("fluent-bit", "fluent-bit, -c64 -m1", **P3_ONE_EACH),
        "P3/collector": _logs("collector", **P3),
        "P3/collector-queue": _logs("collector-queue", "collector, fsync", **P3),
        "P3/detritus, h2load": _logs("detritus", "detritus, by h2load", generator="h2load", config=COMMIT, **P3),
        "P3/victoria-logs, h2load": _logs("victoria-logs", "victoria-logs, -c64 -m1", generator="h2load", **P3_ONE_EACH),
        "P3/floor": _logs("floor", **P3),
        "P3/nghttpd": _logs("nghttpd", **P3),
        "P3/disk": Measurement("disk, sequential", uploads.sequential_disk),
        "P3/written": _logs("detritus", "detritus, written", config=WRITTEN, **P3),
        "P4/10,000": _logs("detritus", "10,000 sources", config=COMMIT, sources=10000, **P4),
        "P4/1": _logs("detritus", "1 source", config=COMMIT, sources=1, **P4),
        "P5/detritus": _logs("detritus", config=COMMIT, **P5, **P5_REQUESTS),
        "P5/floor": _logs("floor", **P5, **P5_REQUESTS),
        "P5/nghttpd": _logs("nghttpd", **P5, **P5_REQUESTS),
        "P5/reference": _logs("reference", **P5),
        "P6/detritus": _crashes("detritus", **P6),
        "P6/reference": _crashes("reference", **P6),
        "P6/floor": Measurement("hash, write, sync",
                                lambda bench: uploads.dumps_floor(bench, DUMP_BYTES, P6["connections"])),
        "P7/detritus": Measurement("detritus", lambda bench: uploads.large(bench, "detritus", LARGE_BYTES)),
        "P7/sha256sum": Measurement("sha256sum, dd", lambda bench: uploads.pipeline(bench, LARGE_BYTES, "sha256sum")),
        "P7/openssl": Measurement(
            "openssl dgst, dd", lambda bench: uploads.pipeline(bench, LARGE_BYTES, "openssl dgst -sha256"), "openssl"),
        "P7/reference": Measurement("reference", lambda bench: uploads.large(bench, "reference", LARGE_BYTES),
                                    "reference"),
        "P8": Measurement("", lambda bench: stored.beside_janitor(bench, expired_crashes, **P1)),
        "P9/stored": Measurement(f"{stored_crashes:,} stored",
                                 lambda bench: bench.stored.uploads(stored_crashes, DUMP_BYTES, **P6)),
        "P9/empty": Measurement("nothing stored", stored.empty),
        "P10/idle": Measurement(f"{uploads.IDLE_CONNECTIONS:,} idle", uploads.idle),
    }


def _of_victoria_logs(scenario):
    """Both by h2load; VictoriaLogs has no HTTP/2, and its answer means less."""
    return Bar("of VictoriaLogs, both by h2load", (f"{scenario}/detritus, h2load", "rate"),
               (f"{scenario}/victoria-logs, h2load", "rate"), 1.0, 2.0)


LABELS = {"P8/beside": "janitor at work", "P8/without": "janitor at rest"}

SCENARIOS = {
    "P1": Scenario(
        "1-record exports, 1 source, -c32 -m1",
        ["P1/detritus", "P1/floor", "P1/fluent-bit", "P1/collector", "P1/collector-queue", "P1/reference", "P1/nghttpd",
         "P1/detritus, h2load", "P1/floor, h2load", "P1/victoria-logs, h2load"],
        [Bar("of the floor", ("P1/detritus", "rate"), ("P1/floor", "rate"), 0.7, 0.9),
         Bar("of the floor, both by h2load", ("P1/detritus, h2load", "rate"), ("P1/floor, h2load", "rate"), 0.7, 0.9),
         Bar("of Fluent Bit", ("P1/detritus", "rate"), ("P1/fluent-bit", "rate"), 0.8, 1.0),
         Bar("of the Collector that syncs", ("P1/detritus", "rate"), ("P1/collector-queue", "rate"), 1.0, 5.0),
         _of_victoria_logs("P1")],
        {"P1/detritus, h2load": None, "P1/floor, h2load": "P1/detritus, h2load",
         "P1/victoria-logs, h2load": "P1/detritus, h2load"}),
    "P2": Scenario(
        "1-record exports, 1 source, -c16 -m16",
        ["P2/detritus", "P2/floor", "P2/fluent-bit", "P2/collector", "P2/collector-queue", "P2/nghttpd",
         "P2/detritus, h2load", "P2/victoria-logs, h2load"],
        [Bar("of the floor", ("P2/detritus", "rate"), ("P2/floor", "rate"), 0.55, 0.8),
         Bar("of Fluent Bit", ("P2/detritus", "rate"), ("P2/fluent-bit", "rate"), beyond=1.0),
         Bar("of Fluent Bit, until all is written", ("P2/detritus", "whole_rate"), ("P2/fluent-bit", "whole_rate"),
             beyond=1.0),
         Bar("of the Collector that syncs", ("P2/detritus", "rate"), ("P2/collector-queue", "rate"), 1.0, 5.0),
         _of_victoria_logs("P2")],
        {"P2/detritus, h2load": None, "P2/victoria-logs, h2load": "P2/detritus, h2load"}),
    "P3": Scenario(
        "256-record exports, 1 source, -c16 -m4",
        ["P3/detritus", "P3/fluent-bit", "P3/collector", "P3/collector-queue", "P3/floor", "P3/nghttpd", "P3/disk",
         "P3/detritus, h2load", "P3/victoria-logs, h2load"],
        [Bar("of Fluent Bit", ("P3/detritus", "rate"), ("P3/fluent-bit", "rate"), 1.0, 1.5, either="P3"),
         Bar("of the disk, in bytes of lines", ("P3/detritus", "disk_mb_per_sec"), ("P3/disk", "rate"), 0.8,
             either="P3"),
         Bar("of Fluent Bit, until all is written", ("P3/detritus", "whole_rate"), ("P3/fluent-bit", "whole_rate"),
             beyond=1.5),
         Bar("of the Collector that syncs", ("P3/detritus", "rate"), ("P3/collector-queue", "rate"), 1.0, 5.0),
         _of_victoria_logs("P3")],
        {"P3/detritus, h2load": None, "P3/victoria-logs, h2load": "P3/detritus, h2load"}),
    "P4": Scenario(
        "8-record exports, 10,000 sources, -c16 -m16", ["P4/10,000", "P4/1"],
        [Bar("of the rate over 1 source", ("P4/10,000", "rate"), ("P4/1", "rate"), 0.7, 0.9)]),
    "P5": Scenario(
        "1-record exports, a new connection each, -c32",
        ["P5/detritus", "P5/floor", "P5/nghttpd", "P5/reference"],
        [Bar("of the reference", ("P5/detritus", "rate"), ("P5/reference", "rate"), 100),
         Bar("of nghttpd", ("P5/detritus", "rate"), ("P5/nghttpd", "rate"), beyond=0.5)]),
    "P6": Scenario(
        "64 KiB crash uploads, distinct, 32 at a time", ["P6/detritus", "P6/floor", "P6/reference"],
        [Bar("of hash, write, sync", ("P6/detritus", "rate"), ("P6/floor", "rate"), 0.5),
         Bar("of the reference", ("P6/detritus", "rate"), ("P6/reference", "rate"), 30)]),
    "P7": Scenario(
        "100 MiB uploads, one at a time", ["P7/detritus", "P7/sha256sum", "P7/openssl", "P7/reference"],
        [Bar("of sha256sum and dd, pipelined", ("P7/detritus", "rate"), ("P7/sha256sum", "rate"), 0.6, 0.9),
         Bar("of openssl dgst and dd, pipelined", ("P7/detritus", "rate"), ("P7/openssl", "rate"), beyond=0.9)]),
    "P8": Scenario(
        "P1 while expired crashes are deleted", ["P8/beside", "P8/without"],
        [Bar("p99 of that without", ("P8/beside", "p99_ms"), ("P8/without", "p99_ms"), 2.0, 1.2, less_is_better=True)]),
    "P9": Scenario(
        "P6 with many crashes stored", ["P9/stored", "P6/detritus", "P9/empty"],
        [Bar("of the rate with none stored", ("P9/stored", "rate"), ("P6/detritus", "rate"), 0.9),
         Bar("detritusctl crashes list, of that with nothing stored", ("P9/stored", "list_ms"), ("P9/empty", "list_ms"),
             10, 2, less_is_better=True),
         Bar("start, of that with nothing stored", ("P9/stored", "start_ms"), ("P9/empty", "start_ms"), 50, 2,
             less_is_better=True)]),
    "P10": Scenario(
        "memory", ["P10/idle", "P3/detritus"],
        [Bar("with idle connections", ("P10/idle", "rss_mb"), bar=100, beyond=32, less_is_better=True, unit=" MB"),
         Bar("P3 running, its peak", ("P3/detritus", "rss_mb"), bar=256, beyond=64, less_is_better=True, unit=" MB")],
        {"P3/detritus": None}),
    "P11": Scenario(
        "CPU for each record in P3", ["P3/detritus", "P3/fluent-bit", "P3/collector"],
        [Bar("of Fluent Bit", ("P3/detritus", "cpu_us"), ("P3/fluent-bit", "cpu_us"), 0.5, 0.3, less_is_better=True)]),
    "P12": Scenario(
        "durability: commit beside written", ["P1/detritus", "P1/written", "P3/detritus", "P3/written"],
        [Bar("P1: commit of written", ("P1/detritus", "rate"), ("P1/written", "rate"), beyond=0.8),
         Bar("P3: commit of written", ("P3/detritus", "rate"), ("P3/written", "rate"), beyond=0.8)],
        {"P3/detritus": None, "P3/written": "P3/detritus"}),
}
