"""The tables, as migrations that only expand: a newer schema can be read and written by the release before it.

`MIGRATIONS[i]` brings version i to i + 1. Offsets and lengths count raw (uncompressed) bytes of a stream; times are
Unix seconds; `*_json` columns hold JSON text.
"""

from __future__ import annotations

from typing import Final

MIGRATIONS: Final[tuple[str, ...]] = (
    """
-- An entity owns projects: a team (a namespace's name by default), or a user by its own name.
CREATE TABLE entity (
  name TEXT PRIMARY KEY, kind TEXT NOT NULL DEFAULT 'team' CHECK (kind IN ('user', 'team')), created REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE project (
  id INTEGER PRIMARY KEY, entity TEXT NOT NULL, name TEXT NOT NULL,
  visibility TEXT NOT NULL DEFAULT 'team' CHECK (visibility IN ('private', 'team', 'public')),
  creator INTEGER,              -- the user whom a private project belongs to
  description TEXT NOT NULL DEFAULT '', created REAL NOT NULL, UNIQUE (entity, name)
);

-- People, and the service accounts of teams.
CREATE TABLE user (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, admin INTEGER NOT NULL DEFAULT 0, created REAL NOT NULL,
  kind TEXT NOT NULL DEFAULT 'person' CHECK (kind IN ('person', 'service')), email TEXT NOT NULL DEFAULT '',
  default_entity TEXT,          -- where runs go that name no entity; NULL: the user's own
  disabled REAL                 -- since when its keys open nothing
);
CREATE TABLE api_key (
  lookup BLOB PRIMARY KEY,      -- first 8 bytes of SHA-256 of the key: finds the row, and names it for people
  hash BLOB NOT NULL,           -- SHA-256 of the key: compared in constant time
  user INTEGER NOT NULL REFERENCES user(id), created REAL NOT NULL, description TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE member (
  user INTEGER NOT NULL REFERENCES user(id), entity TEXT NOT NULL,
  role TEXT NOT NULL CHECK (role IN ('admin', 'member', 'viewer')), PRIMARY KEY (user, entity)
) WITHOUT ROWID;

-- Runs, as the controller writes them.
CREATE TABLE run (
  id TEXT PRIMARY KEY, entity TEXT NOT NULL, project TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,
  display_name TEXT NOT NULL, state TEXT NOT NULL, created REAL NOT NULL, updated REAL NOT NULL,
  record_json TEXT NOT NULL
);
CREATE INDEX run_by_age ON run (created DESC, id DESC);
CREATE INDEX run_by_entity ON run (entity, project, created DESC, id DESC);

-- A source is a pod (or what stands for one). A row may come from the pod (declare) or from the controller (join).
CREATE TABLE source (
  id INTEGER PRIMARY KEY, uid TEXT NOT NULL UNIQUE, issuer TEXT NOT NULL DEFAULT '',
  entity TEXT NOT NULL, namespace TEXT NOT NULL, pod TEXT NOT NULL DEFAULT '', node TEXT NOT NULL DEFAULT '',
  owner_json TEXT NOT NULL DEFAULT '{}', agent TEXT NOT NULL DEFAULT '',
  declared REAL, instance TEXT, epoch INTEGER NOT NULL DEFAULT 0,
  joined REAL, run_id TEXT, attempt INTEGER, node_rank INTEGER, incarnation INTEGER, phase TEXT NOT NULL DEFAULT '',
  deleted INTEGER NOT NULL DEFAULT 0, lost_reason TEXT,
  last_contact REAL, unsent INTEGER NOT NULL DEFAULT 0,
  final_unsent INTEGER,         -- what the controller read in the sidecar's last words
  final_total INTEGER,          -- sum of the streams' ends when it did: what came later was sent after all
  ended REAL,                   -- when its source.end was decoded
  clock_low REAL, clock_high REAL, clock_base REAL,     -- bounds of tracker's - source's clock: ingest/clock.py
  unknown_frames INTEGER NOT NULL DEFAULT 0, refused_series INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX source_by_run ON source (run_id) WHERE run_id IS NOT NULL;

CREATE TABLE stream (
  id INTEGER PRIMARY KEY, source INTEGER NOT NULL REFERENCES source(id), name TEXT NOT NULL, kind TEXT NOT NULL,
  labels_json TEXT NOT NULL, path TEXT, container TEXT, start INTEGER,       -- the labels that ranks are joined by
  generation INTEGER NOT NULL DEFAULT 0, end INTEGER NOT NULL DEFAULT 0,      -- newest generation and its durable end
  last_append REAL, inline_bytes INTEGER NOT NULL DEFAULT 0,                  -- raw bytes that are not sealed yet
  decoded_generation INTEGER NOT NULL DEFAULT 0, decoded INTEGER NOT NULL DEFAULT 0,
  malformed INTEGER NOT NULL DEFAULT 0, unknown INTEGER NOT NULL DEFAULT 0,
  UNIQUE (source, name)
);
CREATE INDEX stream_to_seal ON stream (inline_bytes) WHERE inline_bytes > 65536;
CREATE INDEX stream_to_decode ON stream (id)
  WHERE kind IN ('events', 'metrics', 'user') AND (decoded_generation < generation OR decoded < end);
CREATE TABLE generation (
  stream INTEGER NOT NULL, number INTEGER NOT NULL, end INTEGER NOT NULL, lost INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (stream, number)
) WITHOUT ROWID;
-- The inline tail: frames as they were sent. Sealed frames leave it for an object.
CREATE TABLE frame (
  id INTEGER PRIMARY KEY, stream INTEGER NOT NULL, generation INTEGER NOT NULL, start INTEGER NOT NULL,
  length INTEGER NOT NULL, coding TEXT NOT NULL, received REAL NOT NULL, payload BLOB NOT NULL
);
CREATE UNIQUE INDEX frame_at ON frame (stream, generation, start, length);
CREATE TABLE lost (
  stream INTEGER NOT NULL, generation INTEGER NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL,
  reason TEXT NOT NULL, received REAL NOT NULL, PRIMARY KEY (stream, generation, start)
) WITHOUT ROWID;
-- Sealed: one row for each contiguous range of a stream in an object; `directory` lists its blocks.
CREATE TABLE extent (
  stream INTEGER NOT NULL, generation INTEGER NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL,
  object TEXT NOT NULL, position INTEGER NOT NULL, directory BLOB NOT NULL, PRIMARY KEY (stream, generation, start)
) WITHOUT ROWID;
CREATE TABLE object (
  key TEXT PRIMARY KEY, bytes INTEGER NOT NULL, created REAL NOT NULL
) WITHOUT ROWID;

-- Decoded from events.
CREATE TABLE feed (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, source INTEGER NOT NULL, type TEXT NOT NULL, event_json TEXT NOT NULL,
  received REAL NOT NULL
);
CREATE TABLE unit (             -- a container start, or a rank in it
  id INTEGER PRIMARY KEY, source INTEGER NOT NULL, role TEXT NOT NULL CHECK (role IN ('container', 'rank')),
  container TEXT NOT NULL, start INTEGER NOT NULL, pid INTEGER NOT NULL, rank INTEGER, local_rank INTEGER,
  world_size INTEGER, restart INTEGER NOT NULL DEFAULT 0, state TEXT NOT NULL, exit_code INTEGER, signal INTEGER,
  oom_kills INTEGER NOT NULL DEFAULT 0, started REAL, ended REAL, stdout TEXT, stderr TEXT
);
CREATE UNIQUE INDEX unit_key ON unit (source, container, start, role, pid, ifnull(rank, -1), restart);

-- Decoded from metrics and user lines of a source, or (`source` is minus its id) from the lines of an SDK run.
CREATE TABLE series (
  id INTEGER PRIMARY KEY, source INTEGER NOT NULL, key TEXT NOT NULL, kind TEXT NOT NULL, scope TEXT NOT NULL,
  rank INTEGER, container TEXT NOT NULL DEFAULT '', count INTEGER NOT NULL DEFAULT 0,
  last REAL, last_time REAL,    -- last: NULL if not finite
  tail_count INTEGER NOT NULL DEFAULT 0, tail_since REAL
);
CREATE UNIQUE INDEX series_key ON series (source, key, kind, scope, ifnull(rank, -1), container);
CREATE INDEX series_to_seal ON series (tail_since) WHERE tail_count > 0;
CREATE TABLE point_tail (
  series INTEGER NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL, points BLOB NOT NULL,
  PRIMARY KEY (series, first)
) WITHOUT ROWID;
CREATE TABLE point_chunk (
  series INTEGER NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL,
  points BLOB NOT NULL,         -- store/pointcodec.py
  rollup BLOB NOT NULL          -- one summary for each 16 points: store/summaries.py
);
CREATE UNIQUE INDEX point_chunk_at ON point_chunk (series, first);
CREATE TABLE point_level (      -- store/levels.py
  series INTEGER NOT NULL, level INTEGER NOT NULL, first INTEGER NOT NULL, summaries BLOB NOT NULL,
  PRIMARY KEY (series, level, first)
) WITHOUT ROWID;
CREATE TABLE user_value (       -- config and summary of training code, the newest of each key
  source INTEGER NOT NULL, type TEXT NOT NULL, rank INTEGER NOT NULL, key TEXT NOT NULL, value_json TEXT NOT NULL,
  time REAL, PRIMARY KEY (source, type, rank, key)
) WITHOUT ROWID;
CREATE TABLE user_item (        -- alerts, checkpoints, progress, tags, in order
  id INTEGER PRIMARY KEY, source INTEGER NOT NULL, type TEXT NOT NULL, rank INTEGER, step REAL, time REAL,
  data_json TEXT NOT NULL
);
CREATE INDEX user_item_by_source ON user_item (source, type, id);

-- Files.
CREATE TABLE blob (
  sha256 TEXT PRIMARY KEY, size INTEGER NOT NULL, created REAL NOT NULL, md5 TEXT    -- base64, where it was computed
) WITHOUT ROWID;
CREATE TABLE upload (
  id TEXT PRIMARY KEY, source INTEGER NOT NULL, path TEXT NOT NULL, size INTEGER NOT NULL, sha256 TEXT NOT NULL,
  mtime REAL, policy TEXT NOT NULL, container TEXT, created REAL NOT NULL, expires REAL NOT NULL,
  received_sha256 TEXT,         -- set when all bytes are durable in staging
  file TEXT                     -- set by commit
) WITHOUT ROWID;
CREATE TABLE file (
  id TEXT PRIMARY KEY, source INTEGER NOT NULL, path TEXT NOT NULL, version INTEGER NOT NULL, size INTEGER NOT NULL,
  sha256 TEXT NOT NULL, mtime REAL, policy TEXT NOT NULL, container TEXT, stored REAL NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX file_version ON file (source, path, version);
CREATE INDEX file_by_content ON file (source, sha256);

-- SDK runs: what one wandb.init() makes. Who writes what: docs/decisions/0007.
CREATE TABLE sdk_run (
  id INTEGER PRIMARY KEY, project INTEGER NOT NULL REFERENCES project(id),
  name TEXT NOT NULL,           -- the SDK's run id
  display_name TEXT NOT NULL, notes TEXT NOT NULL DEFAULT '', group_name TEXT NOT NULL DEFAULT '',
  job_type TEXT NOT NULL DEFAULT '', sweep TEXT NOT NULL DEFAULT '', tags_json TEXT NOT NULL DEFAULT '[]',
  config_json TEXT NOT NULL DEFAULT '{}', summary_json TEXT NOT NULL DEFAULT '{}',
  host TEXT NOT NULL DEFAULT '', program TEXT NOT NULL DEFAULT '', repo TEXT NOT NULL DEFAULT '',
  commit_hash TEXT NOT NULL DEFAULT '',
  user INTEGER,                 -- who made it; NULL: a pod
  run_id TEXT,                  -- the Run whose pod made it
  state TEXT NOT NULL DEFAULT 'running' CHECK (state IN ('pending', 'running', 'finished', 'failed', 'crashed',
    'killed', 'preempting', 'preempted')),
  created REAL NOT NULL, updated REAL NOT NULL, heartbeat REAL NOT NULL, ended REAL, exit_code INTEGER,
  stop_asked INTEGER NOT NULL DEFAULT 0,
  branch INTEGER NOT NULL DEFAULT 0,            -- raised by a rewind, which fences the writers of older ones
  parent INTEGER, parent_step INTEGER,          -- forked from that run: its rows up to this step stand before ours
  next_step INTEGER NOT NULL DEFAULT 0,         -- given to rows of shared mode, which bring none
  deleted REAL
);
CREATE UNIQUE INDEX sdk_run_key ON sdk_run (project, name) WHERE deleted IS NULL;
CREATE INDEX sdk_run_by_age ON sdk_run (project, created DESC, id DESC) WHERE deleted IS NULL;
CREATE INDEX sdk_run_by_time ON sdk_run (created DESC, id DESC) WHERE deleted IS NULL;
CREATE INDEX sdk_run_by_run ON sdk_run (run_id) WHERE run_id IS NOT NULL;
CREATE INDEX sdk_run_alive ON sdk_run (heartbeat) WHERE state IN ('running', 'preempting') AND deleted IS NULL;

-- The lines of one file of one writer (client '' outside shared mode). Its first `base_count` lines are those of
-- `base`: the branch before a rewind, or the parent of a fork.
CREATE TABLE line_space (
  id INTEGER PRIMARY KEY, run INTEGER NOT NULL, branch INTEGER NOT NULL,
  file TEXT NOT NULL CHECK (file IN ('history', 'events', 'console')), client TEXT NOT NULL DEFAULT '',
  base INTEGER, base_count INTEGER NOT NULL DEFAULT 0,
  count INTEGER NOT NULL DEFAULT 0,             -- one more than the highest line's number
  last REAL,                                    -- when something was written
  base_decoded INTEGER NOT NULL DEFAULT 0, decoded INTEGER NOT NULL DEFAULT 0, newest INTEGER NOT NULL DEFAULT 0,
  loose INTEGER NOT NULL DEFAULT 0,             -- blocks that compaction has not looked at
  UNIQUE (run, branch, file, client)
);
CREATE INDEX line_space_to_compact ON line_space (loose) WHERE loose >= 8;
CREATE INDEX line_space_by_base ON line_space (base) WHERE base IS NOT NULL;
CREATE INDEX line_space_to_decode ON line_space (id)
  WHERE file != 'console' AND (decoded < newest OR base_decoded < base_count);
-- Lines [first, first + count); where blocks overlap the one with the higher `seq` counts.
CREATE TABLE line_block (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, space INTEGER NOT NULL, first INTEGER NOT NULL, count INTEGER NOT NULL,
  step_low INTEGER, step_high INTEGER,          -- of the rows of history
  bytes INTEGER NOT NULL, received REAL NOT NULL,
  data BLOB NOT NULL                            -- zlib of a JSON array of texts
);
CREATE INDEX line_block_at ON line_block (space, first, count, step_low, step_high, bytes);
CREATE INDEX line_block_by_seq ON line_block (space, seq);
-- Owns what was decoded of a run's lines (store/decoded.py); minus its id owns series. Without a run: to be removed.
CREATE TABLE decoding (id INTEGER PRIMARY KEY AUTOINCREMENT, run INTEGER);
CREATE UNIQUE INDEX decoding_by_run ON decoding (run);
-- What was decoded and is too much for one transaction: a portion in each row, oldest first.
CREATE TABLE kept (id INTEGER PRIMARY KEY AUTOINCREMENT, owner INTEGER NOT NULL, data BLOB NOT NULL);
CREATE INDEX kept_by_owner ON kept (owner);
-- Decoded from lines of history. `type`: number, string, image-file …; `last_json`: the newest value, if short.
CREATE TABLE history_key (
  id INTEGER PRIMARY KEY, decoding INTEGER NOT NULL, key TEXT NOT NULL, type TEXT NOT NULL, count INTEGER NOT NULL,
  last_json TEXT, UNIQUE (decoding, key, type)
);
CREATE TABLE media (            -- values with a _type: what the run's page shows
  id INTEGER PRIMARY KEY, decoding INTEGER NOT NULL, key TEXT NOT NULL, step INTEGER, type TEXT NOT NULL,
  data_json TEXT NOT NULL
);
CREATE INDEX media_at ON media (decoding, key, step);
-- Files of SDK runs: the newest content of each name.
CREATE TABLE run_file (
  run INTEGER NOT NULL, name TEXT NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL, updated REAL NOT NULL,
  PRIMARY KEY (run, name)
) WITHOUT ROWID;
CREATE INDEX run_file_by_content ON run_file (sha256);
CREATE TABLE alert (
  id INTEGER PRIMARY KEY, run INTEGER NOT NULL, title TEXT NOT NULL, text TEXT NOT NULL, severity TEXT NOT NULL,
  wait REAL NOT NULL, created REAL NOT NULL
);
CREATE INDEX alert_by_run ON alert (run, id);
-- The writers of a run in shared mode. `leads`: it sent files that only a primary writer sends.
CREATE TABLE run_writer (
  run INTEGER NOT NULL, client TEXT NOT NULL, heard REAL NOT NULL, ended INTEGER NOT NULL, leads INTEGER NOT NULL,
  PRIMARY KEY (run, client)
) WITHOUT ROWID;
CREATE TABLE custom_chart (     -- specifications for charts of an entity's own
  entity TEXT NOT NULL, name TEXT NOT NULL, display_name TEXT NOT NULL, type TEXT NOT NULL, access TEXT NOT NULL,
  spec_json TEXT NOT NULL, updated REAL NOT NULL, PRIMARY KEY (entity, name)
) WITHOUT ROWID;
""",
)

SCHEMA_VERSION: Final = len(MIGRATIONS)
# The oldest release's schema version that may still write to this store; raised only by a contracting release.
MIN_COMPATIBLE: Final = 1
