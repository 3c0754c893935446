"""How one transaction keeps all drains out, so that nothing is stored while it looks whether anything is left.

A drain stores under codes and into visits that it remembers, and learns at the beginning of a transaction that some of
them are gone. So whoever takes codes away, or says that there is nothing left, must not do so in the middle of one:
every drain's transaction shares a lock, and who needs to be alone waits until the running ones have ended. Those that
begin afterwards wait for it, and see what it did.
"""

from typing import Any, Final

import psycopg

_STORING: Final = 0x73746F72  # of PostgreSQL's advisory locks
# After so long the drains go on and the removal is tried another time: a drain may have lost its machine.
WAIT_SECONDS: Final = 10

# Two statements in one message: the second has a snapshot of its own, from after the lock was given.
_ENTER: Final = (
    f"SELECT pg_advisory_xact_lock_shared({_STORING}); SELECT m.value FROM meta m WHERE m.name = 'hot_generation'"
)


def enter(connection: psycopg.Connection[tuple[Any, ...]]) -> int:
    """Begin to store, in the transaction that is open and until it ends; gives the generation of what is stored."""
    cursor = connection.execute(_ENTER, prepare=False)
    cursor.nextset()
    row = cursor.fetchone()
    return int(row[0]) if row else 0


async def keep_drains_out(connection: psycopg.AsyncConnection[tuple[Any, ...]]) -> None:
    """Be alone until the transaction ends that is open. Raises psycopg.errors.LockNotAvailable."""
    await connection.execute(f"SET LOCAL lock_timeout = '{WAIT_SECONDS}s'")
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", (_STORING,))
