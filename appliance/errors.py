"""Every error the appliance raises on purpose.

ApplianceError
├── Invalid                 what was asked or sent is wrong; carries code, field, pointer
│   ├── Unauthorized        no key or login, or a wrong one
│   ├── Forbidden           known, but not allowed: origin, scope, role
│   ├── NotFound            no such project, page, key
│   ├── RawPurged           the question needs events that are not kept any more
│   └── TooLarge            a limit was passed
├── Unavailable             try again later
│   ├── TooMany             a rate limit or a quota is used up
│   ├── JournalFull         the journal reached its byte limit
│   ├── JournalFailed       a write or sync failed; the group was not kept
│   ├── StorageUnavailable  the database is away, locked or out of space
│   ├── StorageFull         there is no room on the disk for what was sent
│   ├── Busy                as many of these as may be are under way
│   └── QueryTimeout        a question took longer than its limit
├── AskerGone               nobody waits for this answer any more
├── DataFolderLocked        another process serves this data folder
├── CheckpointMoved         another process drains the same journal
├── ChunkDamaged            a column of sealed rows is not what was written
├── DatabaseTooNew          the database was written by a newer version
└── ConfigurationError      a setting has a value that cannot be used

Raise near the fault with the facts; `web/problems.py` and `ingest/answers.py` turn it into a status in one place.
"""


class ApplianceError(Exception):
    """Something went wrong in the appliance."""

    status = 500
    code = "error"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or self.__doc__ or "")


class Invalid(ApplianceError):
    """The request is not valid."""

    status = 422
    code = "invalid"

    def __init__(
        self,
        message: str | None = None,
        *,
        code: str | None = None,
        field: str | None = None,
        pointer: str | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status
        self.field = field
        self.pointer = pointer


class Unauthorized(Invalid):
    """A valid key or login is needed."""

    status = 401
    code = "unauthorized"


class Forbidden(Invalid):
    """This is not allowed."""

    status = 403
    code = "forbidden"


class NotFound(Invalid):
    """There is no such thing here."""

    status = 404
    code = "not_found"


class RawPurged(Invalid):
    """The question needs events that are not kept any more."""

    status = 400
    code = "raw_purged_before"


class TooLarge(Invalid):
    """The request is too large."""

    status = 413
    code = "too_large"


class Unavailable(ApplianceError):
    """The appliance cannot do this now; try again later."""

    status = 503
    code = "unavailable"
    retry_after_seconds = 5


class TooMany(Unavailable):
    """More came than is let in."""

    status = 429
    code = "rate_limited"

    def __init__(self, message: str | None = None, *, retry_after_seconds: int, code: str | None = None) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
        if code is not None:
            self.code = code


class JournalFull(Unavailable):
    """The journal has reached its byte limit; events are refused until the database takes some."""

    code = "journal_full"
    retry_after_seconds = 10


class JournalFailed(Unavailable):
    """The journal could not be written or synced; nothing of this request was kept."""

    code = "journal_failed"


class StorageUnavailable(Unavailable):
    """The database cannot be used now."""

    code = "storage_unavailable"


class StorageFull(Unavailable):
    """There is no room on the disk for this."""

    status = 507
    code = "insufficient_storage"
    retry_after_seconds = 600


class Busy(Unavailable):
    """Too many of these are under way; try again when one of them has ended."""

    code = "busy"
    retry_after_seconds = 30


class TryAgain(StorageUnavailable):
    """Somebody else did the same, or the opposite, at the same moment; tried again at once it will do."""


class QueryTimeout(Unavailable):
    """The question took longer than its time limit."""

    code = "query_timeout"


class AskerGone(ApplianceError):
    """Whoever asked has closed the connection."""

    status = 499  # as nginx logs it; nobody receives it
    code = "asker_gone"


class DataFolderLocked(ApplianceError):
    """Another process already serves this data folder."""


class CheckpointMoved(ApplianceError):
    """Another process has drained the same journal meanwhile."""


class ChunkDamaged(ApplianceError):
    """A column of sealed rows cannot be read: its bytes changed after they were written."""

    status = 503  # of this range; it does not pass by itself, so nobody is asked to try again
    code = "chunk_damaged"


class DatabaseTooNew(ApplianceError):
    """The database was written by a newer version of the appliance."""


class ConfigurationError(ApplianceError):
    """A setting has a value that cannot be used."""
