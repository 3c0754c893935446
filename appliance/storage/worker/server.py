"""The worker's side of the pipe: requests are read while a question is answered, one question at a time.

A worker's standard output belongs to its replies, and it ends when its standard input closes, whatever it is doing
then.
"""

import os
import queue
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, Protocol

import msgspec

from appliance.errors import ChunkDamaged, Invalid, RawPurged
from appliance.storage.evaluation import NotRolledUp, SampledData
from appliance.storage.worker.pipe import Cancel, Done, Failed, Question, Request, frame, read_frame

NICENESS: Final = 5  # ingestion goes first


class Cancelled(Exception):
    """Nobody waits for this answer any more."""


class Answering(Protocol):
    """What a worker does."""

    cancelled: threading.Event

    def interrupt(self) -> None:
        """Stop the question that is being answered, and set `cancelled`; called from another thread."""
        ...

    def answer(self, request: Question) -> Any:
        """The result (pipe.py)."""
        ...


class Server:
    """Reads requests in a thread of its own, so that a cancellation is seen while a question is answered."""

    def __init__(self, worker: Answering, requests: BinaryIO, replies: BinaryIO) -> None:
        self._worker = worker
        self._requests = requests
        self._replies = replies
        self._waiting: queue.SimpleQueue[Question] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._queued: set[int] = set()
        self._current = 0

    def serve(self) -> None:
        threading.Thread(target=self._listen, name="requests", daemon=True).start()
        while True:
            request = self._waiting.get()
            with self._lock:
                if request.id not in self._queued:
                    continue  # cancelled, and answered so
                self._queued.discard(request.id)
                self._current = request.id
                self._worker.cancelled.clear()
            reply = self._answer(request)
            with self._lock:
                self._current = 0
                self._send(reply)

    def _listen(self) -> None:
        try:
            self._receive()
        except BaseException:
            traceback.print_exc()  # a request that cannot be understood
            os._exit(1)
        os._exit(0)  # the asker is gone

    def _receive(self) -> None:
        decoder = msgspec.msgpack.Decoder(Request)
        while (body := read_frame(self._requests)) is not None:
            request = decoder.decode(body)
            if not isinstance(request, Cancel):
                with self._lock:
                    self._queued.add(request.id)
                self._waiting.put(request)
                continue
            with self._lock:
                if request.id == self._current:
                    self._worker.interrupt()
                else:  # queued, or answered already, or never sent: it is dropped in any case
                    self._queued.discard(request.id)
                    self._send(Failed(request.id, "cancelled"))

    def _answer(self, request: Question) -> Done | Failed:
        try:
            result = self._worker.answer(request)
            return Done(request.id, msgspec.Raw(msgspec.msgpack.encode(result)))
        except RawPurged as error:
            return Failed(request.id, "purged", str(error))
        except Invalid as error:
            return Failed(request.id, "invalid", str(error))
        except SampledData:
            return Failed(request.id, "sampled")
        except NotRolledUp:
            return Failed(request.id, "unrolled")
        except ChunkDamaged as error:
            return Failed(request.id, "damaged", str(error))
        except Exception as error:
            if self._worker.cancelled.is_set():
                return Failed(request.id, "cancelled")
            return Failed(request.id, "unavailable", f"{type(error).__name__}: {error}")

    def _send(self, reply: Done | Failed) -> None:
        self._replies.write(frame(reply))
        self._replies.flush()


def own_temp_directory(parent: Path) -> Path:
    """A folder for this process; those of workers that were killed are removed."""
    parent.mkdir(parents=True, exist_ok=True)
    for old in parent.glob("query-*"):
        if not _is_running(old.name.removeprefix("query-")):
            shutil.rmtree(old, ignore_errors=True)
    return parent / f"query-{os.getpid()}"


def _is_running(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def run(make: Callable[[], Answering]) -> None:
    """Be a worker until the asker is gone; `make` is called once nothing but replies can reach the pipe."""
    # The terminal's Ctrl-C reaches the whole group; only the serving process decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError):
        os.nice(NICENESS)
    # Nothing but replies may reach the pipe, whatever a library prints.
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    Server(make(), sys.stdin.buffer, replies).serve()
