-- description: The ledger, its history, the stored sources and the publishes under way
-- author: plugin-migrate
-- created_at: 2026-11-22T00:00:00Z
-- tags: [schema]

-- migrate:up

-- What is applied now. Readers rely on exactly this table (docs/design.md, "The ledger"); one that
-- another engine made, with more columns, is adopted as it is.
CREATE TABLE IF NOT EXISTS migrations (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  version TEXT NOT NULL UNIQUE,
  description TEXT NOT NULL,
  applied_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
  applied_by TEXT DEFAULT 'system',
  execution_time_ms INTEGER NOT NULL,
  checksum TEXT NOT NULL,
  direction TEXT NOT NULL CHECK (direction IN ('up', 'down'))
);
CREATE INDEX IF NOT EXISTS idx_migrations_version ON migrations(version);
CREATE INDEX IF NOT EXISTS idx_migrations_applied_at ON migrations(applied_at);

-- What happened: append-only. `action` is up, down, repair, baseline or restore; `outcome` is
-- done, failed, or started for a step outside a transaction that may never have ended.
CREATE TABLE plugin_migrate_history (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  version TEXT,
  description TEXT,
  action TEXT NOT NULL,
  outcome TEXT NOT NULL CHECK (outcome IN ('started', 'done', 'failed')),
  at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
  duration_ms INTEGER NOT NULL DEFAULT 0,
  done_by TEXT NOT NULL,
  tool_version TEXT NOT NULL,
  error TEXT
);

CREATE INDEX plugin_migrate_history_started ON plugin_migrate_history(version)
  WHERE outcome = 'started';

-- The text of every applied migration, so that a down works without the file.
CREATE TABLE plugin_migrate_sources (
  version TEXT PRIMARY KEY,
  file_name TEXT NOT NULL,
  language TEXT NOT NULL,
  checksum TEXT NOT NULL,
  metadata TEXT NOT NULL,
  text TEXT NOT NULL
) WITHOUT ROWID;

-- Commits whose files may still be on their way; `manifest` holds every path with its hashes
-- before and after.
CREATE TABLE plugin_migrate_publishes (
  id TEXT PRIMARY KEY,
  version TEXT NOT NULL,
  project TEXT NOT NULL,
  manifest TEXT NOT NULL
) WITHOUT ROWID;

-- One row a fact: the project that a database outside .claude/ belongs to.
CREATE TABLE plugin_migrate_facts (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) WITHOUT ROWID;

-- The migrations of this ledger itself.
CREATE TABLE plugin_migrate_schema (
  version TEXT PRIMARY KEY,
  applied_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP
) WITHOUT ROWID;
