-- description: Initial schema
-- author: agent-team
-- created_at: 2025-09-01T08:10:00Z
-- tags: [schema]

-- migrate:up

-- The idea: the up makes, the down takes away in the opposite order. Both run in one transaction
-- with the row that says the migration is applied, so there is no half of either.

CREATE TABLE tasks (
  id INTEGER PRIMARY KEY,
  title TEXT NOT NULL,
  agent TEXT NOT NULL,
  status TEXT,
  estimate TEXT NOT NULL DEFAULT ''
);

CREATE TABLE comments (
  id INTEGER PRIMARY KEY,
  task_id INTEGER NOT NULL REFERENCES tasks(id) ON DELETE CASCADE,
  body TEXT NOT NULL
);

INSERT INTO tasks (title, agent, status, estimate) VALUES
  ('Read the code base; note what surprises', 'planner', 'done', '2h'),
  ('Write a first test of the login', 'tester', 'open', '1h 30m'),
  ('Repair the login after summer time', 'developer', 'open', '45m'),
  ('Review the payment module', 'reviewer', NULL, '1d'),
  ('Cut the release on Thursday', 'planner', 'waiting', '');

INSERT INTO comments (task_id, body) VALUES
  (1, 'The payment module has no tests.'),
  (3, 'Happens twice a year -- and only at night.'),
  (4, 'After the login; it''s urgent.');

-- migrate:down

DROP TABLE comments;
DROP TABLE tasks;
