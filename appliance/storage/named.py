"""What a project keeps under its own names (goals, saved funnels, segments): rows of a table with `id`, `project_id`,
`name`."""

from appliance.errors import Invalid, NotFound
from appliance.storage import audit
from appliance.storage.interface import Database, Params, Row


async def insert(
    db: Database, table: str, columns: str, values: Params, *, name: str, detail: str, actor: str, at: int
) -> Row:
    """Store a row with its entry in the audit log, and give back these columns of it. Raises Invalid for `name` when
    the project has another row of that name."""
    names = ", ".join(f'"{column}"' for column in values)
    marks = ", ".join(f":{column}" for column in values)
    statement = f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING RETURNING {columns}"
    note = audit.entry_if(
        f"EXISTS (SELECT 1 FROM {table} WHERE project_id = :project_id AND name = :name AND created_at = :created_at)",
        audit.entry(at, actor, f"{table}.create", name, detail),
        {column: values[column] for column in ("project_id", "name", "created_at")},
    )
    inserted, _ = await db.write_all([(statement, values), note])
    if not inserted:
        raise taken(table, name)
    return inserted[0]


async def delete(db: Database, table: str, columns: str, project_id: int, row_id: int) -> Row:
    """Remove a row; gives these columns of it. Raises NotFound where the project has no such row."""
    statement = f"DELETE FROM {table} WHERE id = :id AND project_id = :project_id RETURNING {columns}"
    deleted = await db.write(statement, {"id": row_id, "project_id": project_id})
    if not deleted:
        raise NotFound(f"There is no such {table}.")
    return deleted[0]


def taken(table: str, name: str) -> Invalid:
    """What to raise for a name that another row of the project has."""
    return Invalid(f"There is a {table} named “{name}” already.", code="taken", field="name")
