// Files only: every kind of change that publishing knows.

import fs from 'node:fs';
import { join } from 'node:path';
import type { Context, Migration } from '../types.js';

export const migration: Migration = {
  version: '1.2.0',
  description: 'Bring the folders into their new layout',

  async up({ claude, editJson }: Context) {
    editJson('settings.json', (settings) => {
      settings.layout = 2;
    });
    fs.mkdirSync(join(claude, 'skills/review'), { recursive: true });
    fs.writeFileSync(join(claude, 'skills/review/SKILL.md'), '# Review\n');
    fs.renameSync(join(claude, 'commands/hello.md'), join(claude, 'skills/hello.md'));
    fs.chmodSync(join(claude, 'commands/run.sh'), 0o755);
    fs.symlinkSync('../skills/review/SKILL.md', join(claude, 'commands/review.md'));
    await fs.promises.unlink(join(claude, 'obsolete.md'));
    fs.rmSync(join(claude, 'cache'), { recursive: true });
  },

  async down({ editJson }: Context) {
    editJson('settings.json', (settings) => {
      delete settings.layout;
    });
    fs.renameSync('.claude/skills/hello.md', '.claude/commands/hello.md');
    fs.unlinkSync('.claude/commands/review.md');
    fs.rmSync('.claude/skills', { recursive: true });
    fs.chmodSync('.claude/commands/run.sh', 0o644);
    fs.writeFileSync('.claude/obsolete.md', 'Nobody reads this.\n');
    fs.mkdirSync('.claude/cache/deep', { recursive: true });
    fs.writeFileSync('.claude/cache/index.txt', 'index\n');
    fs.writeFileSync('.claude/cache/deep/entry.txt', 'entry\n');
  },
};
