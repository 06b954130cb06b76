"""docs/sql-cookbook.md: every query runs on made-up data, as the documents say it is to be run, and says what Python makes
of the plain rows. Each answer is then spoilt, and the check must see that."""

import collections
import datetime
import decimal
import json
import re
import sqlite3

import pytest

from harness.daemon import REPO
from harness.generate import generate

pytestmark = pytest.mark.ours

TEXT = (REPO / "docs/sql-cookbook.md").read_text()
# The number of each question, and its query.
QUERIES = {int(number): sql for number, sql in
           re.findall(r"^### (\d+)\. [^\n]*\n(?:(?!^### ).)*?^```sql\n(.*?)^```$", TEXT, re.M | re.S)}
HASH_PATH = "crashes/by-hash/{0:.2}/{0}.bin"


class World:
    """The rows as they are, and `now`, which every check and every query shares."""

    def __init__(self, path, now):
        self.database = sqlite3.connect(f"file:{path}/detritus.db?mode=ro", uri=True)
        self.database.row_factory = sqlite3.Row
        self.now = now
        tables = ("source", "crash", "attachment", "blob", "log_file", "usage", "blob_use", "token_use")
        for table in tables:
            setattr(self, table, [dict(row) for row in self.database.execute(f"SELECT * FROM {table}")])
        self.sources = {row["id"]: row for row in self.source}
        self.blobs = {row["sha256"]: row for row in self.blob}

    def ask(self, sql):
        """The query as it stands, but that all of them see the same now."""
        sql = sql.replace("'now'", f"'{self.now:%Y-%m-%dT%H:%M:%S}'")
        return [dict(row) for row in self.database.execute(sql)]

    def day(self, ago):
        return (self.now - datetime.timedelta(days=ago)).strftime("%Y-%m-%d")

    def crashes(self, project=None, days=None, **columns):
        return [row for row in self.crash
                if (project is None or self.sources[row["source_id"]]["project"] == project)
                and (days is None or row["received_at"] >= self.day(days))
                and all(row[key] == value for key, value in columns.items())]


def rounded(value, digits):
    """As SQLite does it: of 15 significant digits, a half away from zero. Python's round() takes 15.85 for less than it is."""
    step = decimal.Decimal(1).scaleb(-digits)
    return float(decimal.Decimal(f"{value:.15g}").quantize(step, decimal.ROUND_HALF_UP))


def seconds(text):
    return datetime.datetime.fromisoformat(re.sub(r"(\.\d{6})\d*Z$|(\.\d{3})Z$",
                                                  lambda m: (m[1] or m[2]) + "+00:00", text)).timestamp()


def title(row):
    """Of a Rust panic: the file and the message."""
    if not row["panic_text"]:
        return "dump " + row["dump_sha256"][:12]
    lines = row["panic_text"].split("\n")
    place = re.fullmatch(r"thread '.*?' .*?panicked at (.*?):\d+:\d+:", lines[0])
    return f"{place[1]}: {lines[1]}" if place and len(lines) > 1 else lines[0]


def groups(rows, key):
    out = collections.defaultdict(list)
    for row in rows:
        out[key(row)].append(row)
    return out


def installs(rows):
    return len({row["source_id"] for row in rows})


def by_day(rows):
    return groups(rows, lambda row: row["received_at"][:10])


def percent(part, whole, digits=1):
    return rounded(100.0 * part / whole, digits)


def top(rows, *columns, limit=None):
    """In the order of the columns: numbers fall, texts rise."""
    return sorted(rows, key=lambda row: [-row[c] if isinstance(row[c], (int, float)) else row[c] for c in columns])[:limit]


def free_by_day(w):
    seen = collections.defaultdict(set)
    for row in w.log_file:
        if row["day"] >= w.day(7) and w.sources[row["source_id"]]["project"] == "acme":
            seen[row["day"]].add(row["source_id"])
    crashed = {day: {row["source_id"] for row in rows} for day, rows in by_day(w.crashes("acme", 7)).items()}
    for day, who in crashed.items():
        seen[day] |= who
    return [{"day": day, "installs": len(seen[day]), "crashed": len(crashed.get(day, ())),
             "crash_free_percent": percent(len(seen[day] - crashed.get(day, set())), len(seen[day]))}
            for day in sorted(seen, reverse=True)]


