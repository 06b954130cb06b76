"""Load on a server: by detritus-load, which checks each answer's status and numbers each record, and by h2load, which
is not ours, as a cross-check of the generator."""

import json
import pathlib
import re
import subprocess
import sys

from .process import BenchError, children_cpu_seconds

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "wire"))
from harness import otlp  # noqa: E402

PATH = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
PROJECT = "bench"
GRPC_PREFIX = 5  # bytes


def flags(options):
    """{"warm_up": 1, "crashes": True} to --warm-up 1 --crashes."""
    words = []
    for name, value in options.items():
        if value is not False:
            words.append("--" + name.replace("_", "-"))
        if not isinstance(value, bool):
            words.append(str(value))
    return words


def detritus_load_command(tool, server, **options):
    return [tool, "--url", server.url, "--token", server.token, "--project", PROJECT, *flags(options)]


def detritus_load(tool, server, **options):
    """What detritus-load says, as its JSON has it."""
    done = subprocess.run([str(word) for word in detritus_load_command(tool, server, json=True, **options)],
                          capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1) or not done.stdout:
        raise BenchError(f"detritus-load: {done.stderr.strip()}")
    return json.loads(done.stdout)


def export_body(records, first=0):
    """One export as gRPC frames it, the same as detritus-load sends it. Its records have the numbers from `first` on."""
    def attribute(key, value):
        return [(1, key), (2, value)]

    def record(number):
        return [(1, otlp.Fixed64(1795000000_000000000 + number)), (11, otlp.Fixed64(1795000000_100000000)), (2, 9),
                (3, "INFO"), (5, [(1, f"request finished, cart {number:012}")]),
                (6, attribute("seq", [(1, f"{number:012}")])), (6, attribute("duration_ms", [(4, otlp.Double(12.5))])),
                (6, attribute("http.request.method", [(1, "POST")])),
                (6, attribute("code.namespace", [(1, "shop.cart")])),
                (6, attribute("url.path", [(1, "/api/v1/cart")])), (9, b"0123456789abcdef")]

    source = {"source.project": PROJECT, "source.platform": "linux", "source.version": "2.4.1",
              "service.name": "checkout", "source.install_id": "s000000"}
    resource_attributes = [(1, attribute(key, [(1, value)])) for key, value in source.items()]
    scope_logs = [(1, [(1, "shop.checkout")]), *((2, record(number)) for number in range(first, first + records))]
    message = otlp.encode([(1, [(1, resource_attributes), (2, scope_logs)])])
    return b"\0" + len(message).to_bytes(4, "big") + message


def h2load(server, directory, records, connections, streams, requests):
    """So many requests with one thread. As detritus_load(), without percentiles: Debian's h2load has none."""
    body = pathlib.Path(directory) / "body"
    if server.http1:
        body.write_bytes(export_body(records)[GRPC_PREFIX:])
        how = ["--h1", "-H", "content-type: application/x-protobuf"]
    else:
        body.write_bytes(export_body(records))
        how = ["-H", "content-type: application/grpc", "-H", "te: trailers", "-H", "x-protocol-version: 1"]
    before = children_cpu_seconds()
    done = subprocess.run(["h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-n{requests}", "-d", body,
                           "-H", f"authorization: Bearer {server.token}", *how, server.url + server.export_path],
                          capture_output=True, text=True, check=False)
    cpu = children_cpu_seconds() - before
    finished = re.search(r"finished in ([\d.]+)(us|ms|s), ([\d.]+) req/s", done.stdout)
    codes = re.search(r"status codes: (\d+) 2xx", done.stdout)
    if done.returncode != 0 or not finished or not codes:
        raise BenchError(f"h2load: {(done.stderr or done.stdout).strip()[-300:]}")
    seconds = float(finished[1]) / {"us": 1e6, "ms": 1e3, "s": 1}[finished[2]]
    ok = int(codes[1])
    failed = requests - ok
    return {"ok": ok, "failed": failed, "failed_by": {"not 2xx": failed} if failed else {}, "seconds": seconds,
            "requests_per_sec": float(finished[3]), "records_per_sec": float(finished[3]) * records,
            "mb_per_sec": float(finished[3]) * len(body.read_bytes()) / 1e6, "latency_ms": None,
            "cpu_percent": cpu / seconds * 100 if seconds else 0, "numbered": False}
