import { expect, test } from 'vitest';
import { findSecrets } from '../../src/cli/environment.ts';
import type { Section } from '../../src/config/setting.ts';
import { settings } from '../../src/config/settings.ts';

const secretSettings = Object.values<Section>(settings)
  .flatMap((section) => Object.values(section))
  .filter(({ isSecret }) => isSecret);

test('recognises every secret setting under each of its names', () => {
  expect(secretSettings.length).toBeGreaterThan(2);
  for (const { name, aliases } of secretSettings) {
    for (const variable of [name, ...aliases]) {
      const value = variable.endsWith('_URL') ? 'redis://user:pa%20ss@host:1/0' : 'value';
      expect(findSecrets({ [variable]: value })).toEqual({ [variable]: value });
    }
  }
});

test.each([
  'SECRET_KEY',
  'PURGE_CONFIRM_TOKEN',
  'CRON_SECRET',
  'AWS_ACCESS_KEY_ID',
  'AWS_SECRET_ACCESS_KEY',
  'AWS_SESSION_TOKEN',
  'PGPASSWORD',
  'POSTGRES_PASSWORD',
  'S3_SECRET_KEY',
  'NPM_TOKEN',
  'API_KEY',
  'GOOGLE_APPLICATION_CREDENTIALS',
])('recognises %s as a secret', (name) => {
  expect(Object.keys(findSecrets({ [name]: 'value' }))).toEqual([name]);
});

test.each([
  ['DATABASE_URL', 'postgres://vitrine:p@ss@db/vitrine', true],
  ['DATABASE_URL', 'postgres://db/vitrine?user=a&password=b', true],
  ['DATABASE_URL', 'postgres://postgres@127.0.0.1:5432/postgres', false],
  ['REDIS_URL', 'redis://:word@cache:6379', true],
  ['REDIS_URL', 'redis://cache:6379', false],
  ['S3_ENDPOINT', 'https://s3.example.com:9000', false],
  ['DATA_DIR', '/var/lib/vitrine', false],
  ['KEYBOARD', 'de', false],
  ['SECRET_KEY', '', false],
])('decides whether %s=%s is a secret: %s', (name, value, isSecret) => {
  expect(Object.hasOwn(findSecrets({ [name]: value }), name)).toBe(isSecret);
});
