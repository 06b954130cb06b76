"""Reports that grow too old while a campaign runs, one after the other, so that the janitor deletes rows, mirrors and
blobs beside the load, which uses the same blobs again."""

import contextlib
import datetime
import sqlite3

from harness import crash
from harness.daemon import ACME
from load import SHARED_BLOBS, shared_blob, sources_of

CONFIG = {"crashes": {"ttl_days": 1}, "janitor": {"interval_secs": 1}}
REPORTS = 3 * SHARED_BLOBS
APART = datetime.timedelta(seconds=0.2)


def age_reports(daemon, seed):
    """Stores them by a daemon that runs, and stops it."""
    for n in range(REPORTS):
        crash.report(daemon, "1.1", ACME, sources_of(seed)[0], shared_blob(seed, n % SHARED_BLOBS),
                     timestamp=f"1999-01-01T00:00:{n:02d}Z")
    daemon.stop()
    day_ago = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=1)
    with contextlib.closing(sqlite3.connect(daemon.data_dir / "detritus.db")) as database, database:
        for (id,) in database.execute("SELECT id FROM crash").fetchall():
            at = (day_ago + id * APART).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            database.execute("UPDATE crash SET received_at = ? WHERE id = ?", (at, id))