def health(w):
    out = []
    for version, sources in groups([s for s in w.source if s["project"] == "acme"], lambda s: s["version"]).items():
        hit = [len(w.crashes(source_id=s["id"], version=version)) for s in sources]
        crashed = sum(n > 0 for n in hit)
        out.append({"version": version, "installs": len(sources), "crashed_installs": crashed, "crashes": sum(hit),
                    "crash_free_percent": percent(len(sources) - crashed, len(sources), 2)})
    return top(out, "crash_free_percent", "installs", "version")


def top_of_version(w):
    of = groups(w.crashes("acme", version="1.6.0"), lambda row: (title(row), row["kind"]))
    return top([{"title": name, "kind": kind, "crashes": len(rows), "installs": installs(rows),
                 "newest_id": max(row["id"] for row in rows)} for (name, kind), rows in of.items()],
               "crashes", "title", limit=10)


def new_since(w):
    since = min(row["received_at"] for row in w.crashes("acme", version="1.6.0"))
    return top([{"title": name, "first_received_at": min(row["received_at"] for row in rows), "crashes": len(rows),
                 "installs": installs(rows)} for name, rows in groups(w.crashes("acme"), title).items()
                if all(row["received_at"] >= since for row in rows)], "crashes", "title")


def gone_since(w):
    there = {title(row) for row in w.crashes("acme") if row["version"] >= "1.7.0"}
    before = groups([row for row in w.crashes("acme") if row["version"] < "1.7.0"], title)
    return top([{"title": name, "crashes_before": len(rows), "last_received_at": max(row["received_at"] for row in rows)}
                for name, rows in before.items() if name not in there and len(rows) >= 3], "crashes_before", "title")


def growing(w):
    out = []
    for name, rows in groups(w.crashes("acme", 14), title).items():
        this = sum(row["received_at"] >= w.day(7) for row in rows)
        if 2 * this > len(rows):
            out.append({"title": name, "this_week": this, "last_week": len(rows) - this})
    return sorted(out, key=lambda row: (row["last_week"] - row["this_week"], row["title"]))[:20]


def daily(w):
    return [{"day": day, "crashes": len(rows), "installs": installs(rows),
             "dumps": len({row["dump_sha256"] for row in rows})}
            for day, rows in sorted(by_day(w.crashes("acme", 14)).items(), reverse=True)]


def platforms(w):
    of = groups(w.crashes(days=30), lambda row: (row["platform"], row["target_triple"]))
    return top([{"platform": platform, "target_triple": triple, "crashes": len(rows), "installs": installs(rows),
                 "crashes_an_install": rounded(len(rows) / installs(rows), 1)} for (platform, triple), rows in of.items()],
               "crashes", "target_triple")


def worst_installs(w):
    of = groups(w.crashes(days=30), lambda row: row["source_id"])
    order = sorted(of, key=lambda who: (-len(of[who]), who))[:10]
    return [{**{key: w.sources[who][key] for key in ("project", "install_id", "version")}, "crashes": len(of[who]),
             "dumps": len({row["dump_sha256"] for row in of[who]})} for who in order]


def repeated(w):
    out = []
    for sha256, rows in groups(w.crash, lambda row: row["dump_sha256"]).items():
        if len(rows) > 1:
            length = w.blobs[sha256]["len"]
            out.append({"dump_sha256": sha256, "crashes": len(rows), "installs": installs(rows),
                        "projects": len({w.sources[row["source_id"]]["project"] for row in rows}), "len": length,
                        "bytes_saved": (len(rows) - 1) * length,
                        "last_received_at": max(row["received_at"] for row in rows)})
    return top(out, "bytes_saved", "dump_sha256", limit=10)


def late(w):
    out = []
    for row in w.crashes(days=14):
        hours = (seconds(row["received_at"]) - seconds(row["crashed_at"])) / 3600
        if not 0 <= hours <= 6:
            out.append((hours, {**{key: row[key] for key in ("id", "source_project", "crashed_at", "received_at")},
                                "hours_late": rounded(hours, 1)}))
    return [row for _, row in sorted(out, key=lambda pair: (-pair[1]["hours_late"], pair[1]["id"]))][:50]


