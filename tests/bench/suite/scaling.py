"""How cost grows: the same load over more sources, connections, stored crashes and larger uploads."""

import dataclasses

from . import uploads
from .scenarios import DUMP_BYTES, LARGE_BYTES, P1, P6, Measurement

KIB, MIB = 1024, 1 << 20
UPLOAD_CONNECTIONS = 8


@dataclasses.dataclass
class Table:
    """expected: how the rate should go from the first row to the last. points: {label: measurement}."""

    title: str
    expected: str
    points: dict


def _logs(**options):
    return Measurement("", lambda bench: bench.logs("detritus", **options))


def _upload(size):
    return Measurement("", lambda bench: uploads.large(bench, "detritus", size, connections=UPLOAD_CONNECTIONS,
                                                       fill=P6["fill"]))


def _stored(count):
    return Measurement("", lambda bench: bench.stored.uploads(count, DUMP_BYTES, **P6))


def tables(sources=(1, 10, 100, 1000, 10000), connections=(1, 16, 256, 1024, 4096, 8192),
           crashes=(0, 10000, 100000, 1000000), sizes=(KIB, 64 * KIB, MIB, 16 * MIB, LARGE_BYTES)):
    return {
        **{f"sources, {records}-record": Table(
            f"sources, {records}-record exports, -c16 -m16", "flat",
            {f"{n:,}": _logs(records=records, sources=n, connections=16, streams=16) for n in sources})
           for records in (1, 8)},
        "connections": Table(
            "connections, 1-record exports, -m1", "rises, then flat",
            {f"{n:,}": _logs(**{**P1, "connections": n}) for n in connections}),
        "stored crashes": Table(
            "crashes stored, 64 KiB uploads, 32 at a time", "flat", {f"{n:,}": _stored(n) for n in crashes}),
        "upload size": Table(
            f"size of an upload, {UPLOAD_CONNECTIONS} at a time", "MB/s rises, then flat",
            {f"{n // KIB:,} KiB": _upload(n) for n in sizes}),
    }
