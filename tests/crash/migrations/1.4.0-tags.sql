-- description: Tag the notes
-- migrate:up
ALTER TABLE notes ADD COLUMN tag TEXT;
UPDATE notes SET tag = 'old';

-- migrate:down
ALTER TABLE notes DROP COLUMN tag;