def contexts(w):
    of = groups([json.loads(row["context"]) for row in w.crashes("acme", 30)], lambda c: c["memory_mib"])
    return [{"memory_mib": mib, "crashes": len(rows),
             "mean_hours_up": rounded(sum(c["uptime_seconds"] for c in rows) / len(rows) / 3600, 1)}
            for mib, rows in sorted(of.items())]


def files(w):
    [crash] = w.crashes(id=17)
    dump = {"key": "dump", "content_encoding": crash["dump_content_encoding"],
            "len": w.blobs[crash["dump_sha256"]]["len"], "path": HASH_PATH.format(crash["dump_sha256"])}
    return [dump] + [{**{key: row[key] for key in ("key", "content_encoding", "len")},
                      "path": HASH_PATH.format(row["sha256"])} for row in w.attachment if row["crash_id"] == 17]


def adoption(w):
    of = groups([s for s in w.source if s["project"] == "acme"], lambda s: (s["version"], s["platform"]))
    out = [{"version": version, "platform": platform, "installs": len(rows),
            "last_seen_at": max(s["last_seen_at"] for s in rows)} for (version, platform), rows in sorted(of.items())]
    return sorted(out, key=lambda row: row["version"], reverse=True)


def silent(w):
    out = []
    for s in sorted(w.source, key=lambda s: s["last_seen_at"]):
        days = (w.now.timestamp() - seconds(s["last_seen_at"])) / 86400
        if rounded(days, 1) > 3 and seconds(s["last_seen_at"]) - seconds(s["first_seen_at"]) > 7 * 86400:
            out.append({**{key: s[key] for key in ("project", "install_id", "version", "last_seen_at")},
                        "silent_days": pytest.approx(days, abs=0.11)})
    return out


def storage(w):
    logs, crashes = collections.Counter(), collections.Counter()
    for row in w.log_file:
        logs[w.sources[row["source_id"]]["project"]] += row["bytes"]
    for project, row in {(w.sources[c["source_id"]]["project"], sha256): w.blobs[sha256]
                         for c in w.crash for sha256 in [c["dump_sha256"]] +
                         [a["sha256"] for a in w.attachments_of[c["id"]]]}.items():
        crashes[project[0]] += row["len"]
    total = sum(logs.values()) + sum(crashes.values())
    return top([{"project": p, "log_bytes": logs[p], "crash_bytes": crashes[p], "bytes": logs[p] + crashes[p],
                 "percent": percent(logs[p] + crashes[p], total)} for p in logs], "bytes")


def biggest(w):
    users = collections.defaultdict(set)
    for c in w.crash:
        for sha256 in [c["dump_sha256"]] + [a["sha256"] for a in w.attachments_of[c["id"]]]:
            users[sha256].add(w.sources[c["source_id"]]["project"])
    return [{**{key: row[key] for key in ("sha256", "len", "refs", "created_at")},
             "projects": " ".join(sorted(users[row["sha256"]]))} for row in top(w.blob, "len", "sha256", limit=10)]


def attachment_kinds(w):
    of = groups(w.attachment, lambda row: (row["key"], row["content_type"]))
    return top([{"key": key, "content_type": kind, "sent": len(rows), "stored": len({row["sha256"] for row in rows}),
                 "bytes_sent": sum(row["len"] for row in rows), "biggest": max(row["len"] for row in rows)}
                for (key, kind), rows in of.items()], "bytes_sent")


def log_days(w):
    of = groups([row for row in w.log_file if row["day"] >= w.day(14)], lambda row: row["day"])
    return [{"day": day, "sources": installs(rows), "lines": sum(row["lines"] for row in rows),
             "bytes": sum(row["bytes"] for row in rows)} for day, rows in sorted(of.items(), reverse=True)]


def log_sources(w):
    of = groups([row for row in w.log_file if row["day"] >= w.day(7)], lambda row: row["source_id"])
    lines = {who: sum(row["lines"] for row in rows) for who, rows in of.items()}
    return [{**{key: w.sources[who][key] for key in ("project", "install_id")}, "lines": lines[who],
             "bytes": sum(row["bytes"] for row in of[who]), "days": len(of[who])}
            for who in sorted(of, key=lambda who: (-lines[who], who))[:10]]


