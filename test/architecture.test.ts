import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

/** What a part of `src/` may import of the others. Documented in docs/architecture.md. */
interface Rule {
  /** Parts whose code it may use. */
  readonly uses?: readonly string[];
  /** Parts of which it may know the types only. */
  readonly knows?: readonly string[];
}

const nouns = ['model', 'errors.ts'];
const rules: Readonly<Record<string, Rule>> = {
  model: {},
  'version.ts': {},
  'errors.ts': { knows: ['model'] },
  // Siblings: they never import each other.
  imaging: { uses: nouns },
  fetcher: { uses: nouns },
  storage: { uses: nouns },
  queue: { uses: nouns },
  db: { uses: nouns },
  'data-folder': { uses: nouns },
  config: { uses: nouns },
  'config.ts': { uses: ['config', 'model'] },
  services: { uses: [...nouns, 'imaging', 'fetcher', 'storage'], knows: ['db', 'queue'] },
  http: { uses: [...nouns, 'version.ts', 'services'], knows: ['config.ts', 'db', 'storage', 'telemetry'] },
  worker: { uses: nouns, knows: ['services', 'db', 'queue'] },
  telemetry: { uses: [...nouns, 'version.ts'], knows: ['config', 'config.ts', 'db', 'imaging', 'storage'] },
  cli: {
    uses: [
      ...nouns,
      'version.ts',
      'config.ts',
      'data-folder',
      'db',
      'storage',
      'imaging',
      'services',
      'telemetry',
      'app',
      'app.ts',
    ],
  },
  app: { uses: [...nouns, 'data-folder', 'db', 'queue', 'storage'], knows: ['config.ts', 'services'] },
  'app.ts': {
    uses: [
      ...nouns,
      'version.ts',
      'app',
      'data-folder',
      'db',
      'fetcher',
      'http',
      'imaging',
      'queue',
      'services',
      'storage',
      'telemetry',
      'worker',
    ],
    knows: ['config.ts'],
  },
  serverless: { uses: [...nouns, 'config.ts', 'telemetry', 'app.ts'] },
  'main.ts': { uses: ['cli'] },
};

/** What services may use of the image code and of storage: pure functions. All else they get handed by `app.ts`. */
const pureModules = [
  'fetcher/import-url.ts',
  'imaging/formats/identify-format.ts',
  'imaging/recognition/compare-thumbnails.ts',
  'storage/keys.ts',
];

const root = fileURLToPath(new URL('../src/', import.meta.url));

interface Import {
  readonly from: string;
  /** A file of `src/`, or the name of a package or of a module of Node's. */
  readonly to: string;
  readonly isOurs: boolean;
  readonly kind: 'code' | 'types' | 'on demand';
}

const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.split(sep).join('/'))
  .sort();
const sources = new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]));
const imports = files.flatMap((file) => importsOf(file, sources.get(file) ?? ''));

