import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../src/config.ts';
import type { Section } from '../src/config/setting.ts';
import type { Setting } from '../src/config/setting.ts';
import { settings } from '../src/config/settings.ts';
import { errorTable } from '../src/errors.ts';
import { makeHttpServer } from '../src/http/server.ts';
import type { HttpDependencies } from '../src/http/route-plugin.ts';

const root = fileURLToPath(new URL('../', import.meta.url));
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const documents = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
].sort();

/** Returns a document’s table rows whose first cell is code. Each row is a list of cells without backticks. */
function readTableRows(document: string): string[][] {
  const lines = read(document)
    .split('\n')
    .filter((line) => line.startsWith('| `'));
  return lines.map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('`', '')),
  );
}

/** Names in capitals that appear in the documents but are not settings. */
const nonSettingNames = [
  // The file that marks a complete database, and the token that confirms a purge on loopback.
  'VITRINE_READY',
  'DELETE_CONFIRMED',
  // Variables of the S3 client, and one of its option values.
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'WHEN_REQUIRED',
  // A variable and an error code of serverless hosts.
  'CRON_SECRET',
  'FUNCTION_PAYLOAD_TOO_LARGE',
  // Variables of tests and benchmarks.
  'TEST_DATABASE_URL',
  'TEST_REDIS_URL',
  'TEST_S3_ENDPOINT',
  'TEST_S3_BUCKET',
  'BENCH_DATABASE_URL',
  'BENCH_REDIS_URL',
  'FAULT_ROUNDS',
  'FAULT_POSTGRES_KILL',
  'FAULT_POSTGRES_START',
];

