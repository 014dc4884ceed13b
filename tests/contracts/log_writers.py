"""What other processes do to a log in tests; importable by its name, so that spawned processes find it."""

from __future__ import annotations

import multiprocessing
import os
import threading
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

from mltrail_core.ids import PARTITIONS, Partition
from mltrail_core.log import Appended, NewRecord, open_log
from mltrail_core.record import FrozenRecord

SPAWN = multiprocessing.get_context("spawn")
Acknowledged = tuple[Partition, int, int, bytes]
"""Partition, index, appended_us and bytes of a record whose append returned."""


def new_record(partition: Partition, content: str | bytes) -> NewRecord:
    """Return a record with these bytes; a log does not look inside."""
    return NewRecord(partition, FrozenRecord(content.encode() if isinstance(content, str) else content))


def acknowledged(records: Sequence[NewRecord], appended: Sequence[Appended]) -> list[Acknowledged]:
    """Return what an append acknowledged."""
    return [
        (done.partition, done.index, done.appended_us, record.frozen)
        for record, done in zip(records, appended, strict=True)
    ]


def append_from_threads(url: str, name: str, threads: int, appends: int) -> list[Acknowledged]:
    """Append `appends` batches of 3 records from each of some threads that share one log; return what was confirmed."""
    log = open_log(url)

    def append(thread: int) -> list[Acknowledged]:
        done: list[Acknowledged] = []
        for n in range(appends):
            records = [new_record(PARTITIONS[(n + k) % 4], f"{name}-{thread}-{n}-{k}") for k in range(3)]
            done += acknowledged(records, log.append(records))
        return done

    try:
        with ThreadPoolExecutor(threads) as pool:
            return [each for result in pool.map(append, range(threads)) for each in result]
    finally:
        log.close()


def log_id_of(url: str) -> str:
    """Open the log, begin it if there is none, and return its id."""
    log = open_log(url)
    try:
        return log.identity.log_id
    finally:
        log.close()


def append_one(url: str, content: str) -> None:
    """Append one record to partition 05."""
    log = open_log(url)
    try:
        log.append([new_record(Partition("05"), content)])
    finally:
        log.close()


def append_until_killed(url: str, confirmed_path: str) -> None:
    """Append for ever, writing to a file the number of each record that was confirmed."""
    log = open_log(url)
    with open(confirmed_path, "a", buffering=1) as confirmed:
        n = 0
        while True:
            n += 1
            [done] = log.append([new_record(Partition("03"), f"{os.getpid()}-{n}" + "x" * 2000)])
            confirmed.write(f"{done.index} {os.getpid()}-{n}\n")


def in_other_processes(
    work: Callable[..., list[Acknowledged]], arguments: Sequence[tuple[object, ...]]
) -> list[Acknowledged]:
    """Run `work` in one spawned process for each of `arguments`, at once, and return all that they acknowledged."""
    with ProcessPoolExecutor(len(arguments), mp_context=SPAWN) as pool:
        futures = [pool.submit(work, *each) for each in arguments]
        return [each for future in futures for each in future.result(timeout=120)]


def fork() -> int:
    """Do as os.fork does; Python 3.12 and later warn of threads, which is what these tests are about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def in_child(work: Callable[[], None]) -> int:
    """Fork, do `work` in the child and return the child's exit status: 0 when it raised nothing."""
    process_id = fork()
    if process_id == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(process_id, 0)[1])


def thread_doing(work: Callable[[], object]) -> threading.Thread:
    """Return a started thread."""
    thread = threading.Thread(target=work)
    thread.start()
    return thread
