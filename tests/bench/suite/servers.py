"""What is measured: detritusd, and what it has in common with its rivals. A server is started on an empty directory,
asked what it costs, stopped in order, and then looked into: is everything there that it acknowledged?"""

import contextlib
import pathlib
import resource
import signal
import sqlite3
import subprocess
import time
import urllib.request

from .checks import wrong_blobs, wrong_count, wrong_numbers
from .load import PATH, PROJECT
from .process import Process, free_port

UNLIMITED = {"logs_per_minute": 1000000, "logs_burst": 1000000, "crashes_per_minute": 1000000,
             "crashes_burst": 1000000}
MANY_CONNECTIONS = {"connections": 100000, "connections_per_address": 100000}


def raise_descriptor_limit():
    """Thousands of connections: the programs started from here inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Server:
    """start() sets url. After stop(), wrong_logs() and wrong_crashes() say what is not on disk as it was acknowledged:
    said is what the load generator says, records is how many an export had; empty: all is well."""

    token = "none"
    stop_signal = signal.SIGTERM
    exit_statuses = (0,)  # None: it has no orderly end
    http1 = False  # OTLP over HTTP/1.1 instead of gRPC
    export_path = PATH
    has_index = False  # a row for each crash, which can be counted

    def __init__(self, tools, path, directory):
        self.tools, self.path, self.directory = tools, pathlib.Path(path), pathlib.Path(directory)
        self.process = None
        self.url = None
        self.start_ms = None  # from the process's start to its readiness, as far as it says that

    def start(self):
        raise NotImplementedError

    def _launch(self, *arguments):
        self.process = Process([self.path, *arguments], self.directory / "output")

    def _launch_on_port(self, arguments_for):
        port = free_port()
        self._launch(*arguments_for(port))
        self.process.wait_port(port)
        self.url = f"http://127.0.0.1:{port}"
        return self

    def stop(self):
        self.process.stop(self.stop_signal, self.exit_statuses)

    def wrong_logs(self, said, records):
        return ""

    def log_bytes(self):
        """Of the log lines on disk. None: unknown."""
        return None


def block_yaml(settings, indent=""):
    lines = []
    for key, value in settings.items():
        if isinstance(value, dict):
            lines += [f"{indent}{key}:", *block_yaml(value, indent + "  ")]
        else:
            lines.append(f"{indent}{key}: {value}")
    return lines


class Receiver(Server):
    """detritusd and detritus-server have tokens and the layout of the data directory in common. data: a directory that
    there is already; else a new one."""

    def __init__(self, tools, path, directory, data=None):
        super().__init__(tools, path, directory)
        self.data = pathlib.Path(data) if data else self.directory / "data"

    def make_tokens(self):
        """A token with Argon2id of the usual cost, and rate limits that are never reached."""
        tokens = self.directory / "tokens.toml"
        done = subprocess.run([self.tools.detritusctl, "token", "add", "--id", "bench", "--project", PROJECT,
                               "--tokens-config", tokens], capture_output=True, text=True, check=True)
        self.token = done.stdout.strip()
        with tokens.open("a") as file:
            file.write("\n[rate_limit]\n" + "".join(f"{key} = {value}\n" for key, value in UNLIMITED.items()))
        return tokens

    def _wait_listening(self):
        begin = time.perf_counter()
        self.url = "http://" + self.process.wait_line(r"listening.*\baddr\W+([0-9.]+:\d+)")[1]
        self.start_ms = (time.perf_counter() - begin) * 1000
        return self

    def log_files(self):
        return self.data.glob("logs/*/*/*.ndjson")

    def log_bytes(self):
        return sum(path.stat().st_size for path in self.log_files())

    def wrong_logs(self, said, records):
        if not said["numbered"]:
            return wrong_count(self.log_files(), rb"\n", said["ok"] * records)
        return wrong_numbers(self.log_files(), said["ok"] * records)

    def wrong_crashes(self, said, size, before=0):
        """before: how many dumps of that size were there already."""
        return wrong_blobs(self.data.glob("crashes/by-hash/*/*.bin"), size, said["ok"] + before)


class Detritus(Receiver):
    """config: settings over the defaults."""

    has_index = True

    def __init__(self, tools, path, directory, data=None, config=None):
        super().__init__(tools, path, directory, data)
        self.config = config or {}

    def start(self):
        settings = {"bind": "127.0.0.1:0", "data_dir": self.data, "tokens_config": self.make_tokens(), **self.config,
                    "limits": {**MANY_CONNECTIONS, **self.config.get("limits", {})}}
        path = self.directory / "detritusd.yaml"
        path.write_text("\n".join(block_yaml(settings)) + "\n")
        self._launch("--config", path)
        return self._wait_listening()

    def metrics(self):
        """{name with its labels: value}"""
        with urllib.request.urlopen(self.url + "/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return {line.split()[0]: float(line.split()[1]) for line in lines if line and line[0] != "#"}

    def crash_rows(self):
        with contextlib.closing(sqlite3.connect(f"file:{self.data}/detritus.db?mode=ro", uri=True)) as database:
            return database.execute("SELECT count(*) FROM crash").fetchone()[0]

    def wrong_crashes(self, said, size, before=0, rows_before=0):
        rows = self.crash_rows()
        if rows != said["ok"] + rows_before:
            return f"{rows} crashes in the index, {said['ok'] + rows_before} acknowledged"
        return super().wrong_crashes(said, size, before)