def expiring(w):
    out = collections.defaultdict(lambda: [0, 0])
    for row in w.crash:
        if not row["held"] and row["received_at"] < w.day(83):
            day = datetime.date.fromisoformat(row["received_at"][:10]) + datetime.timedelta(days=90)
            blob = w.blobs[row["dump_sha256"]]
            out[day.isoformat()][0] += 1
            out[day.isoformat()][1] += blob["len"] if blob["refs"] == 1 else 0
    return [{"day": day, "crashes": n, "frees_bytes": n_bytes} for day, (n, n_bytes) in sorted(out.items())]


def held(w):
    return [{"id": row["id"], "project": w.sources[row["source_id"]]["project"], "version": row["version"],
             "received_at": row["received_at"],
             "days_old": pytest.approx((w.now.timestamp() - seconds(row["received_at"])) / 86400, abs=0.51),
             "dump_len": w.blobs[row["dump_sha256"]]["len"]} for row in w.crashes(held=1)]


def token_uses(w):
    return [{"token_id": row["token_id"], "last_used_at": row["last_used_at"],
             "days_ago": pytest.approx((w.now.timestamp() - seconds(row["last_used_at"])) / 86400, abs=0.11)}
            for row in sorted(w.token_use, key=lambda row: row["last_used_at"])]


ANSWERS = {1: free_by_day, 2: health, 3: top_of_version, 4: new_since, 5: gone_since, 6: growing, 7: daily, 8: platforms,
           9: worst_installs, 10: repeated, 11: late, 12: contexts, 13: files, 14: adoption, 15: silent, 16: storage,
           17: biggest, 18: attachment_kinds, 19: log_days, 20: log_sources, 21: expiring, 22: held, 23: token_uses}
BOOKS = 24


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Generated, and with two tokens that were used."""
    path, now = tmp_path_factory.mktemp("cookbook"), datetime.datetime.now(datetime.timezone.utc)
    generate(path, "--crashes", 4000, "--sources", 150, "--days", 100, "--seed", 5, "--until", now.isoformat())
    with sqlite3.connect(path / "detritus.db") as database:
        database.execute("INSERT INTO token_use VALUES ('acme-prod', strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-1 hour')),"
                         " ('acme-old', strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-50 days'))")
    database.close()
    made = World(path, now)
    made.attachments_of = groups(made.attachment, lambda row: row["crash_id"])
    return made


def test_every_question_has_a_query_and_an_answer():
    assert len(re.findall(r"^### ", TEXT, re.M)) == len(QUERIES) >= 20
    assert list(QUERIES) == sorted(ANSWERS | {BOOKS: None}) == list(range(1, len(QUERIES) + 1))


@pytest.mark.parametrize("number", ANSWERS)
def test_an_answer_is_right(world, number):
    said, expected = world.ask(QUERIES[number]), ANSWERS[number](world)
    assert said == expected and said, (said, expected)
    # Spoilt: a row too few, and one figure or text changed.
    assert said[1:] != expected
    for column, value in said[0].items():
        spoilt = value + 1000 if isinstance(value, (int, float)) else f"{value}x"
        assert [{**said[0], column: spoilt}, *said[1:]] != expected, column


def test_the_books_are_right_and_wrong_ones_show(world, tmp_path):
    assert world.ask(QUERIES[BOOKS]) == []
    spoilt = sqlite3.connect(tmp_path / "spoilt.db")
    world.database.backup(spoilt)
    spoilt.execute("UPDATE blob SET refs = refs + 1 WHERE sha256 = (SELECT min(sha256) FROM blob)")
    spoilt.execute("UPDATE usage SET log_bytes = log_bytes - 1 WHERE project = 'acme'")
    wrong = [row[0] for row in spoilt.execute(QUERIES[BOOKS])]
    spoilt.close()
    assert wrong == [f"uses of {min(world.blobs)}", "usage of acme"]


def test_every_table_view_and_column_is_told_in_the_documents(world):
    """database.md names every table, view and index column that .schema shows; and every one of them has a comment."""
    documents = (REPO / "docs/database.md").read_text()
    for row in world.ask("SELECT type, name, sql FROM sqlite_schema WHERE type IN ('table', 'view')"
                         " AND name NOT LIKE 'sqlite_%'"):
        assert f"`{row['name']}`" in documents, row["name"]
        assert "--" in row["sql"], f"{row['name']} has no comment"