function importsOf(from: string, source: string): Import[] {
  const code = withoutComments(source);
  const statements = code.matchAll(/^(?:import|export)\s(?:(type)\s)?(?:[^;'"]*?\sfrom\s)?\s*'([^']+)'/gm);
  const calls = code.matchAll(/\bimport\('([^']+)'\)/g);
  return [
    ...Array.from(statements, ([, type, to = '']) => describeImport(from, to, type ? 'types' : 'code')),
    ...Array.from(calls, ([, to = '']) => describeImport(from, to, 'on demand')),
  ];
}

function describeImport(from: string, to: string, kind: Import['kind']): Import {
  const isOurs = to.startsWith('.');
  const target = isOurs ? relative(root, normalize(join(root, dirname(from), to))) : to;
  return { from, to: target.split(sep).join('/'), isOurs, kind };
}

function withoutComments(source: string): string {
  return source.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '');
}

/** The folder of a file, or the file itself when it lies at the top. */
function partOf(file: string): string {
  return file.split('/')[0] ?? file;
}

function isAllowed({ from, to, kind }: Import): boolean {
  const rule = rules[partOf(from)];
  const part = partOf(to);
  if (part === partOf(from) || rule?.uses?.includes(part)) return true;
  return kind === 'types' && rule?.knows?.includes(part) === true;
}

/** Files that are loaded together with `entry`: what types name, and what is imported on demand, is not. */
function loadedWith(entry: string): Set<string> {
  const loaded = new Set([entry]);
  for (const file of loaded) {
    for (const { from, to, isOurs, kind } of imports) {
      if (from === file && isOurs && kind === 'code') loaded.add(to);
    }
  }
  return loaded;
}

const importersOf = (pattern: RegExp) =>
  new Set(imports.filter(({ to, isOurs }) => !isOurs && pattern.test(to)).map(({ from }) => from));

test('the scan finds the imports', () => {
  expect(imports.length).toBeGreaterThan(200);
  expect(imports).toContainEqual({ from: 'main.ts', to: 'cli/run.ts', isOurs: true, kind: 'on demand' });
  expect(imports).toContainEqual({ from: 'app.ts', to: 'config.ts', isOurs: true, kind: 'types' });
  expect(imports).toContainEqual({ from: 'app.ts', to: 'db/engine/migrate.ts', isOurs: true, kind: 'code' });
  const driver = { from: 'app/open-engines.ts', to: 'storage/local.ts', isOurs: true };
  expect(imports).toContainEqual({ ...driver, kind: 'on demand' });
});

describe('imports go one way', () => {
  test('every part of src/ has a rule, and every rule a part', () => {
    expect([...new Set(files.map(partOf))].sort()).toEqual(Object.keys(rules).sort());
  });

  test.each(Object.keys(rules))('%s imports what it may', (part) => {
    const broken = imports
      .filter((entry) => entry.isOurs && partOf(entry.from) === part && !isAllowed(entry))
      .map(({ from, to, kind }) => `${from} → ${to} (${kind})`);
    expect(broken).toEqual([]);
  });

  test('services use pure functions of the drivers only', () => {
    const used = imports
      .filter(
        ({ from, to, kind }) =>
          partOf(from) === 'services' && kind !== 'types' && /^(imaging|fetcher|storage)\//.test(to),
      )
      .map(({ to }) => to);
    expect([...new Set(used)].sort()).toEqual(pureModules);
  });

  test('commands and functions alone load the composition root', () => {
    const importers = imports
      .filter(({ to, isOurs }) => isOurs && to === 'app.ts')
      .map(({ from }) => partOf(from));
    expect([...new Set(importers)]).toEqual(['cli', 'serverless']);
  });
});

describe('drivers that are not used are not loaded', () => {
  test.each(['app.ts', 'cli/serve.ts', 'cli/worker.ts'])('%s', (entry) => {
    const loaded = loadedWith(entry);
    const heavy = imports.filter(
      ({ from, to, kind }) =>
        loaded.has(from) && kind === 'code' && /^(@aws-sdk\/|bullmq|ioredis|@electric-sql\/)/.test(to),
    );
    expect(heavy).toEqual([]);
  });
});

describe('native decoders stay in the children', () => {
  test('only image code and the drawing of samples import the image library', () => {
    const strangers = [...importersOf(/^sharp$/)].filter(
      (file) => !/^imaging\/(?!pool\/)/.test(file) && !file.startsWith('cli/seed/'),
    );
    expect(strangers).toEqual([]);
  });

  const commands = ['serve.ts', 'worker.ts', 'migrate.ts', 'doctor/doctor.ts', 'import/import-command.ts'];
  test.each(['app.ts', 'serverless/serverless.ts', ...commands.map((file) => `cli/${file}`)])(
    '%s does not load it',
    (entry) => {
      const loaded = loadedWith(entry);
      expect(loaded.size).toBeGreaterThan(1);
      const native = imports.filter(
        ({ from, to, kind }) => loaded.has(from) && to === 'sharp' && kind === 'code',
      );
      expect(native).toEqual([]);
    },
  );

  test('a decoder child does', () => {
    expect(loadedWith('imaging/pool/child.ts')).toContain('imaging/decoding/native-library.ts');
  });
});

describe('each thing in its place', () => {
  test('the environment is read in one file', () => {
    const readers = files.filter((file) => {
      const code = withoutComments(sources.get(file) ?? '');
      return (
        /\bprocess\.env\b/.test(code) || /import\s*\{[^}]*\benv\b[^}]*\}\s*from 'node:process'/.test(code)
      );
    });
    expect(readers).toEqual(['cli/environment.ts']);
  });

  test('databases are spoken to in db/', () => {
    const strangers = [...importersOf(/^(kysely|pg$|@electric-sql\/)/)].filter(
      (file) => partOf(file) !== 'db',
    );
    // Wake-ups have a connection of their own.
    expect(strangers.filter((file) => !file.startsWith('queue/postgres'))).toEqual([]);
  });

  test('folders of db/ import in one direction', () => {
    const below: Readonly<Record<string, readonly string[]>> = {
      engine: [],
      images: ['engine'],
      jobs: ['engine', 'images'],
      purge: ['engine', 'images'],
      usage: ['engine', 'images'],
    };
    const folderOf = (path: string) => /^db\/([^/]+)\//.exec(path)?.[1];
    const broken = imports.filter(({ from, to }) => {
      const [folder, target] = [folderOf(from), folderOf(to)];
      return folder && target && folder !== target && !below[folder]?.includes(target);
    });
    expect(broken).toEqual([]);
  });

  test('HTTP is spoken in http/; the composition root knows its types', () => {
    const strangers = [...importersOf(/^(fastify|@fastify\/)/)].filter((file) => partOf(file) !== 'http');
    expect(strangers).toEqual(['app.ts']);
  });

  test('the nouns do no I/O: they import nothing but each other', () => {
    const reaching = imports.filter(({ from, isOurs }) => partOf(from) === 'model' && !isOurs);
    expect(reaching).toEqual([]);
  });

  test('dialects and surfaces hold no driver', () => {
    const reaching = imports.filter(
      ({ from, to, kind }) =>
        /^http\/(v1|dialects)\//.test(from) && /^(db|storage|imaging)\//.test(to) && kind !== 'types',
    );
    expect(reaching).toEqual([]);
  });

  test('no file is longer than 300 lines', () => {
    const long = files.filter((file) => (sources.get(file) ?? '').split('\n').length > 301);
    expect(long).toEqual([]);
  });
});
