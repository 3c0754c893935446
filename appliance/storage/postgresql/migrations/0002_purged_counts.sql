-- Events that are purged from now on stay counted in the views that are made after this (aggregates.py).
CREATE TABLE purged_count (
  project_id  BIGINT  NOT NULL,
  bucket      BIGINT  NOT NULL,
  source      INTEGER NOT NULL,
  name        INTEGER NOT NULL,
  kind        SMALLINT NOT NULL,
  rate        INTEGER NOT NULL,
  events      BIGINT  NOT NULL,
  PRIMARY KEY (project_id, bucket, source, name, kind, rate)
);
