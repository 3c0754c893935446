-- The whole schema of the SQLite engine. Times are UTC microseconds. Text values of events and visits are codes of
-- `dictionary`, dense from 1 per project and dimension; code 0 is the empty text and is not stored.

-- ---------------------------------------------------------------- management

CREATE TABLE meta (
  name        TEXT    PRIMARY KEY,
  value       TEXT    NOT NULL
) WITHOUT ROWID;

CREATE TABLE project (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again: caches know projects by it
  public_id   TEXT    NOT NULL UNIQUE,
  name        TEXT    NOT NULL CHECK (name <> ''),
  domains     TEXT    NOT NULL DEFAULT '[]',      -- JSON list of host names without www.
  timezone    TEXT    NOT NULL DEFAULT 'UTC',     -- IANA name
  currency    TEXT    NOT NULL DEFAULT 'EUR',     -- ISO 4217
  settings    TEXT    NOT NULL DEFAULT '{}',      -- JSON, model.ProjectSettings
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL,
  raw_purged_before INTEGER                       -- visits that ended before may be missing; NULL: nothing is
);

CREATE TABLE api_key (
  id          INTEGER PRIMARY KEY,
  project_id  INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  kind        TEXT    NOT NULL CHECK (kind IN ('public', 'private')),
  name        TEXT    NOT NULL DEFAULT '',
  prefix      TEXT    NOT NULL,                   -- the first characters, to recognise a key by
  token       TEXT    UNIQUE,                     -- public keys only
  hash        BLOB    UNIQUE,                     -- private keys only: SHA-256
  scopes      TEXT    NOT NULL DEFAULT '[]',      -- JSON list: send, read, manage
  created_at  INTEGER NOT NULL,
  last_used_at INTEGER,
  revoked_at  INTEGER,
  expires_at  INTEGER,                            -- of one that was replaced, for as long as it still holds
  CHECK ((kind = 'public') = (token IS NOT NULL) AND (kind = 'private') = (hash IS NOT NULL))
);

CREATE TABLE key_use (                            -- how much a key was used on a UTC day
  key_id      INTEGER NOT NULL REFERENCES api_key (id) ON DELETE CASCADE,
  day         INTEGER NOT NULL,                   -- days since 1970
  requests    INTEGER NOT NULL,
  events      INTEGER NOT NULL,                   -- that were sent, whatever became of them
  audited     INTEGER NOT NULL DEFAULT 0,         -- 1: the day is over and stands in the audit log
  PRIMARY KEY (key_id, day)
) WITHOUT ROWID;

CREATE TABLE account (
  id            INTEGER PRIMARY KEY,
  email         TEXT    NOT NULL UNIQUE COLLATE NOCASE,
  name          TEXT    NOT NULL DEFAULT '',
  password_hash TEXT    NOT NULL,                 -- argon2id
  role          TEXT    NOT NULL CHECK (role IN ('owner', 'admin', 'viewer', 'member')),
  created_at    INTEGER NOT NULL
);

CREATE TABLE membership (
  account_id  INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  project_id  INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  role        TEXT    NOT NULL CHECK (role IN ('owner', 'admin', 'viewer')),
  PRIMARY KEY (account_id, project_id)
) WITHOUT ROWID;

CREATE TABLE login_session (
  token_hash  BLOB    PRIMARY KEY,                -- SHA-256 of the cookie's token
  account_id  INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
  created_at  INTEGER NOT NULL,
  expires_at  INTEGER NOT NULL,
  user_agent  TEXT    NOT NULL DEFAULT ''
) WITHOUT ROWID;

