"""What people and their tools do to log files under a running daemon: rename them (logrotate) or their directories, copy and
empty them (copytruncate), put another file in their place (sed -i), empty them, remove them.

Copies are synced before the original goes: otherwise the power cut takes what the daemon had made durable."""

import json
import os
import pathlib
import random
import re
import threading

MARK = ".moved-"  # in every name that is made here
PER_SOURCE = 3  # files beside a log file. The daemon looks at sixteen at most


class Moves:
    """The actions. Each is a generator, which yields where a tool would be busy for a while.

    deleted: {name of a log record: where the disk's log was before}: may be gone from then on, or back."""

    def __init__(self, ledger):
        self.ledger, self.position = ledger, ledger.position
        self.deleted = {}
        self.held = []  # (files that lost their name, from where what is in them is deleted, position)

    def rename(self, path, mark):
        yield
        path.rename(path.with_name(path.name + mark))

    def rename_source(self, path, mark):
        yield
        path.parent.rename(path.parent.with_name(path.parent.name + mark))

    def rename_project(self, path, mark):
        yield
        project = path.parent.parent
        project.rename(project.with_name(project.name + mark))

    def copytruncate(self, path, mark):
        before = self.position()
        copied = _copy(path, path.with_name(path.name + mark))
        yield
        self._empty(path, copied, before)

    def replace(self, path, mark):
        file, before = open(path, "rb"), self.position()
        other = path.with_name(path.name + mark)
        self.held.append((file, _copy(path, other), before))
        yield
        other.rename(path)

    def truncate(self, path, mark):
        before = self.position()
        yield
        self._empty(path, 0, before)

    def remove(self, path, mark):
        self.held.append((open(path, "rb"), 0, self.position()))
        yield
        path.unlink()

    def finish(self):
        """When nobody writes any more: what reached files without a name, too, may be gone."""
        for file, begin, before in self.held:
            file.seek(begin)
            self._delete(file.read(), before)
            file.close()
        self.held = []

    def _empty(self, path, begin, before):
        """What is being written just then is gone, too, and cannot all be read."""
        sent = len(self.ledger.exports)
        names = self.ledger.unanswered(path.parent.name, sent)
        with open(path, "r+b") as file:
            file.seek(begin)
            self._delete(file.read(), before)
            file.truncate(0)
        for name in {*names, *self.ledger.unanswered(path.parent.name, sent)}:
            self.deleted.setdefault(name, before)

    def _delete(self, data, before):
        for line in data.split(b"\n"):
            try:
                self.deleted.setdefault(json.loads(line)["body"].split(" ", 1)[0], before)
            except ValueError:
                pass  # a line that is being written


ACTIONS = ("rename", "copytruncate", "replace", "rename_source", "rename_project", "truncate", "remove")


class Mover(Moves):
    """Moves a file now and then: called after each answer, by the client that got it."""

    def __init__(self, data_dir, seed, ledger, actions=ACTIONS, often=0.06):
        super().__init__(ledger)
        self.logs, self.rng = pathlib.Path(data_dir) / "logs", random.Random(f"moves {seed}")
        self.actions, self.often, self.seed = actions, often, seed
        self.lock = threading.Lock()
        self.count = 0

    def __call__(self, answers):
        with self.lock:
            if self.rng.random() < self.often:
                self._move(self.rng.choice(self.actions))

    def _move(self, action):
        try:
            files = [path for path in log_files(self.logs) if len(list(path.parent.glob(f"*{MARK}*"))) < PER_SOURCE]
            self.count += len(files) > 0
            for _ in getattr(self, action)(self.rng.choice(files), f"{MARK}{action}-{self.mark()}") if files else ():
                pass
        except FileNotFoundError:
            pass  # somebody was quicker: the daemon takes empty directories away, too

    def mark(self):
        return f"{re.sub('[^A-Za-z0-9]', '-', str(self.seed))}-{self.count}"


def log_files(logs):
    """Those that the daemon may be writing."""
    return sorted(path for path in logs.glob("acme/*/*.ndjson") if MARK not in str(path))


def _copy(source, target):
    """Up to where there are whole lines: the daemon may have been in the middle of one."""
    data = source.read_bytes()
    with open(target, "xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    directory = os.open(target.parent, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)
    return data.rfind(b"\n") + 1
