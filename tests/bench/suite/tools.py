"""Our own programs, of a release build; made when they are not there."""

import pathlib
import subprocess
import sys

from .process import BenchError


class Tools:
    def __init__(self, repo, build):
        self.repo, self.build = pathlib.Path(repo), pathlib.Path(build)
        self.detritusd, self.detritusctl = self.build / "src/detritusd/detritusd", self.build / "src/detritusctl/detritusctl"
        self.load, self.floor = self.build / "tools/load/detritus-load", self.build / "tests/floor"
        if not all(path.exists() for path in (self.detritusd, self.detritusctl, self.load, self.floor)):
            self._make()

    def _make(self):
        """The floor is built wherever tests are not disabled; what else the tests need is not needed here."""
        print(f"bench: building {self.build}", file=sys.stderr)
        commands = [["ninja", "-C", self.build]]
        if not (self.build / "build.ninja").exists():
            commands.insert(0, ["meson", "setup", self.build, self.repo, "--buildtype=release", "-Dtests=auto"])
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise BenchError(f"{command[0]}: {(done.stdout + done.stderr).strip()[-1000:]}")
