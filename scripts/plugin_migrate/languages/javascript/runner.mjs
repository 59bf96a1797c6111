// Runs the migrations of one command, one after the other, for the engine that started this process.
// Requests come as lines of JSON through one pipe and answers leave through another, so that
// whatever a migration prints cannot disturb them. Calls are synchronous: `ctx.db` needs no `await`,
// and does no harm with one.

import fs from 'node:fs';
import * as modules from 'node:module';
import { dirname } from 'node:path';
import { inspect } from 'node:util';
import { isPromise } from 'node:util/types';
import { pathToFileURL } from 'node:url';

const CHUNK = 1 << 16;
const SECONDS_BETWEEN_UPDATES = 0.1;
// How long a migration that has returned may go on with what it did not wait for.
const GRACE_MS = 1000;
// What the engine's own reader of JSON can surely take.
const DEEPEST = 500;

const ours = new WeakMap(); // our errors, and what the engine calls them
const realExit = process.exit;
const home = dirname(process.argv[1]);
let step = null; // what runs now

// --- helpers ----------------------------------------------------------------------------------------

// A project of the original format calls a helper as it is called once `tsc` has compiled it: './x.js'
// for x.ts. Bun and tsx know that by themselves, Deno by an option.
modules.registerHooks?.({
  resolve(specifier, context, next) {
    try {
      return next(specifier, context);
    } catch (error) {
      const source = specifier.replace(/^(\.{1,2}\/.*\.[mc]?)js$/, '$1ts');
      if (error.code !== 'ERR_MODULE_NOT_FOUND' || source === specifier) throw error;
      return next(source, context);
    }
  },
});

// --- lines ------------------------------------------------------------------------------------------

const [input, output] = openPipes(...process.argv.slice(-2));
let pending = Buffer.alloc(0);

function openPipes(reading, writing) {
  if (reading === writing) {
    const both = fs.openSync(reading, 'r+'); // on Windows
    return [both, both];
  }
  try {
    fs.writeSync(Number(writing), '');
    return [Number(reading), Number(writing)];
  } catch {
    // Deno has numbers of its own for what it opens.
    return [fs.openSync(`/dev/fd/${reading}`, 'r'), fs.openSync(`/dev/fd/${writing}`, 'w')];
  }
}

function send(message) {
  const line = Buffer.from(`${JSON.stringify(message)}\n`);
  for (let sent = 0; sent < line.length; ) {
    sent += fs.writeSync(output, line, sent, line.length - sent);
  }
}

function receive() {
  const parts = [];
  for (;;) {
    const end = pending.indexOf(10);
    if (end >= 0) {
      parts.push(pending.subarray(0, end));
      pending = pending.subarray(end + 1);
      return JSON.parse(Buffer.concat(parts).toString());
    }
    parts.push(pending);
    pending = Buffer.alloc(CHUNK);
    const size = fs.readSync(input, pending, 0, CHUNK, null);
    if (size === 0) {
      process.kill(process.pid, 'SIGKILL'); // the engine is gone
    }
    pending = pending.subarray(0, size);
  }
}

// --- values: `javascript_values.py` is the other side -------------------------------------------------

function encodeNumber(value) {
  if (Number.isInteger(value) ? Number.isSafeInteger(value) && !Object.is(value, -0) : Number.isFinite(value)) {
    return value;
  }
  return { $f: Object.is(value, -0) ? '-0.0' : String(value) };
}

