"""Sets a daemon's clock ahead, before it starts or while answers come, and back again. Retention must not believe it:
nothing that was acknowledged may be deleted for its age. Needs libshifted-clock.so (shifted_clock.c)."""

import os
import pathlib
import random

EACH_ANSWERS = 20
AHEAD_SECS = 100 * 86400
LIBRARY = os.environ.get("DETRITUS_SHIFTED_CLOCK",
                         str(pathlib.Path(__file__).resolve().parents[2] / "build/tests/libshifted-clock.so"))


class ClockJumps:
    def __init__(self, path, seed):
        self.path, self.rng = pathlib.Path(path), random.Random(f"clock {seed}")
        self._jump()

    def environment(self):
        if not os.path.exists(LIBRARY):
            raise FileNotFoundError(f"{LIBRARY}: build it, or set DETRITUS_SHIFTED_CLOCK")
        return {"LD_PRELOAD": LIBRARY, "DETRITUS_CLOCK_SHIFT": str(self.path), "ASAN_OPTIONS": "verify_asan_link_order=0"}

    def on_answer(self, seen):
        if seen % EACH_ANSWERS == 0:
            self._jump()

    def _jump(self):
        fresh = self.path.with_suffix(".new")
        fresh.write_text(f"{self.rng.choice((0, AHEAD_SECS))}\n")
        fresh.rename(self.path)
