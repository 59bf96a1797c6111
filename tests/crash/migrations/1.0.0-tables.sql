-- description: Create the tables
-- migrate:up
CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL);
INSERT INTO notes (text) VALUES ('first');

-- migrate:down
DROP TABLE notes;
