-- description: Keep notes in a table
-- author: memory-keeper
-- created_at: 2026-11-22T10:00:00Z
-- tags: [schema]

-- migrate:up
CREATE TABLE notes (
  id INTEGER PRIMARY KEY,
  written_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP,
  text TEXT NOT NULL
);

-- migrate:down
DROP TABLE notes;
