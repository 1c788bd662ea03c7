import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

/** What a part of `src/` may import from other parts, as documented in docs/architecture.md. */
interface Rule {
  /** Parts from which code and types may be imported. */
  readonly code?: readonly string[];
  /** Parts from which only types may be imported. */
  readonly types?: readonly string[];
}

const domain = ['model', 'errors.ts'];
const helpers = ['availability-log.ts', 'timeout.ts'];
const rules: Readonly<Record<string, Rule>> = {
  model: {},
  'version.ts': {},
  'timeout.ts': {},
  'tenant-scope.ts': {},
  'errors.ts': { types: ['model'] },
  'availability-log.ts': { types: ['model'] },
  // These parts never import each other.
  imaging: { code: domain },
  fetcher: { code: domain },
  storage: { code: domain },
  queue: { code: [...domain, ...helpers] },
  db: { code: [...domain, 'version.ts', 'tenant-scope.ts'] },
  'data-folder': { code: domain },
  config: { code: domain },
  'config.ts': { code: ['config', ...domain] },
  services: {
    code: [...domain, ...helpers, 'tenant-scope.ts', 'imaging', 'fetcher', 'storage'],
    types: ['config.ts', 'db', 'queue', 'telemetry'],
  },
  http: { code: [...domain, 'version.ts', 'services'], types: ['config.ts', 'db', 'storage', 'telemetry'] },
  worker: { code: [...domain, 'availability-log.ts', 'tenant-scope.ts'], types: ['services', 'db', 'queue'] },
  telemetry: { code: [...domain, 'version.ts'], types: ['config', 'config.ts', 'db', 'imaging', 'storage'] },
  cli: {
    code: [
      ...domain,
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
  app: {
    code: [
      ...domain,
      'version.ts',
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
    types: ['config.ts'],
  },
  'app.ts': { code: [...domain, 'app', 'data-folder', 'db'], types: ['config.ts', 'services'] },
  serverless: { code: [...domain, 'config.ts', 'telemetry', 'app.ts'] },
  'main.ts': { code: ['cli'] },
};

/** The only modules that services may import from `fetcher`, `imaging` and `storage`. They contain pure functions. */
const pureModules = [
  'fetcher/import-url.ts',
  'imaging/formats/identify-format.ts',
  'imaging/pool/scheduling.ts',
  'imaging/recognition/look-at-thumbnails.ts',
  'imaging/renditions/composition.ts',
  'imaging/renditions/recipe.ts',
  'storage/keys.ts',
];

const root = fileURLToPath(new URL('../src/', import.meta.url));

interface Import {
  readonly from: string;
  /** A file in `src/`, or the name of a package or Node module. */
  readonly to: string;
  readonly isInternal: boolean;
  readonly kind: 'code' | 'types' | 'dynamic';
}

const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.split(sep).join('/'))
  .sort();
const sources = new Map(files.map((file) => [file, readFileSync(join(root, file), 'utf8')]));
const imports = files.flatMap((file) => findImports(file, sources.get(file) ?? ''));

function findImports(from: string, source: string): Import[] {
  const code = stripComments(source);
  const statements = code.matchAll(/^(?:import|export)\s(?:(type)\s)?(?:[^;'"]*?\sfrom\s)?\s*'([^']+)'/gm);
  const dynamicImports = code.matchAll(/\bimport\('([^']+)'\)/g);
  return [
    ...Array.from(statements, ([, type, to = '']) => describeImport(from, to, type ? 'types' : 'code')),
    ...Array.from(dynamicImports, ([, to = '']) => describeImport(from, to, 'dynamic')),
  ];
}

function describeImport(from: string, to: string, kind: Import['kind']): Import {
  const isInternal = to.startsWith('.');
  const target = isInternal ? relative(root, normalize(join(root, dirname(from), to))) : to;
  return { from, to: target.split(sep).join('/'), isInternal, kind };
}

function stripComments(source: string): string {
  return source.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '');
}

/** Returns the top-level folder of a file, or the file itself if it is at the top level. */
function findPart(file: string): string {
  return file.split('/')[0] ?? file;
}

function isAllowed({ from, to, kind }: Import): boolean {
  const rule = rules[findPart(from)];
  const part = findPart(to);
  if (part === findPart(from) || rule?.code?.includes(part)) return true;
  return kind === 'types' && rule?.types?.includes(part) === true;
}

/** Returns `entry` and the files that it loads through static imports. Ignores type imports and dynamic imports. */
function findLoadedFiles(entry: string): Set<string> {
  const loadedFiles = new Set([entry]);
  for (const file of loadedFiles) {
    for (const { from, to, isInternal, kind } of imports) {
      if (from === file && isInternal && kind === 'code') loadedFiles.add(to);
    }
  }
  return loadedFiles;
}

const findImporters = (pattern: RegExp) =>
  new Set(imports.filter(({ to, isInternal }) => !isInternal && pattern.test(to)).map(({ from }) => from));

test('finds static, type and dynamic imports', () => {
  expect(imports.length).toBeGreaterThan(200);
  expect(imports).toContainEqual({ from: 'main.ts', to: 'cli/run.ts', isInternal: true, kind: 'dynamic' });
  expect(imports).toContainEqual({ from: 'app.ts', to: 'config.ts', isInternal: true, kind: 'types' });
  expect(imports).toContainEqual({
    from: 'app/assemble.ts',
    to: 'http/server.ts',
    isInternal: true,
    kind: 'code',
  });
  const storageImport = { from: 'app/open-back-ends.ts', to: 'storage/local.ts', isInternal: true };
  expect(imports).toContainEqual({ ...storageImport, kind: 'dynamic' });
});

describe('import rules', () => {
  test('exist for exactly the parts of src/', () => {
    expect([...new Set(files.map(findPart))].sort()).toEqual(Object.keys(rules).sort());
  });

  test.each(Object.keys(rules))('are followed by %s', (part) => {
    const violations = imports
      .filter((entry) => entry.isInternal && findPart(entry.from) === part && !isAllowed(entry))
      .map(({ from, to, kind }) => `${from} → ${to} (${kind})`);
    expect(violations).toEqual([]);
  });

  test('allow services to import only pure functions from fetcher, imaging and storage', () => {
    const usedModules = imports
      .filter(
        ({ from, to, kind }) =>
          findPart(from) === 'services' && kind !== 'types' && /^(imaging|fetcher|storage)\//.test(to),
      )
      .map(({ to }) => to);
    expect([...new Set(usedModules)].sort()).toEqual(pureModules);
  });

  test('allow only commands and serverless functions to load the composition root', () => {
    const importers = imports
      .filter(({ to, isInternal }) => isInternal && to === 'app.ts')
      .map(({ from }) => findPart(from));
    expect([...new Set(importers)]).toEqual(['cli', 'serverless']);
  });
});

describe('heavy packages', () => {
  test.each(['app.ts', 'app/assemble.ts', 'cli/serve.ts', 'cli/worker.ts'])(
    'are not loaded by %s before their first use',
    (entry) => {
      const loadedFiles = findLoadedFiles(entry);
      const heavyImports = imports.filter(
        ({ from, to, kind }) =>
          loadedFiles.has(from) && kind === 'code' && /^(@aws-sdk\/|bullmq|ioredis|@electric-sql\/)/.test(to),
      );
      expect(heavyImports).toEqual([]);
    },
  );
});

describe('the image library', () => {
  test('is imported only by the imaging code and the sample generator', () => {
    const otherImporters = [...findImporters(/^sharp$/)].filter(
      (file) => !/^imaging\/(?!pool\/)/.test(file) && !file.startsWith('cli/seed/'),
    );
    expect(otherImporters).toEqual([]);
  });

  const commands = ['serve.ts', 'worker.ts', 'migrate.ts', 'doctor/doctor.ts', 'import/import-command.ts'];
  test.each([
    'app.ts',
    'app/assemble.ts',
    'serverless/serverless.ts',
    ...commands.map((file) => `cli/${file}`),
  ])('is not loaded by %s', (entry) => {
    const loadedFiles = findLoadedFiles(entry);
    expect(loadedFiles.size).toBeGreaterThan(1);
    const nativeImports = imports.filter(
      ({ from, to, kind }) => loadedFiles.has(from) && to === 'sharp' && kind === 'code',
    );
    expect(nativeImports).toEqual([]);
  });

  test('is loaded by a decoder child process', () => {
    expect(findLoadedFiles('imaging/pool/child.ts')).toContain('imaging/decoding/native-library.ts');
  });
});

describe('responsibilities', () => {
  test('only one file reads the environment', () => {
    const readers = files.filter((file) => {
      const code = stripComments(sources.get(file) ?? '');
      return (
        /\bprocess\.env\b/.test(code) || /import\s*\{[^}]*\benv\b[^}]*\}\s*from 'node:process'/.test(code)
      );
    });
    expect(readers).toEqual(['cli/environment.ts']);
  });

  test('only commands, and decoder children that have lost their parent, end the process', () => {
    const callers = files.filter((file) => /\bprocess\.exit\(/.test(stripComments(sources.get(file) ?? '')));
    expect(callers.filter((file) => findPart(file) !== 'cli')).toEqual(['imaging/pool/serve.ts']);
  });

  test('only db/ imports database libraries', () => {
    const otherImporters = [...findImporters(/^(kysely|pg$|@electric-sql\/)/)].filter(
      (file) => findPart(file) !== 'db',
    );
    // The PostgreSQL queue uses a separate connection for wake-ups.
    expect(otherImporters.filter((file) => !file.startsWith('queue/postgres'))).toEqual([]);
  });

  test('the folders in db/ import each other in one direction only', () => {
    const dependencies: Readonly<Record<string, readonly string[]>> = {
      campaigns: ['engine'],
      duplicates: ['engine', 'images'],
      engine: [],
      images: ['engine'],
      jobs: ['engine', 'images'],
      purge: ['duplicates', 'engine', 'images'],
      renditions: ['engine', 'images', 'jobs'],
      usage: ['engine', 'images'],
    };
    const findDatabaseFolder = (path: string) => /^db\/([^/]+)\//.exec(path)?.[1];
    const violations = imports.filter(({ from, to }) => {
      const [folder, target] = [findDatabaseFolder(from), findDatabaseFolder(to)];
      return folder && target && folder !== target && !dependencies[folder]?.includes(target);
    });
    expect(violations).toEqual([]);
  });

  test('only http/ and the composition root import Fastify', () => {
    const otherImporters = [...findImporters(/^(fastify|@fastify\/)/)].filter(
      (file) => findPart(file) !== 'http',
    );
    expect(otherImporters).toEqual(['app.ts', 'app/assemble.ts', 'app/compose-components.ts']);
  });

  test('model/ imports no packages', () => {
    const externalImports = imports.filter(
      ({ from, isInternal }) => findPart(from) === 'model' && !isInternal,
    );
    expect(externalImports).toEqual([]);
  });

  test('API routes import no database, storage or imaging code', () => {
    const disallowedImports = imports.filter(
      ({ from, to, kind }) =>
        /^http\/(v1|dialects)\//.test(from) && /^(db|storage|imaging)\//.test(to) && kind !== 'types',
    );
    expect(disallowedImports).toEqual([]);
  });

  test('no file that people write has more than 300 lines', () => {
    const writtenFiles = files.filter((file) => file !== 'db/schema.ts');
    const longFiles = writtenFiles.filter((file) => (sources.get(file) ?? '').split('\n').length > 301);
    expect(longFiles).toEqual([]);
  });
});
