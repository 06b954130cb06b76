"""Takes a daemon's descriptors away, and gives them back, while answers come: what it has open it keeps, and nothing can be
opened. Whatever is refused then is refused so that senders come again, and no store fails of it."""

import contextlib
import random
import resource

EACH_ANSWERS = 25
NONE_LEFT = 10  # fewer than any daemon has open


class Starvation:
    def __init__(self, daemon, seed):
        self.daemon, self.rng = daemon, random.Random(f"starvation {seed}")

    def on_answer(self, seen):
        if seen % EACH_ANSWERS == 0:
            self._limit(NONE_LEFT if self.rng.random() < 0.5 else None)

    def end(self):
        self._limit(None)

    def _limit(self, soft):
        with contextlib.suppress(ProcessLookupError):  # it was killed meanwhile
            _, hard = resource.prlimit(self.daemon.process.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(self.daemon.process.pid, resource.RLIMIT_NOFILE, (hard if soft is None else soft, hard))
