-- description: Search the tasks by their words
-- author: agent-team
-- created_at: 2025-11-03T08:00:00Z
-- tags: [schema, search]

-- migrate:up

-- The idea: an FTS5 index keeps itself up to date by triggers. The `;` inside a trigger do not end
-- it: statements are told apart as SQLite does it, so nothing has to be escaped.

CREATE INDEX tasks_by_agent ON tasks (agent, status);

CREATE VIEW open_tasks AS
  SELECT id, agent, title, estimate FROM tasks WHERE status <> 'done';

CREATE VIRTUAL TABLE task_search USING fts5(title, content='tasks', content_rowid='id');
INSERT INTO task_search (task_search) VALUES ('rebuild');

CREATE TRIGGER tasks_inserted AFTER INSERT ON tasks BEGIN
  INSERT INTO task_search (rowid, title) VALUES (new.id, new.title);
END;

CREATE TRIGGER tasks_deleted AFTER DELETE ON tasks BEGIN
  INSERT INTO task_search (task_search, rowid, title) VALUES ('delete', old.id, old.title);
END;

CREATE TRIGGER tasks_renamed AFTER UPDATE OF title ON tasks BEGIN
  INSERT INTO task_search (task_search, rowid, title) VALUES ('delete', old.id, old.title);
  INSERT INTO task_search (rowid, title) VALUES (new.id, new.title);
END;

-- migrate:down

DROP TRIGGER tasks_renamed;
DROP TRIGGER tasks_deleted;
DROP TRIGGER tasks_inserted;
DROP TABLE task_search;
DROP VIEW open_tasks;
DROP INDEX tasks_by_agent;
