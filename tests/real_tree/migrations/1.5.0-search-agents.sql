-- description: A table for searching the agents

-- migrate:up
CREATE VIRTUAL TABLE agent_search USING fts5(path, summary);

-- migrate:down
DROP TABLE agent_search;