function encodeParameter(value) {
  switch (typeof value) {
    case 'string':
      return value;
    case 'number':
      return encodeNumber(value);
    case 'bigint':
      return { $i: String(value) };
    case 'boolean':
      return Number(value);
  }
  if (value === null) {
    return null;
  }
  if (ArrayBuffer.isView(value)) {
    return { $b: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') };
  }
  if (value instanceof ArrayBuffer) {
    return { $b: Buffer.from(value).toString('base64') };
  }
  throw new TypeError(
    `${shown(value)} cannot be stored: use a string, number, bigint, boolean, Uint8Array or null`,
  );
}

function encodeParameters(values) {
  if (values.length === 1 && Array.isArray(values[0])) {
    values = values[0];
  } else if (values.length === 1 && isPlain(values[0])) {
    const named = Object.entries(values[0]);
    return { named: named.map(([name, value]) => [name.replace(/^[:@$]/, ''), encodeParameter(value)]) };
  }
  return { listed: Array.from(values, encodeParameter) };
}

function encodeDocument(value, path, above) {
  if (typeof value?.toJSON === 'function') {
    value = value.toJSON();
  }
  if (value === null || typeof value === 'string' || typeof value === 'boolean') {
    return value;
  }
  if (typeof value === 'number') {
    return encodeNumber(value);
  }
  if (typeof value === 'bigint') {
    return { $i: String(value) };
  }
  if (above.includes(value)) {
    throw new TypeError(`${path} contains itself, which no file can hold`);
  }
  if (above.length > DEEPEST) {
    throw new RangeError('The document is nested too deeply');
  }
  const inside = [...above, value];
  if (Array.isArray(value)) {
    return value.map((item, index) => encodeDocument(item, `${path}[${index}]`, inside));
  }
  if (isPlain(value)) {
    const entries = Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .map(([key, item]) => [key, encodeDocument(item, `${path}.${key}`, inside)]);
    const encoded = Object.fromEntries(entries);
    return entries.some(([key]) => key.startsWith('$')) ? { $o: encoded } : encoded;
  }
  throw new TypeError(
    `${path} is ${shown(value)}, but only objects, arrays, strings, numbers, booleans and null can be written`,
  );
}

function decode(value) {
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  if (Array.isArray(value)) {
    return value.map(decode);
  }
  if ('$i' in value) {
    return BigInt(value.$i);
  }
  if ('$f' in value) {
    return Number(value.$f);
  }
  if ('$b' in value) {
    return new Uint8Array(Buffer.from(value.$b, 'base64'));
  }
  return Object.fromEntries(Object.entries(value.$o ?? value).map(([key, item]) => [key, decode(item)]));
}

function isPlain(value) {
  if (typeof value !== 'object' || value === null) {
    return false;
  }
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function shown(value) {
  if (typeof value !== 'object' || value === null) {
    return String(value);
  }
  const name = value.constructor?.name ?? 'object';
  return `${/^[aeiou]/i.test(name) ? 'an' : 'a'} ${name}`;
}

// --- what a migration is handed -----------------------------------------------------------------------

class MigrationError extends Error {
  constructor({ message, name, code, id }) {
    super(message);
    this.name = name;
    if (code) {
      this.code = code;
    }
    ours.set(this, id);
  }
}

function call(owner, name, fields) {
  tell(owner, name, fields);
  const answer = receive();
  if (answer.error) {
    throw new MigrationError(answer.error);
  }
  return answer.ok;
}

function tell(owner, name, fields) {
  if (owner !== step || owner.isOver) {
    throw new Error('ctx was used after the migration had returned: await what it starts');
  }
  send({ call: name, ...fields });
}

function makeDatabase(owner, database) {
  const asObject = (columns, row) => Object.fromEntries(row.map((value, at) => [columns[at], decode(value)]));
  return Object.freeze({
    run(sql, ...values) {
      const { changes, rowid } = call(owner, 'run', { database, sql: text(sql), values: encodeParameters(values) });
      return { changes, lastInsertRowid: decode(rowid) };
    },
    get(sql, ...values) {
      const { columns, rows } = call(owner, 'get', { database, sql: text(sql), values: encodeParameters(values) });
      return rows.length ? asObject(columns, rows[0]) : undefined;
    },
    all(sql, ...values) {
      const { columns, rows } = call(owner, 'all', { database, sql: text(sql), values: encodeParameters(values) });
      return rows.map((row) => asObject(columns, row));
    },
    exec(sql) {
      call(owner, 'exec', { database, sql: text(sql) });
    },
  });
}

function text(value) {
  if (typeof value !== 'string') {
    throw new TypeError(`This must be a string, not ${shown(value)}`);
  }
  return value;
}

function edit(owner, kind, path, change) {
  const { id, value: encoded } = call(owner, 'open', { kind, path: text(path) });
  const value = decode(encoded);
  return editing(owner, id, value, change, (result) => {
    call(owner, 'close', { id, value: encodeDocument(result === undefined ? value : result, 'the document', []) });
  });
}

function editLines(owner, path, change) {
  const { id } = call(owner, 'open_lines', { path: text(path) });
  const lines = new Lines((what, fields) => call(owner, 'lines', { id, do: what, ...fields }));
  return editing(owner, id, lines, change, () => {
    call(owner, 'close_lines', { id, changes: lines[CHANGES]() });
  });
}

/** Hand `value` to the author's function, which may be async, and `close` the edit when it is done. */
function editing(owner, id, value, change, close) {
  const forget = (error) => {
    tell(owner, 'forget', { id });
    throw error;
  };
  let result;
  try {
    result = change(value);
  } catch (error) {
    forget(error);
  }
  return isPromise(result) ? result.then(close, forget) : close(result);
}

const CHANGES = Symbol('changes');

/** The lines of a file, which come in batches. */
class Lines {
  #ask;
  #batch = [];

  constructor(ask) {
    this.#ask = ask;
  }

  [Symbol.iterator]() {
    return this.#each(null);
  }

  containing(wanted) {
    return this.#each(text(wanted));
  }

  append(line) {
    this.#ask('append', { line: encodeLine(line) });
  }

  *#each(containing) {
    this.#ask('begin', { containing });
    for (;;) {
      const texts = this.#ask('next', { changes: this[CHANGES]() });
      if (texts.length === 0) return;
      this.#batch = texts.map((text, place) => new Line(this.#ask, place, text));
      for (const line of this.#batch) {
        yield line;
        line[CHANGES](); // it has been passed
      }
    }
  }

  /** What was done to the lines of the batch, which are given away with this. */
  [CHANGES]() {
    const done = this.#batch.map((line, place) => [place, line[CHANGES]()]);
    this.#batch = [];
    return done.filter(([, what]) => what !== null);
  }
}

class Line {
  #ask;
  #place;
  #text;
  #value;
  #hasValue = false;
  #isSet = false;
  #isRemoved = false;
  #before = [];
  #after = [];
  #done; // once it has been passed

  constructor(ask, place, text) {
    this.#ask = ask;
    this.#place = place;
    this.#text = text;
  }

  get text() {
    if (!this.#hasValue || this.#done !== undefined) return this.#text;
    return this.#ask('text', { line: this.#place, value: this.#encoded() });
  }

  set text(value) {
    this.#requireOpen();
    this.#text = text(value);
    this.#isSet = true;
    this.#hasValue = false;
  }

  get value() {
    this.#requireOpen();
    if (!this.#hasValue) {
      const fields = { line: this.#place, text: this.#isSet ? this.#text : null };
      this.#value = decode(this.#ask('value', fields));
      this.#hasValue = true;
    }
    return this.#value;
  }

  set value(value) {
    this.value; // it is JSON, so that only what differs is changed
    this.#value = value;
  }

  remove() {
    this.#requireOpen();
    this.#isRemoved = true;
  }

  insertBefore(line) {
    this.#requireOpen();
    this.#before.push(encodeLine(line));
  }

  insertAfter(line) {
    this.#requireOpen();
    this.#after.push(encodeLine(line));
  }

  #requireOpen() {
    if (this.#done !== undefined) {
      throw new Error('this line has been passed: change a line before the loop goes on to the next one');
    }
  }

  #encoded() {
    return encodeDocument(this.#value, 'the line', []);
  }

  [CHANGES]() {
    if (this.#done === undefined) {
      const lines = { before: this.#before, after: this.#after, isRemoved: this.#isRemoved };
      const isSame = !this.#isRemoved && this.#before.length + this.#after.length === 0;
      if (this.#hasValue) this.#done = { ...lines, value: this.#encoded() };
      else if (this.#isSet) this.#done = { ...lines, text: this.#text };
      else this.#done = isSame ? null : lines;
    }
    return this.#done;
  }
}

function encodeLine(line) {
  return typeof line === 'string' ? { text: line } : { value: encodeDocument(line, 'the line', []) };
}

function makeContext(owner, claude, project) {
  return Object.freeze({
    db: makeDatabase(owner, null),
    claude,
    project,
    database(path) {
      return makeDatabase(owner, call(owner, 'database', { path: text(path) }));
    },
    moveDatabase(before, after) {
      call(owner, 'move_database', { old: text(before), new: text(after) });
    },
    removeDatabase(path) {
      call(owner, 'remove_database', { path: text(path) });
    },
    editJson(path, change) {
      return edit(owner, 'json', path, change);
    },
    editFrontMatter(path, change) {
      return edit(owner, 'front_matter', path, change);
    },
    editToml(path, change) {
      return edit(owner, 'toml', path, change);
    },
    editYaml(path, change) {
      return edit(owner, 'yaml', path, change);
    },
    editLines(path, change) {
      return editLines(owner, path, change);
    },
    log(...values) {
      const words = values.map((value) => (typeof value === 'string' ? value : inspect(value)));
      call(owner, 'log', { text: words.join(' ') });
    },
    *progress(items) {
      const total = items.length ?? items.size ?? null;
      let done = 0;
      let updated = -Infinity;
      for (const item of items) {
        const now = performance.now();
        if (now - updated >= SECONDS_BETWEEN_UPDATES * 1000) {
          updated = now;
          tell(owner, 'progress', { done, total });
        }
        yield item;
        done += 1;
      }
    },
  });
}

// --- steps --------------------------------------------------------------------------------------------

async function load(file) {
  try {
    return await import(pathToFileURL(file).href);
  } finally {
    fs.unlinkSync(file); // it is no part of the state
  }
}

function migrationOf(module) {
  const exported = [module.migration, module.default?.migration, module.default, module];
  return exported.find((value) => typeof value?.up === 'function');
}

async function run({ file, direction, claude, folder }) {
  const owner = { isOver: false, folders: [dirname(file), folder] };
  step = owner;
  try {
    process.chdir(folder);
    const migration = migrationOf(await load(file));
    if (typeof migration?.[direction] !== 'function') {
      throw new MigrationError({ name: 'Error', message: `The migration has no ${direction} function` });
    }
    await migration[direction](makeContext(owner, claude, folder));
    owner.isOver = true;
    setTimeout(() => step === owner && finish(false), GRACE_MS).unref();
  } catch (error) {
    fail(error);
  }
}

/** Tell the engine that the step is done; `isIdle` says that nothing of it goes on. */
function finish(isIdle) {
  step = null;
  process.chdir(home); // Windows removes no folder that somebody is in
  send({ done: { isIdle } });
  setImmediate(next); // what begins while a process is about to end does not keep it alive
}

function next() {
  run(receive());
}

function fail(error) {
  if (step === null) {
    return; // what a step has left behind is not a failure of the next
  }
  const { folders } = step;
  step = null;
  send({ failed: described(error, folders) });
  // The engine ends this process; nothing of the migration may go on until then.
  receive();
}

function described(error, folders) {
  try {
    return describe(error, folders);
  } catch {
    // It is the author's own object: to look at it may run his code, and fail.
    return describe(new MigrationError({ name: 'Error', message: 'The migration threw what cannot be shown' }), folders);
  }
}

function describe(error, folders) {
  // Only here is it known how an address spells a path.
  const plain = (text) =>
    folders.reduce((said, folder) => said.replaceAll(pathToFileURL(folder).href, folder), String(text));
  const isError = error instanceof Error;
  const message = isError ? `${error.name}: ${error.message}` : `The migration threw ${inspect(error)}`;
  const cause = isError ? (error.cause ?? error.errors) : undefined; // Promise.any has several
  return {
    message: plain(ours.has(error) && error.name === 'Error' ? error.message : message),
    stack: isError ? plain(error.stack) : '',
    code: typeof error?.code === 'string' ? error.code : null,
    id: ours.get(error) ?? null,
    line: Number.isInteger(error?.position?.line) ? error.position.line : null, // of a syntax error, in Bun
    cause: cause === undefined ? null : plain(inspect(cause)),
  };
}

// A process has nothing left to do when its migration is over, or waits for what never comes.
process.on('beforeExit', () => {
  if (step?.isOver) {
    const owner = step;
    setImmediate(() => step === owner && finish(true)); // Bun tells of a last rejection only after this
  } else {
    fail(new MigrationError({ name: 'Error', message: 'The migration waits for a promise that nothing settles' }));
  }
});
process.on('unhandledRejection', fail);
process.on('uncaughtException', fail);
process.exit = (code) => {
  fail(new MigrationError({ name: 'Error', message: `The migration called process.exit(${code ?? ''})` }));
  realExit(code);
};

// Nobody answers while a migration runs, and standard input is what ties this process to the engine.
function ask() {
  throw new MigrationError({
    name: 'Error',
    message:
      'A migration cannot ask: in a session or in CI nobody answers, and it has to do the same everywhere;' +
      ' read the value from a file below .claude/, or from process.env',
  });
}
for (const name of ['prompt', 'confirm', 'alert']) {
  Object.defineProperty(globalThis, name, { value: ask, configurable: true, writable: true });
}
Object.defineProperty(process, 'stdin', { get: ask, configurable: true });

// Else Node.js queues without bound what the pipe cannot take.
for (const stream of [process.stdout, process.stderr]) {
  stream._handle?.setBlocking?.(true);
}
Error.stackTraceLimit = 50;
send({ ready: true });
setImmediate(next);
