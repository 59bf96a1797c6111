// Files, the state database, two further databases and a new one, all in one step.

import type { Migration } from '../types.js';

export const migration: Migration = {
  version: '1.3.0',
  description: 'Move the preferences into the database',

  async up(ctx) {
    let preferences: Record<string, string> = {};
    ctx.editJson('settings.json', (settings) => {
      preferences = settings.preferences;
      delete settings.preferences;
    });
    for (const entry of Object.entries(preferences)) {
      ctx.db.run('INSERT INTO preferences VALUES (?, ?)', ...entry);
    }
    // lint: allow update-all
    ctx.database('memory.db').run('UPDATE memories SET text = upper(text)');
    ctx.database('journal.db').exec(`
      CREATE TABLE tags (name TEXT);
      INSERT INTO tags SELECT text FROM entries;
    `);
    ctx.database('index.db').exec('CREATE TABLE IF NOT EXISTS words (word TEXT)');
    await ctx.editFrontMatter('agents/reviewer.md', async (head) => {
      head.model = 'opus';
    });
  },

  async down(ctx) {
    const rows = ctx.db.all('SELECT name, value FROM preferences');
    ctx.editJson('settings.json', (settings) => {
      settings.preferences = Object.fromEntries(rows.map(({ name, value }) => [name, value]));
    });
    ctx.db.run('DELETE FROM preferences');
    ctx.database('memory.db').run('UPDATE memories SET text = lower(text)');
    ctx.database('journal.db').exec('DROP TABLE tags');
    ctx.database('index.db').exec('DROP TABLE words');
    ctx.editFrontMatter('agents/reviewer.md', (head) => {
      head.model = 'sonnet';
    });
  },
};
