"""What one measurement gives, a dict: rate and unit; p50_ms and p99_ms; cpu_us, the server's CPU time for each request
(record, where the unit is records/s); rss_mb, its peak; load_cpu, of the generator, in per cent of a core; void: why it
does not count, or "". Some have figures of their own besides."""


def void_of(said, wrong):
    failed = f"{said['failed']} requests failed: {said['failed_by']}" if said["failed"] else ""
    nothing = "" if said["ok"] else "nothing was answered"
    return "; ".join(filter(None, (failed, nothing, wrong)))


def sample(said, records, void):
    several = records > 1
    units = said["ok"] * records if several else said["ok"]
    latency = said["latency_ms"] or {}
    return {
        "rate": said["records_per_sec" if several else "requests_per_sec"],
        "unit": "records/s" if several else "req/s",
        "requests_per_sec": said["requests_per_sec"],
        "mb_per_sec": said["mb_per_sec"],
        "p50_ms": latency.get("p50"),
        "p99_ms": latency.get("p99"),
        "cpu_us": said["server_cpu"] / units * 1e6 if units else None,
        "rss_mb": said["rss_mb"],
        "load_cpu": said["cpu_percent"],
        "ok": said["ok"],
        "void": void,
    }


def bare(rate, unit, **more):
    """A sample of what is no server under load."""
    return {"rate": rate, "unit": unit, "p50_ms": None, "p99_ms": None, "cpu_us": None, "rss_mb": None,
            "load_cpu": None, "void": "", **more}
