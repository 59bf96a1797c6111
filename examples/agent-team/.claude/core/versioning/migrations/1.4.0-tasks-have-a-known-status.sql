-- description: Allow only known statuses of a task
-- author: agent-team
-- created_at: 2025-10-20T08:00:00Z
-- tags: [schema]

-- migrate:up

-- The idea: SQLite cannot add a CHECK or NOT NULL to a column, so the table is rebuilt: make the new
-- one, copy, drop the old one, rename. `comments` refers to `tasks`, and with foreign keys enforced
-- the DROP would delete the comments. Here they are not enforced while the steps run, and checked
-- before the commit. Indexes, triggers and views of the table would have to be made again.

CREATE TABLE tasks_new (
  id INTEGER PRIMARY KEY,
  title TEXT NOT NULL,
  agent TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'waiting', 'done')),
  estimate TEXT NOT NULL DEFAULT ''
);
INSERT INTO tasks_new SELECT id, title, agent, ifnull(status, 'open'), estimate FROM tasks;

-- What the new table cannot hold, the down has to find somewhere else.
CREATE TABLE tasks_without_status AS SELECT id FROM tasks WHERE status IS NULL;

DROP TABLE tasks;
ALTER TABLE tasks_new RENAME TO tasks;

-- migrate:down

CREATE TABLE tasks_old (
  id INTEGER PRIMARY KEY,
  title TEXT NOT NULL,
  agent TEXT NOT NULL,
  status TEXT,
  estimate TEXT NOT NULL DEFAULT ''
);
INSERT INTO tasks_old SELECT id, title, agent, status, estimate FROM tasks;
UPDATE tasks_old SET status = NULL
  WHERE status = 'open' AND id IN (SELECT id FROM tasks_without_status);

DROP TABLE tasks_without_status;
DROP TABLE tasks;
ALTER TABLE tasks_old RENAME TO tasks;
