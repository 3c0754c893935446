"""The SQLite engine's `QueryEngine`: a worker process answers. Neither DuckDB nor numpy is imported here."""

from pathlib import Path
from typing import Final, Literal

import msgspec

from appliance.storage.evaluation import Answer, Plan
from appliance.storage.worker.client import WorkerClient, memory_share
from appliance.storage.worker.pipe import Ask, AskFirstEvent

_MODULE: Final = "appliance.storage.sqlite.worker.main"
_ANSWERS: Final[msgspec.msgpack.Decoder[Answer]] = msgspec.msgpack.Decoder(Answer)
_TIMES: Final[msgspec.msgpack.Decoder[int | None]] = msgspec.msgpack.Decoder(int | None)


class Evaluator(WorkerClient):
    """Answers questions over the SQLite file `path`; `memory_bytes` 0 is `memory_share()`.

    `temp_directory` takes what DuckDB spills; the worker ends after `idle_seconds` without a question; a question may
    take `timeout_seconds`, its wait for others included; the worker keeps and sorts data in `memory_bytes`, beside some
    150 MB of its own.
    """

    dialect: Literal["duckdb", "postgresql"] = "duckdb"
    rolled_dialect: Literal["duckdb", "postgresql"] = "duckdb"

    def __init__(
        self,
        path: Path,
        *,
        temp_directory: Path,
        idle_seconds: float = 300,
        timeout_seconds: float = 30,
        memory_bytes: int = 0,
        threads: int = 2,
    ) -> None:
        arguments = [str(path), str(temp_directory), str(memory_bytes or memory_share()), str(threads)]
        super().__init__(_MODULE, arguments, idle_seconds=idle_seconds, timeout_seconds=timeout_seconds)

    async def ask(self, plan: Plan) -> Answer:
        return _ANSWERS.decode(await self.put(Ask(self.next_id(), plan)))

    async def first_event(self, project_id: int) -> int | None:
        return _TIMES.decode(await self.put(AskFirstEvent(self.next_id(), project_id)))
