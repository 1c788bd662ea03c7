import { expect, test } from 'vitest';
import { loadConfig } from '../src/config.ts';
import { listConfigProblems } from './support/inner/config-problems.ts';

const loadDatabaseConfig = (env: Record<string, string>) => loadConfig(env).database;

test('uses the embedded database, queue and storage by default', () => {
  const { database, queue, storage } = loadConfig({ DATA_DIR: '/srv/vitrine' });
  expect(database).toEqual({ kind: 'embedded', path: '/srv/vitrine/db' });
  expect(queue).toEqual({ kind: 'in-process' });
  expect(storage).toMatchObject({ kind: 'local', path: '/srv/vitrine/storage' });
});

test('accepts database server URLs with and without the name of a Python driver', () => {
  const normalizedUrl = 'postgres://shop:secret@db:5433/pictures';
  // The second name is an alias from an older service.
  for (const scheme of [
    'postgres',
    'postgresql',
    'postgresql+asyncpg',
    'postgres+psycopg2',
    'PostgreSQL+psycopg',
  ])
    for (const name of ['DATABASE_URL', 'THUMBFORGE_DATABASE_URL'])
      expect(loadDatabaseConfig({ [name]: normalizedUrl.replace('postgres', scheme) }), scheme).toMatchObject(
        {
          kind: 'postgres',
          url: normalizedUrl,
          poolSize: 10,
        },
      );
});

test('translates the TLS parameters of other drivers to libpq parameters', () => {
  const translateQuery = (query: string) => {
    const database = loadDatabaseConfig({ DATABASE_URL: `postgresql+asyncpg://db/x?${query}` });
    return database.kind === 'postgres' ? new URL(database.url).searchParams.toString() : '';
  };
  expect(translateQuery('ssl=require')).toBe('sslmode=require&uselibpqcompat=true');
  expect(translateQuery('ssl=true')).toBe('sslmode=require&uselibpqcompat=true');
  expect(translateQuery('ssl=false')).toBe('sslmode=disable&uselibpqcompat=true');
  expect(translateQuery('sslmode=verify-full')).toBe('sslmode=verify-full&uselibpqcompat=true');
  expect(translateQuery('application_name=shop')).toBe('application_name=shop');
});

test('builds the database URL from POSTGRES_* settings only if they include a host', () => {
  const parts = {
    POSTGRES_USER: 'shop',
    POSTGRES_PASSWORD: 'p@ss/word',
    POSTGRES_DB: 'pictures',
    POSTGRES_PORT: '5433',
  };
  expect(loadDatabaseConfig(parts).kind).toBe('embedded');
  expect(loadDatabaseConfig({ ...parts, POSTGRES_HOST: 'db' })).toMatchObject({
    url: 'postgres://shop:p%40ss%2Fword@db:5433/pictures',
  });
  expect(loadDatabaseConfig({ POSTGRES_HOST: 'db' })).toMatchObject({
    url: 'postgres://postgres@db:5432/postgres',
  });
  expect(loadDatabaseConfig({ POSTGRES_HOST: 'db', DATABASE_URL: 'postgres://other/x' })).toMatchObject({
    url: 'postgres://other/x',
  });
});

test('rejects an SQLite URL, reports the variable name, and suggests a fix', () => {
  for (const name of ['DATABASE_URL', 'THUMBFORGE_DATABASE_URL'])
    expect(listConfigProblems({ [name]: 'sqlite+aiosqlite:///./app.db' })).toEqual([
      expect.stringMatching(
        `^${name}: its value is an SQLite URL, which is not supported: leave the variable unset to use the embedded`,
      ),
    ]);
});

test('never includes a password in a reported problem', () => {
  const urls = [
    'hunter2',
    'hunter2:x@db',
    'my sql://a:hunter2@db',
    'mysql://a:hunter2@b',
    'postgres://a:hunter2@',
  ];
  for (const url of urls)
    for (const name of ['DATABASE_URL', 'REDIS_URL']) {
      const problems = listConfigProblems({ [name]: url, PORT: 'x' });
      expect(problems, url).toHaveLength(2);
      expect(problems.join('\n'), url).not.toContain('hunter2');
    }
});

test('uses Redis only with a database server', () => {
  const REDIS_URL = 'redis://:secret@cache:6379/2';
  expect(loadConfig({ REDIS_URL }).queue).toEqual({ kind: 'in-process' });
  const DATABASE_URL = 'postgres://db/x';
  expect(loadConfig({ DATABASE_URL }).queue).toEqual({ kind: 'postgres' });
  expect(loadConfig({ DATABASE_URL, REDIS_URL, QUEUE_NAME: 'mine' }).queue).toEqual({
    kind: 'redis',
    url: REDIS_URL,
    name: 'mine',
  });
});

test('requires a bucket for S3, and normalises the prefix', () => {
  expect(listConfigProblems({ STORAGE_TYPE: 's3' })).toEqual([expect.stringMatching(/^S3_BUCKET: not set/)]);
  const loadStorageConfig = (env: Record<string, string>) =>
    loadConfig({ STORAGE_TYPE: 'S3', S3_BUCKET: 'pictures', ...env }).storage;
  expect(loadStorageConfig({})).toMatchObject({
    kind: 's3',
    region: 'us-east-1',
    endpoint: undefined,
    forcePathStyle: false,
    prefix: '',
    redirectSeconds: undefined,
  });
  for (const S3_PREFIX of ['shop/a', '/shop/a/', 'shop/a/'])
    expect(loadStorageConfig({ S3_PREFIX }), S3_PREFIX).toMatchObject({ prefix: 'shop/a/' });
  for (const S3_PREFIX of ['a//b', '../a', 'a b', 'x'.repeat(201)])
    expect(listConfigProblems({ S3_PREFIX })[0], S3_PREFIX).toMatch(/^S3_PREFIX: /);
  expect(
    loadStorageConfig({ AWS_ENDPOINT_URL: 'http://127.0.0.1:9000/', S3_DELIVERY: 'redirect' }),
  ).toMatchObject({
    endpoint: 'http://127.0.0.1:9000',
    forcePathStyle: true,
    redirectSeconds: 300,
  });
  expect(listConfigProblems({ S3_ENDPOINT: 'ftp://store' })[0]).toMatch(/^S3_ENDPOINT: .*is not an http/);
});

test('warns about settings that have no effect', () => {
  const loadWarnings = (env: Record<string, string>) => loadConfig(env).warnings;
  expect(loadWarnings({})).toEqual([]);
  expect(loadWarnings({ POSTGRES_PASSWORD: 'x' })).toEqual([expect.stringMatching(/without POSTGRES_HOST/)]);
  expect(loadWarnings({ REDIS_URL: 'redis://cache' })).toEqual([
    expect.stringMatching(/^REDIS_URL has no effect/),
  ]);
  expect(loadWarnings({ S3_BUCKET: 'pictures' })).toEqual([expect.stringMatching(/without STORAGE_TYPE=s3/)]);
  expect(loadWarnings({ POSTGRES_HOST: 'db', POSTGRES_PASSWORD: 'x', REDIS_URL: 'redis://cache' })).toEqual(
    [],
  );
});

test('rejects a URL that contains an unescaped password or is quoted', () => {
  expect(listConfigProblems({ DATABASE_URL: 'postgres://u:p@ss/word@127.0.0.1/x' })).toEqual([
    expect.stringMatching(/^DATABASE_URL: its value contains more than one @: in a password, write @ as %40/),
  ]);
  expect(listConfigProblems({ DATABASE_URL: '"postgres://u:p@db/x"' })).toEqual([
    expect.stringMatching(/is quoted/),
  ]);
});
