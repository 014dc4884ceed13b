"""The process that `tests.preloaded` forks from: `python -m tests.preloaded_parent FD MODULE…` imports and waits.

It has one thread. Each order that comes over the socket `FD` is a length and so much JSON, with the child's stdin,
stdout and stderr and a pipe, over which the child's pid goes back once it is set up, and its status at its end. It ends
when the socket is closed.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
from importlib import import_module

LENGTH_BYTES = 4
_STANDARD_STREAMS = 3


class Parent:
    """Forks children as it is told, and tells how they end."""

    def __init__(self, orders: socket.socket) -> None:
        self._orders = orders
        self._reports: dict[int, int] = {}
        self._woken, self._wake = os.pipe()
        os.set_blocking(self._wake, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(self._wake)

    def next_child(self) -> list[str] | None:
        """Return what to run, in a new child; None in the parent, once nobody can order any more."""
        while True:
            ready, _, _ = select.select([self._orders.fileno(), self._woken], [], [])
            if self._woken in ready:
                os.read(self._woken, 4096)
                self._tell_of_the_ended()
            if self._orders.fileno() in ready:
                length, files, _, _ = socket.recv_fds(self._orders, LENGTH_BYTES, _STANDARD_STREAMS + 1)
                if not length:
                    return None
                order = json.loads(self._exactly(int.from_bytes(length)))
                pid = os.fork()
                if pid == 0:
                    self._become(order, files)
                    words: list[str] = order["words"]
                    return words
                self._reports[pid] = files.pop()
                for file in files:
                    os.close(file)

    def _exactly(self, length: int) -> bytes:
        said = b""
        while len(said) < length:
            part = self._orders.recv(length - len(said))
            if not part:
                raise EOFError(f"the socket was closed after {len(said)} of {length} bytes of an order")
            said += part
        return said

    def _become(self, order: dict[str, object], files: list[int]) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if order["is_leader"]:
            os.setsid()
        for number in range(_STANDARD_STREAMS):
            os.dup2(files[number], number)
        environment = order["environment"]
        assert isinstance(environment, dict)
        os.environ.clear()
        os.environ.update(environment)
        os.chdir(str(order["folder"]))
        os.write(files[-1], f"pid {os.getpid()}\n".encode())
        for file in (*files, self._woken, self._wake, *self._reports.values()):
            os.close(file)
        self._orders.close()

    def _tell_of_the_ended(self) -> None:
        while self._reports:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            report = self._reports.pop(pid)
            with contextlib.suppress(BrokenPipeError):  # nobody wants to know
                os.write(report, f"{os.waitstatus_to_exitcode(status)}\n".encode())
            os.close(report)


def main() -> None:
    """Import, and fork until the socket is closed."""
    orders = socket.socket(fileno=int(sys.argv[1]))
    orders.set_inheritable(False)
    for name in sys.argv[2:]:
        import_module(name)
    gc.collect()
    gc.freeze()  # what is shared with the children is not to be copied because it was counted
    words = Parent(orders).next_child()
    if words is not None:
        module, *arguments = words
        sys.argv[:] = [module, *arguments]
        runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