CREATE TABLE ticket (                             -- opens a stream once; for some seconds
  digest      BLOB    PRIMARY KEY,                -- SHA-256
  token_hash  BLOB    NOT NULL REFERENCES login_session (token_hash) ON DELETE CASCADE,  -- whose it is
  expires_at  INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE audit (
  id          INTEGER PRIMARY KEY,
  at          INTEGER NOT NULL,
  actor       TEXT    NOT NULL,                   -- e-mail of an account, 'cli', or a key's prefix
  action      TEXT    NOT NULL,                   -- project.create, key.revoke, ...
  subject     TEXT    NOT NULL DEFAULT '',
  detail      TEXT    NOT NULL DEFAULT ''
);

CREATE TABLE goal (
  id          INTEGER PRIMARY KEY,
  project_id  INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  name        TEXT    NOT NULL CHECK (name <> ''),
  kind        TEXT    NOT NULL CHECK (kind IN ('event', 'page')),
  pattern     TEXT    NOT NULL,                   -- the event's name, or a path with * and **
  property    TEXT    NOT NULL DEFAULT '',        -- '': any event
  value       TEXT    NOT NULL DEFAULT '',
  currency    TEXT    NOT NULL DEFAULT '',        -- '': with or without revenue
  created_at  INTEGER NOT NULL,
  UNIQUE (project_id, name)
);

CREATE TABLE funnel (
  id          INTEGER PRIMARY KEY,
  project_id  INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  name        TEXT    NOT NULL CHECK (name <> ''),
  steps       TEXT    NOT NULL,                   -- JSON: a list of {on, step, where, value}, in order
  within      TEXT    NOT NULL CHECK (within IN ('visit', '1h', '1d', '7d', '30d')),
  strict      INTEGER NOT NULL CHECK (strict IN (0, 1)),
  created_at  INTEGER NOT NULL,
  UNIQUE (project_id, name)
);

CREATE TABLE segment (
  id          INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again: addresses and queries name segments by it
  project_id  INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  name        TEXT    NOT NULL CHECK (name <> ''),
  filters     TEXT    NOT NULL,                   -- JSON: a list of filters as in the Stats API, all of which hold
  created_at  INTEGER NOT NULL,
  UNIQUE (project_id, name)
);

CREATE TABLE exclusion (                          -- a project's own rules of what is filtered before it is stored
  id          INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again: what was filtered names its rule by it
  project_id  INTEGER NOT NULL REFERENCES project (id) ON DELETE CASCADE,
  kind        TEXT    NOT NULL,                   -- storage/exclusions.py
  value       TEXT    NOT NULL CHECK (value <> ''),
  note        TEXT    NOT NULL DEFAULT '',
  author      TEXT    NOT NULL,                   -- e-mail of an account
  created_at  INTEGER NOT NULL,
  removed_at  INTEGER                             -- NULL: in force; taken back, it is still named for a while
);
CREATE UNIQUE INDEX exclusion_in_force ON exclusion (project_id, kind, value) WHERE removed_at IS NULL;

CREATE TABLE secret (
  name        TEXT    PRIMARY KEY,
  value       BLOB    NOT NULL
) WITHOUT ROWID;

CREATE TABLE salt (
  day         INTEGER PRIMARY KEY,                -- days since 1970, as a project's local calendar counts them
  value       BLOB    NOT NULL
);

-- ---------------------------------------------------------------- ingestion

CREATE TABLE checkpoint (
  journal_id  BLOB    PRIMARY KEY,                -- random id of the journal, from its segment headers
  segment     INTEGER NOT NULL,
  position    INTEGER NOT NULL,                   -- byte after the last drained record
  at          INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE seen (                               -- deduplication: ids that clients sent, within the window
  project_id  INTEGER NOT NULL,
  event_id    BLOB    NOT NULL,                   -- storage/event_ids.py
  received_day INTEGER NOT NULL,
  fingerprint INTEGER NOT NULL,                   -- CRC-32 of the content, to tell a retry from a conflict
  event       INTEGER NOT NULL,                   -- event.id, for engagement that names its pageview; 0: none stored
  PRIMARY KEY (project_id, event_id)
) WITHOUT ROWID;

CREATE TABLE early_engagement (                   -- engagement that came before its pageview; it waits a minute or two
  id          INTEGER PRIMARY KEY,                -- ascending in journal order
  project_id  INTEGER NOT NULL,
  name        TEXT    NOT NULL,
  path        TEXT    NOT NULL,
  time        INTEGER NOT NULL,
  received    INTEGER NOT NULL,
  pageview_id TEXT    NOT NULL,                   -- as sent
  scroll_depth INTEGER NOT NULL,                  -- percent
  engaged_ms  INTEGER NOT NULL
);

CREATE TABLE dead_letter (
  id          INTEGER PRIMARY KEY,
  at          INTEGER NOT NULL,
  project_id  INTEGER NOT NULL,
  error       TEXT    NOT NULL,
  event       BLOB    NOT NULL,                   -- the journaled record, MessagePack
  retry_at    INTEGER                             -- when somebody asked to store it again; NULL: nobody has
);

-- ---------------------------------------------------------------- imports

CREATE TABLE import (                             -- files, for ever: no byte of one is taken twice
  id          TEXT    PRIMARY KEY,                -- UUID
  project_id  INTEGER NOT NULL,
  name        TEXT    NOT NULL,                   -- of the file, as it was given
  format      TEXT    NOT NULL,                   -- ingest/imports/formats.py
  source      TEXT    NOT NULL DEFAULT '',        -- of events that name none
  honoured    INTEGER NOT NULL CHECK (honoured IN (0, 1)),  -- 1: visits and visitors are taken as the file says
  head        BLOB    NOT NULL,                   -- BLAKE2b of the first bytes, so many
  head_bytes  INTEGER NOT NULL,
  position    INTEGER NOT NULL DEFAULT 0,         -- what comes before is stored; a byte of what the file decompresses to
  line        INTEGER NOT NULL DEFAULT 0,         -- how many lines are before
  digest      BLOB    NOT NULL,                   -- BLAKE2b of all that is before
  bytes_read  INTEGER NOT NULL DEFAULT 0,         -- of the file as it lies there
  bytes_total INTEGER NOT NULL DEFAULT 0,
  counts      TEXT    NOT NULL DEFAULT '{}',      -- JSON, storage/imports.py
  state       TEXT    NOT NULL CHECK (state IN ('waiting', 'running', 'done', 'stopped', 'failed')),
  error       TEXT    NOT NULL DEFAULT '',
  actor       TEXT    NOT NULL,                   -- e-mail of an account, 'cli', or a key's prefix
  created_at  INTEGER NOT NULL,
  updated_at  INTEGER NOT NULL,
  ended_at    INTEGER
);
CREATE INDEX import_head ON import (project_id, head);

CREATE TABLE import_salt (                        -- of an import's own, kept no longer than those of `salt` once it ended
  import_id   TEXT    NOT NULL,
  day         INTEGER NOT NULL,
  value       BLOB    NOT NULL,
  PRIMARY KEY (import_id, day)
) WITHOUT ROWID;

CREATE TABLE import_visit (                       -- visits by the numbers that a file gives them, while it is imported
  project_id  INTEGER NOT NULL,
  import_id   TEXT    NOT NULL,
  number      INTEGER NOT NULL,
  visit_id    INTEGER NOT NULL,
  near        INTEGER NOT NULL,                   -- a time in the visit's span
  PRIMARY KEY (import_id, number)
) WITHOUT ROWID;

CREATE TABLE imported_figure (                    -- what days added up to in another product: no visits are behind it
  project_id  INTEGER NOT NULL,
  dimension   TEXT    NOT NULL,                   -- as questions name it; '': of everybody
  day         INTEGER NOT NULL,                   -- days since 1970, as the project's calendar counts them
  value       TEXT    NOT NULL,                   -- of the dimension; '': none
  import_id   TEXT    NOT NULL,
  visitors    INTEGER NOT NULL,
  visits      INTEGER NOT NULL,
  pageviews   INTEGER NOT NULL,
  events      INTEGER NOT NULL,
  bounces     INTEGER NOT NULL,
  seconds     INTEGER NOT NULL,                   -- of all visits together
  PRIMARY KEY (project_id, dimension, day, value, import_id)
) WITHOUT ROWID;

-- ---------------------------------------------------------------- erasing

CREATE TABLE erasure (                            -- people who were asked to be erased, until they are; then only that
  id          INTEGER PRIMARY KEY,
  project_id  INTEGER NOT NULL,
  asked_at    INTEGER NOT NULL,
  users       TEXT    NOT NULL DEFAULT '[]',      -- JSON list of user ids; emptied once nothing is left of them
  visitors    TEXT    NOT NULL DEFAULT '[]',      -- JSON list of visitors; emptied then too
  found_out   INTEGER NOT NULL DEFAULT 0,         -- 1: these are all users and visitors that the person is
  visits      INTEGER NOT NULL DEFAULT 0,         -- taken out so far
  events      INTEGER NOT NULL DEFAULT 0,
  erased_at   INTEGER,                            -- when nothing of them was stored any more
  wiped_at    INTEGER                             -- when free pages and the write-ahead file had nothing of them either
);

CREATE TABLE blank (                              -- laid over free pages to wipe them; empty at other times
  id          INTEGER PRIMARY KEY,
  data        BLOB    NOT NULL
);

-- ---------------------------------------------------------------- events and visits, hot tier

CREATE TABLE dictionary (
  project_id  INTEGER NOT NULL,
  dimension   INTEGER NOT NULL,                   -- storage/dimensions.py
  code        INTEGER NOT NULL CHECK (code > 0),
  text        TEXT    NOT NULL,
  PRIMARY KEY (project_id, dimension, code)
) WITHOUT ROWID;
CREATE UNIQUE INDEX dictionary_text ON dictionary (project_id, dimension, text);

CREATE TABLE visit (
  id              INTEGER PRIMARY KEY,
  project_id      INTEGER NOT NULL,
  visitor         INTEGER NOT NULL,               -- signed 64-bit keyed hash
  salt_day        INTEGER,                        -- NULL: persistent visitor
  user            INTEGER NOT NULL,
  session_id      TEXT    NOT NULL DEFAULT '',    -- as the client sent it
  start           INTEGER NOT NULL,
  "end"           INTEGER NOT NULL,
  entry_at        INTEGER,                        -- NULL: no pageview yet
  exit_at         INTEGER,
  entry_path      INTEGER NOT NULL,
  entry_hostname  INTEGER NOT NULL,
  exit_path       INTEGER NOT NULL,
  exit_hostname   INTEGER NOT NULL,
  pageviews       INTEGER NOT NULL,
  events          INTEGER NOT NULL,
  interactive     INTEGER NOT NULL,               -- interactive events that are no pageviews
  rate            INTEGER NOT NULL,               -- at which the visitor was kept, parts per million
  referrer        INTEGER NOT NULL,
  referrer_source INTEGER NOT NULL,
  channel         INTEGER NOT NULL,
  utm_source      INTEGER NOT NULL,
  utm_medium      INTEGER NOT NULL,
  utm_campaign    INTEGER NOT NULL,
  utm_content     INTEGER NOT NULL,
  utm_term        INTEGER NOT NULL,
  click_id        INTEGER NOT NULL,
  country         INTEGER NOT NULL,
  region          INTEGER NOT NULL,
  city            INTEGER NOT NULL,
  browser         INTEGER NOT NULL,
  browser_version INTEGER NOT NULL,
  os              INTEGER NOT NULL,
  os_version      INTEGER NOT NULL,
  device          INTEGER NOT NULL,
  language        INTEGER NOT NULL,
  screen          INTEGER NOT NULL
);
CREATE INDEX visit_visitor ON visit (project_id, visitor, start);
CREATE INDEX visit_sampled ON visit (project_id, "end") WHERE rate <> 1000000;

CREATE TABLE alias (                              -- another visitor id under which a visit's next events may come
  project_id  INTEGER NOT NULL,
  visitor     INTEGER NOT NULL,
  visit_id    INTEGER NOT NULL,
  PRIMARY KEY (project_id, visitor)
) WITHOUT ROWID;

CREATE TABLE event (
  id          INTEGER PRIMARY KEY,
  project_id  INTEGER NOT NULL,
  event_id    BLOB    NOT NULL,                   -- storage/event_ids.py
  visit_id    INTEGER NOT NULL,                   -- the visitor, place and device are the visit's
  time        INTEGER NOT NULL,
  received    INTEGER NOT NULL,
  kind        INTEGER NOT NULL,                   -- model.Kind: pageview or custom
  flags       INTEGER NOT NULL,                   -- model.Flag
  rate        INTEGER NOT NULL,                   -- parts per million
  name        INTEGER NOT NULL,                   -- as sent
  source      INTEGER NOT NULL,
  hostname    INTEGER NOT NULL,
  path        INTEGER NOT NULL,
  title       INTEGER NOT NULL,
  user        INTEGER NOT NULL,
  scroll_depth INTEGER NOT NULL DEFAULT 0,        -- percent, largest seen
  engaged_ms  INTEGER NOT NULL DEFAULT 0,         -- summed
  revenue     INTEGER,                            -- minor units
  currency    INTEGER NOT NULL DEFAULT 0,
  context     INTEGER NOT NULL DEFAULT 0,         -- acquisition, place and device where they differ from the visit's
  properties  TEXT                                -- JSON object, NULL: none
);
CREATE INDEX event_sampled ON event (project_id, time) WHERE rate <> 1000000;

CREATE TABLE change (                             -- rows changed in place, for readers that keep rows in memory
  seq         INTEGER PRIMARY KEY AUTOINCREMENT,
  visits      TEXT    NOT NULL DEFAULT '[]',      -- ids, JSON
  events      TEXT    NOT NULL DEFAULT '[]'
);

-- ---------------------------------------------------------------- events and visits, sealed

CREATE TABLE chunk (                              -- visits that started on one local day, with all their events
  id          INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again: what readers keep of a chunk stays true
  project_id  INTEGER NOT NULL,
  day         INTEGER NOT NULL,                   -- days since 1970, as the project's calendar counts them
  visits      INTEGER NOT NULL CHECK (visits > 0),
  events      INTEGER NOT NULL,
  start       INTEGER NOT NULL,                   -- the earliest of its visits
  last_start  INTEGER NOT NULL,
  "end"       INTEGER NOT NULL,                   -- the latest of its visits
  first_visit INTEGER NOT NULL,                   -- smallest and largest ids
  last_visit  INTEGER NOT NULL,
  first_event INTEGER NOT NULL,
  last_event  INTEGER NOT NULL,
  timezone    TEXT    NOT NULL DEFAULT '',        -- whose calendar `day` counts; sealed anew when the project's is another
  sampled     INTEGER NOT NULL DEFAULT 0          -- 1: some rate in it is not 1000000
);
CREATE INDEX chunk_span ON chunk (project_id, start, last_start);

CREATE TABLE chunk_column (
  chunk_id    INTEGER NOT NULL,
  name        TEXT    NOT NULL,                   -- table.column
  data        BLOB    NOT NULL,                   -- storage/sqlite/packing.py
  UNIQUE (chunk_id, name)                         -- a table with row ids: blobs stay out of the key
);

CREATE TABLE wanderer (                           -- rotating visitors with a sealed visit outside the day of their salt
  project_id  INTEGER NOT NULL,
  salt_day    INTEGER NOT NULL,
  visitor     INTEGER NOT NULL,
  PRIMARY KEY (project_id, salt_day, visitor)
) WITHOUT ROWID;

-- ---------------------------------------------------------------- rollups

CREATE TABLE rollup (                             -- what the chunks of a closed day or month add up to
  id          INTEGER PRIMARY KEY AUTOINCREMENT,  -- never used again: what readers keep of a rollup stays true
  project_id  INTEGER NOT NULL,
  first_day   INTEGER NOT NULL,                   -- days since 1970, as the project's calendar counts them
  days        INTEGER NOT NULL CHECK (days > 0),
  start       INTEGER NOT NULL,
  "end"       INTEGER NOT NULL,
  timezone    TEXT    NOT NULL,
  chunks      INTEGER NOT NULL,                   -- of the visits inside [start, end): how many, and the newest
  newest_chunk INTEGER NOT NULL,
  wanderers   INTEGER NOT NULL,                   -- that were known of these days
  usable      INTEGER NOT NULL,                   -- 0: sampled data, which these sums do not speak of
  final       INTEGER NOT NULL,                   -- 1: of all events of a day, for when its raw data are purged
  UNIQUE (project_id, start, days)                -- days of two time zones may have one number
);

CREATE TABLE rollup_column (
  rollup_id   INTEGER NOT NULL,
  name        TEXT    NOT NULL,                   -- of the catalogue (rollups/catalog.py), or `visitors`
  data        BLOB    NOT NULL,
  UNIQUE (rollup_id, name)
);

CREATE TABLE user_trait (
  project_id  INTEGER NOT NULL,
  user        INTEGER NOT NULL,
  traits      TEXT    NOT NULL,                   -- JSON object, later values win per name
  updated_at  INTEGER NOT NULL,
  PRIMARY KEY (project_id, user)
) WITHOUT ROWID;

CREATE TABLE source (                             -- where in a project events come from, created on first sight
  id          INTEGER PRIMARY KEY,
  project_id  INTEGER NOT NULL,
  name        TEXT    NOT NULL,
  description TEXT    NOT NULL DEFAULT '',
  settings    TEXT    NOT NULL DEFAULT '{}',      -- JSON, model.SourceSettings
  created_at  INTEGER NOT NULL,
  seen_at     INTEGER NOT NULL,                   -- to the day
  UNIQUE (project_id, name)
);

CREATE TABLE monthly_usage (                      -- events by the month of their receipt, however long they are kept
  project_id  INTEGER NOT NULL,
  month       INTEGER NOT NULL,                   -- of the project's calendar; January 1970 is 0
  events      INTEGER NOT NULL,
  PRIMARY KEY (project_id, month)
) WITHOUT ROWID;