describe('configuration', () => {
  test('docs/configuration.md matches the settings', () => {
    const { status, stderr } = spawnSync(process.execPath, ['scripts/configuration-docs.ts', '--check'], {
      cwd: root,
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(status).toBe(0);
  });

  test('the documents mention only existing variables', () => {
    const knownNames = new Set(
      Object.values<Section>(settings)
        .flatMap((section) => Object.values(section))
        .flatMap(({ name, aliases }) => [name, ...aliases]),
    );
    for (const name of nonSettingNames) knownNames.add(name);
    const unknownNames = documents.flatMap((document) =>
      Array.from(read(document).matchAll(/`([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)`/g), ([, name = '']) => name)
        .filter((name) => !knownNames.has(name))
        .map((name) => `${document}: ${name}`),
    );
    expect(unknownNames).toEqual([]);
  });

  test('docs/limits.md lists the current defaults', () => {
    const rows = read('docs/limits.md').replaceAll(',', '').split('\n');
    const listedSettings = Object.values(settings)
      .flatMap((section) => Object.values<Setting<unknown>>(section))
      // Other defaults, such as lists, are described in words.
      .filter(({ fallback, fallbackDescription }) => /^[\d.]+$/.test(fallback ?? '') && !fallbackDescription)
      .map(({ name, fallback }) => ({
        // The document has seconds where a setting has milliseconds.
        documentedDefault: name.endsWith('_MS') ? Number(fallback) / 1_000 : fallback,
        rows: rows.filter((row) => row.includes(`| \`${name}\` |`)),
      }))
      .filter((setting) => setting.rows.length > 0);
    expect(listedSettings.length).toBeGreaterThan(20);
    const outdatedRows = listedSettings.flatMap((setting) =>
      setting.rows.filter((row) => !new RegExp(`\\b${setting.documentedDefault}\\b`).test(row)),
    );
    expect(outdatedRows).toEqual([]);
  });
});

describe('API', () => {
  test('docs/api/errors.md lists exactly the existing error codes, with status, title and class', () => {
    const documentedErrors = readTableRows('docs/api/errors.md').filter((row) => row.length === 4);
    const actualErrors = Object.entries(errorTable).map(([code, { status, title, failureClass }]) => [
      code,
      String(status),
      title,
      failureClass,
    ]);
    expect(documentedErrors).toEqual(actualErrors);
  });

  test('docs/api/README.md lists exactly the registered routes', async () => {
    const documentedRoutes = readTableRows('docs/api/README.md')
      .map(([firstCell = '']) => firstCell)
      .filter((endpoint) => /^[A-Z]+ \//.test(endpoint));
    expect(documentedRoutes.toSorted()).toEqual(await listRegisteredRoutes());
  });

  test('the API pages mention only existing endpoints', async () => {
    const knownEndpoints = new Set((await listRegisteredRoutes()).map(normalizeEndpoint));
    const pages = documents.filter((document) => document.startsWith('docs/api/'));
    const unknownEndpoints = pages.flatMap((page) =>
      Array.from(
        read(page).matchAll(/`(GET|POST|PUT|DELETE) (\/[^`\s?]*)/g),
        ([, method = '', path = '']) => path && `${method} ${path}`,
      )
        .filter((endpoint) => !knownEndpoints.has(normalizeEndpoint(endpoint)))
        .map((endpoint) => `${page}: ${endpoint}`),
    );
    expect(pages.length).toBeGreaterThan(5);
    expect(unknownEndpoints).toEqual([]);
  });

  test('the API pages list exactly the existing Prometheus metrics', () => {
    const source = ['metrics.ts', 'sampler.ts', 'request-times.ts', 'admission-metrics.ts']
      .map((file) => read(`src/telemetry/${file}`))
      .join('');
    const actualMetrics = [
      ...new Set(Array.from(source.matchAll(/'(vitrine_[a-z_]+)'/g), ([, name = '']) => name)),
    ];
    const documentedMetrics = readTableRows('docs/api/usage-and-operations.md')
      .map(([firstCell = '']) => firstCell)
      .filter((name) => name.startsWith('vitrine_'));
    expect(actualMetrics.length).toBeGreaterThan(8);
    expect(documentedMetrics.toSorted()).toEqual(actualMetrics.toSorted());
  });
});

/** Removes parameter names and a trailing slash from an endpoint. */
function normalizeEndpoint(endpoint: string): string {
  return endpoint.replaceAll(/:\w+/g, ':').replace(/(?<=.)\/$/, '');
}

/** Returns the server's routes as `GET /path`, without HEAD routes. No route is called, so no services are needed. */
async function listRegisteredRoutes(): Promise<string[]> {
  const dependencies = { services: {}, metrics: {} } as unknown as HttpDependencies;
  const app = makeHttpServer(loadConfig({}), pino({ level: 'silent' }), dependencies);
  await app.ready();
  try {
    // Preflight routes and the assets of the API pages are not documented.
    return parseRoutes(app.printRoutes({ commonPrefix: false }))
      .filter((endpoint) => !endpoint.startsWith('OPTIONS ') && !/^GET \/docs(?:\/|\*)/.test(endpoint))
      .toSorted();
  } finally {
    await app.close();
  }
}

/** Parses Fastify's route drawing, a tree of path segments in which each level is indented by four columns. */
function parseRoutes(drawing: string): string[] {
  const routes: string[] = [];
  const path: string[] = [];
  for (const line of drawing.split('\n')) {
    const match = /^(?<indent>[│\s]*)[├└]── (?<segment>\S*)(?: \((?<methods>[A-Z, ]+)\))?$/.exec(line);
    if (!match?.groups) continue;
    const { indent = '', segment = '', methods = '' } = match.groups;
    path.length = indent.length / 4;
    path.push(segment);
    for (const method of methods.split(', ').filter((word) => word !== '' && word !== 'HEAD'))
      routes.push(`${method} ${path.join('')}`);
  }
  return routes;
}

describe('links', () => {
  /** Returns the anchors that GitHub generates for the headings of a document. */
  const findAnchors = (document: string) =>
    Array.from(read(document).matchAll(/^#+ (.+)$/gm), ([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .trim()
        .replaceAll(/\s/g, '-'),
    );

  test.each(documents)('relative links in %s have existing targets', (document) => {
    const targets = Array.from(read(document).matchAll(/\]\(([^)\s]+)\)/g), ([, target = '']) => target);
    const brokenLinks = targets.filter((target) => {
      if (/^[a-z]+:/.test(target)) return false;
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? document : relative(root, join(root, dirname(document), path));
      if (!existsSync(join(root, file))) return true;
      return anchor !== undefined && !findAnchors(file).includes(anchor);
    });
    expect(brokenLinks).toEqual([]);
  });

  test('the index of decision records is complete and is linked from the architecture page', () => {
    const records = readdirSync(join(root, 'docs/adr')).filter((name) => /^\d{4}-.+\.md$/.test(name));
    const index = read('docs/adr/README.md');
    expect(records.length).toBeGreaterThan(0);
    expect(records.filter((name) => !index.includes(`(${name})`))).toEqual([]);
    expect(read('docs/architecture.md')).toContain('(adr/README.md)');
  });

  test('the documents mention only existing source files', () => {
    const folders = ['', 'src/'];
    const missingFiles = documents.flatMap((document) =>
      Array.from(
        read(document).matchAll(/`([\w-]+(?:\/[\w.-]+)+\.(?:ts|js|md|sql))`/g),
        ([, path = '']) => path,
      )
        .filter((path) => !folders.some((folder) => existsSync(join(root, folder, path))))
        .map((path) => `${document}: ${path}`),
    );
    expect(missingFiles).toEqual([]);
  });
});

test('the README shows the current command-line help', () => {
  const { stdout } = spawnSync(process.execPath, ['src/main.ts', '--help'], { cwd: root, encoding: 'utf8' });
  expect(stdout).toContain('serve');
  expect(read('README.md')).toContain(stdout.trim());
});
