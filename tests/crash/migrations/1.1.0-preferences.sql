-- description: Create the preferences
-- migrate:up
CREATE TABLE preferences (name TEXT PRIMARY KEY, value TEXT NOT NULL);

-- migrate:down
DROP TABLE preferences;
