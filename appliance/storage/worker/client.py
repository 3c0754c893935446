"""The serving process's side of a query worker, which starts on demand and ends when idle.

The worker is asked through a pipe, one question after the other. One that died is started again and asked once more
what it was answering; one that does not react to a cancellation is killed. Neither DuckDB nor numpy is imported here.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
import structlog

import appliance
from appliance.errors import ChunkDamaged, Invalid, QueryTimeout, RawPurged, StorageUnavailable
from appliance.storage.evaluation import NotRolledUp, SampledData
from appliance.storage.worker.pipe import LENGTH_BYTES, Cancel, Done, Question, Reply, Request, frame

log = structlog.get_logger(__name__)

ATTEMPTS: Final = 2  # of a question whose worker died while answering it
SHARE_MIN: Final = 256 << 20  # bytes
SHARE_MAX: Final = 8192 << 20
GRACE_SECONDS: Final = 2.0  # for a worker to drop a question that was cancelled

# Arrays of a chunk's column come and go by the hundred; from the heap of glibc they leave it full of holes (measured: a
# quarter of the worker's memory), in pages of their own they go back to the system.
_MALLOC: Final = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "2"}
_LIMIT: Final = Path("/sys/fs/cgroup/memory.max")  # of a container, in bytes
_ROOT: Final = str(Path(appliance.__file__).resolve().parent.parent)
_REPLIES: Final[msgspec.msgpack.Decoder[Reply]] = msgspec.msgpack.Decoder(Reply)


def memory_share() -> int:
    """Bytes of the machine, or of the container, that are a query worker's unless it is told otherwise: a quarter."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):  # there is no such file, or it says 'max'
        total = min(total, int(_LIMIT.read_text()))
    return min(max(total // 4, SHARE_MIN), SHARE_MAX)


class _Waiting:
    """A request that waits for its reply."""

    __slots__ = ("attempts", "reply", "request", "sent_to")

    def __init__(self, request: Question, reply: asyncio.Future[msgspec.Raw]) -> None:
        self.request = request
        self.reply = reply
        self.attempts = 0
        self.sent_to: _Worker | None = None


class _Worker:
    """One worker process and the task that reads its replies."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._reading: asyncio.Task[None] | None = None

    def read(self, on_reply: Callable[[Reply], None], on_end: Callable[["_Worker"], None]) -> None:
        """Give every reply to `on_reply`, and the worker itself to `on_end` when it is gone."""
        self._reading = asyncio.create_task(self._read(on_reply, on_end))

    async def _read(self, on_reply: Callable[[Reply], None], on_end: Callable[["_Worker"], None]) -> None:
        replies = self._process.stdout
        assert replies is not None
        try:
            while True:
                size = int.from_bytes(await replies.readexactly(LENGTH_BYTES), "little")
                on_reply(_REPLIES.decode(await replies.readexactly(size)))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        await self._process.wait()
        on_end(self)

    async def send(self, request: Request) -> None:
        """Nothing is raised when the worker is gone: `on_end` tells."""
        requests = self._process.stdin
        assert requests is not None
        try:
            requests.write(frame(request))
            await requests.drain()
        except (ConnectionError, RuntimeError):
            pass

    def end(self) -> None:
        """Close its stdin: it ends at once, whatever it is doing."""
        if self._process.stdin is not None:
            self._process.stdin.close()

    def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()

    async def ended(self) -> None:
        if self._reading is not None:
            await self._reading

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        return self._process.returncode


class WorkerClient:
    """Asks the worker that `python -m <module> <arguments>` is, with `environment` beside this process's own.

    It ends after `idle_seconds` without a question; a question may take `timeout_seconds`, its wait for others
    included.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str] = {},
        idle_seconds: float,
        timeout_seconds: float,
    ) -> None:
        self._command = (sys.executable, "-m", module, *arguments)
        self._environment = environment
        self._idle_seconds = idle_seconds
        self._timeout_seconds = timeout_seconds
        self._worker: _Worker | None = None
        self._starting: asyncio.Task[_Worker] | None = None
        self._questions: dict[int, _Waiting] = {}
        self._last_id = 0
        self._idle: asyncio.TimerHandle | None = None
        self._cancelling: dict[int, asyncio.TimerHandle] = {}
        self._restart: asyncio.Task[None] | None = None
        self._closed = False

    async def warm(self) -> None:
        """Start the worker, if none runs, because a question is about to come."""
        await self._running()
        self._end_when_idle()

    @property
    def worker_pid(self) -> int | None:
        """Process id of the worker, None while none runs."""
        return self._worker.pid if self._worker is not None else None

    async def close(self) -> None:
        """End the worker; whoever still waits gets StorageUnavailable."""
        self._closed = True
        if self._idle is not None:
            self._idle.cancel()
        for question in self._waiting():
            self._fail(question, StorageUnavailable("the appliance is stopping"))
        if self._restart is not None:
            await self._restart
        if self._starting is not None:
            await asyncio.wait([self._starting])
        if (worker := self._worker) is not None:
            self._worker = None
            worker.end()
            await worker.ended()

    # ------------------------------------------------------------------ asking

    def next_id(self) -> int:
        """For the next request."""
        self._last_id += 1
        return self._last_id

    async def put(self, request: Question) -> msgspec.Raw:
        """The result of a request, whose id is `next_id()`. Cancelling the call stops the work.

        Raises QueryTimeout, StorageUnavailable, and what the worker says is the fault.
        """
        if self._closed:
            raise StorageUnavailable("the appliance is stopping")
        if self._idle is not None:
            self._idle.cancel()
        question = _Waiting(request, asyncio.get_running_loop().create_future())
        self._questions[request.id] = question
        try:
            async with asyncio.timeout(self._timeout_seconds):
                await self._send(question)
                return await question.reply
        except TimeoutError:
            self._cancel(question)
            raise QueryTimeout(f"the question took longer than {self._timeout_seconds:g} seconds") from None
        except asyncio.CancelledError:
            self._cancel(question)
            raise
        finally:
            self._questions.pop(request.id, None)
            self._end_when_idle()

    async def _send(self, question: _Waiting) -> None:
        worker = await self._running()
        if question.sent_to is not worker:  # else sent already, after a restart
            question.sent_to = worker
            await worker.send(question.request)

    async def _running(self) -> _Worker:
        if self._worker is not None:
            return self._worker
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
        # Whoever asked first may leave: the others wait for the same start.
        return await asyncio.shield(self._starting)

    async def _start(self) -> _Worker:
        try:
            process = await self._spawn()
        except OSError as error:
            raise StorageUnavailable(f"cannot start the query worker: {error}") from error
        finally:
            self._starting = None
        self._worker = worker = _Worker(process)
        worker.read(self._on_reply, self._on_end)
        return worker

    async def _spawn(self) -> asyncio.subprocess.Process:
        # The package is found where this process found it, whatever the working directory is by now.
        path = os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH"))))
        return await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, close_fds=True,
            env={**os.environ, **_MALLOC, **self._environment, "PYTHONPATH": path},
        )  # fmt: skip

    # ------------------------------------------------------------------ replies

    def _on_reply(self, reply: Reply) -> None:
        if (timer := self._cancelling.pop(reply.id, None)) is not None:
            timer.cancel()
        question = self._questions.get(reply.id)
        if question is None or question.reply.done():
            return
        if isinstance(reply, Done):
            question.reply.set_result(reply.result)
        elif reply.fault == "purged":
            question.reply.set_exception(RawPurged(reply.message))
        elif reply.fault == "invalid":
            question.reply.set_exception(Invalid(reply.message, code="invalid_pattern"))
        elif reply.fault == "damaged":
            question.reply.set_exception(ChunkDamaged(reply.message))
        elif reply.fault == "sampled":
            question.reply.set_exception(SampledData(reply.message))
        elif reply.fault == "unrolled":
            question.reply.set_exception(NotRolledUp())
        else:
            question.reply.set_exception(StorageUnavailable(f"the question failed: {reply.message or reply.fault}"))

    def _on_end(self, worker: _Worker) -> None:
        """A worker is gone. The one in use was not asked to: what it was answering is asked once more."""
        if worker is not self._worker:
            return
        self._worker = None
        for timer in self._cancelling.values():
            timer.cancel()
        self._cancelling.clear()
        log.warning("the query worker ended by itself", exit_status=worker.exit_status)
        waiting = self._waiting()
        if not waiting:
            return
        # Questions are answered in order, so the first is the one that it died of; the others only waited.
        first = waiting[0]
        first.attempts += 1
        if first.attempts >= ATTEMPTS:
            self._fail(first, StorageUnavailable("the query worker ended twice while answering"))
        self._restart = asyncio.create_task(self._ask_again())

    async def _ask_again(self) -> None:
        for question in self._waiting():
            try:
                await self._send(question)
            except StorageUnavailable as error:
                self._fail(question, error)

    def _waiting(self) -> list[_Waiting]:
        """Questions without a reply, in the order they were asked."""
        return [question for question in self._questions.values() if not question.reply.done()]

    # ------------------------------------------------------------------ ending

    def _cancel(self, question: _Waiting) -> None:
        """Nobody waits for this answer: the worker drops it, or is killed when it does not react."""
        worker, question_id = self._worker, question.request.id
        answered = question.reply.done() and not question.reply.cancelled()
        if worker is None or question.sent_to is not worker or answered:
            return
        loop = asyncio.get_running_loop()
        self._cancelling[question_id] = loop.call_later(GRACE_SECONDS, worker.kill)
        task = loop.create_task(worker.send(Cancel(question_id)))
        _background.add(task)
        task.add_done_callback(_background.discard)

    def _end_when_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if not self._questions and self._worker is not None and not self._closed:
            self._idle = asyncio.get_running_loop().call_later(self._idle_seconds, self._end_idle)

    def _end_idle(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.end()

    @staticmethod
    def _fail(question: _Waiting, error: StorageUnavailable) -> None:
        if not question.reply.done():
            question.reply.set_exception(error)


_background: set[asyncio.Task[None]] = set()  # a task that nobody holds may be collected before it ran
