"""Brokers of one's own to try a client on: `klamm broker` as a process on free ports of loopback."""
import ctypes
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import Dict, Optional

from ._errors import Error, NotYet, Refused
from ._live import Cluster, connect


def _program():
    """$KLAMM, the program of the build that this module is of, or the one that the shell finds."""
    beside = pathlib.Path(__file__).absolute().parents[2] / "klamm"
    found = os.environ.get("KLAMM") or (str(beside) if beside.is_file() else shutil.which("klamm"))
    if not found:
        raise Refused("there is no program klamm: name it in $KLAMM")
    return found


def _free_ports(count):
    """The first of so many in a row that nobody listens on."""
    for _ in range(1_000):
        first = 20_000 + int.from_bytes(os.urandom(2), "big") % 12_000  # below what the system gives to connections
        held = []
        try:
            for port in range(first, first + count):
                held.append(socket.create_server(("127.0.0.1", port)))
            return first
        except OSError:
            continue
        finally:
            for one in held:
                one.close()
    raise NotYet("no port is free")


def _die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Brokers:
    """Real brokers in one process, which ends with this one, in a folder that does too.

        with klamm.Brokers(3) as brokers:
            cluster = brokers.connect()
            brokers.kill(); brokers.start()      # as kill -9 does it, and back on what its disks hold

    count: how many. settings: options of brokers, {"num.partitions": 4}. Raises Refused where there is no program, NotYet
    when they do not come up within `seconds`."""

    def __init__(self, count: int = 1, settings: Optional[Dict[str, object]] = None, seconds: float = 20):
        self.count, self.settings, self.seconds = count, dict(settings or {}), seconds
        self._program = _program()
        self._folder = tempfile.TemporaryDirectory(prefix="klamm-brokers-")
        #: Where the brokers keep their files.
        self.folder = pathlib.Path(self._folder.name) / "data"
        self._process = None
        for attempt in range(3):  # who else looks for ports may have taken them meanwhile
            self._port = _free_ports(count + 1)
            self.bootstrap = ",".join(f"127.0.0.1:{self._port + i}" for i in range(count))
            try:
                self.start()
                break
            except NotYet as late:
                if attempt == 2 or "in use" not in str(late):
                    raise

    def start(self) -> "Brokers":
        """Starts them, on what is there of an earlier start."""
        if self._process is not None:
            raise Refused("the brokers run")
        words = [self._program, "broker", "--brokers", str(self.count), "--listen", f"127.0.0.1:{self._port}", "--dir",
                 str(self.folder)]
        for key, value in self.settings.items():
            words += ["--set", f"{key}={str(value).lower() if isinstance(value, bool) else value}"]
        log = self.folder.parent / "log"
        before = log.stat().st_size if log.exists() else 0
        with open(log, "ab") as out:
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                             preexec_fn=_die_with_parent if sys.platform == "linux" else None)
        until = time.monotonic() + self.seconds
        while True:
            said = log.read_bytes()[before:].decode(errors="replace")
            try:  # somebody else may answer at these ports: these must say that they do
                if "serving on" in said and len(connect(self.bootstrap, 2).brokers()) == self.count:
                    return self
            except Error:
                pass
            if self._process.poll() is not None or time.monotonic() > until:
                self.kill()
                said = log.read_bytes()[before:].decode(errors="replace")
                raise NotYet(f"the brokers did not come up:\n{said[-2000:]}")
            time.sleep(0.02)

    def _end(self, which):
        if self._process is None:
            return None
        self._process.send_signal(which)
        status = self._process.wait(timeout=60)
        self._process = None
        return status

    def kill(self) -> None:
        """Ends the process as kill -9 does; what it wrote stays with the machine."""
        self._end(signal.SIGKILL)

    def stop(self) -> Optional[int]:
        """Asks it to stop and waits; gives its exit status."""
        return self._end(signal.SIGTERM)

    def connect(self, seconds: float = 10) -> Cluster:
        """A klamm.Cluster of them."""
        return connect(self.bootstrap, seconds)

    def close(self) -> None:
        """Kills them and removes their files."""
        self.kill()
        self._folder.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __repr__(self):
        return f"<Brokers at {self.bootstrap}, {'up' if self._process else 'down'}>"
