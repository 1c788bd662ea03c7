import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config.ts';
import { loadServerlessConfig } from '../../src/serverless/settings.ts';
import { listConfigProblems } from '../support/inner/config-problems.ts';

const secret = 'a secret of tests 0123456789abcdef';
const database = { DATABASE_URL: 'postgres://database/vitrine' };
const load = (env: Record<string, string>) => loadConfig(env).access;
const bucket = {
  STORAGE_TYPE: 's3',
  S3_BUCKET: 'pictures',
  AWS_ACCESS_KEY_ID: 'id',
  AWS_SECRET_ACCESS_KEY: 'key',
};

describe('the access mode', () => {
  test('is open by default on loopback only', () => {
    for (const HOST of ['', '127.0.0.1', 'localhost', '::1'])
      expect(load({ HOST }), HOST).toMatchObject({ mode: 'open', problems: [] });
  });

  test.each([
    [{ HOST: '0.0.0.0' }, /HOST is 0\.0\.0\.0, which is not a loopback address/],
    [{ HOST: '::' }, /HOST is ::, which/],
    [{ PUBLIC_URL: 'https://pictures.example.com' }, /PUBLIC_URL or ALLOWED_HOSTS contains a public host/],
    [{ ALLOWED_HOSTS: 'pictures.example.com' }, /PUBLIC_URL or ALLOWED_HOSTS contains a public host/],
  ])('must be chosen if other machines can reach the server: %j', (env, reason) => {
    for (const AUTH of ['', '  ']) {
      const { problems } = load({ ...env, AUTH });
      expect(problems).toHaveLength(1);
      expect(problems[0]).toMatch(/^AUTH is not set, and other machines can reach this server: /);
      expect(problems[0]).toMatch(reason);
    }
    expect(load({ ...env, AUTH: 'open' })).toMatchObject({ mode: 'open', problems: [] });
    expect(load({ ...env, AUTH: ' KEYS ' })).toMatchObject({ mode: 'keys', problems: [] });
  });

  test('counts a function as reachable, whatever HOST says, and says so', () => {
    const { server, access } = loadConfig({ HOST: '127.0.0.1' }, { isServerless: true });
    expect([server.isExposed, server.isOnLoopback]).toEqual([true, false]);
    expect(access.problems[0]).toContain('Vitrine runs as a serverless function, which has a public address');
    expect(access.problems[0]).not.toContain('HOST');
  });

  test('is keys by default in a function, which then needs a secret', () => {
    const config = loadServerlessConfig({ ...database, ...bucket, AUTH: '', SECRET_KEY: secret });
    expect(config.access).toMatchObject({ mode: 'keys', problems: [] });
    const loadOpen = () => loadServerlessConfig({ ...database, ...bucket, AUTH: 'open' });
    expect(loadOpen().access.mode).toBe('open');
    expect(loadOpen().exposureWarnings[0]).toMatch(/^Vitrine runs as a serverless function.*AUTH is open/);
    for (const SECRET_KEY of ['', 'change_me', 'short'])
      expect(() => loadServerlessConfig({ ...database, ...bucket, SECRET_KEY })).toThrow(/SECRET_KEY/);
  });

  test('accepts only known words', () => {
    expect(listConfigProblems({ AUTH: 'none' })[0]).toMatch(/^AUTH: "none" .*`open`, `keys`/);
  });

  test('is warned about if it is open on purpose where other machines can reach the server', () => {
    const { exposureWarnings } = loadConfig({ HOST: '0.0.0.0', AUTH: 'open' });
    expect(exposureWarnings[0]).toMatch(/^HOST is 0\.0\.0\.0.*AUTH is open.*anyone who can reach the server/);
    expect(loadConfig({ AUTH: 'open' }).exposureWarnings).toEqual([]);
    const withKeys = loadConfig({ HOST: '0.0.0.0', AUTH: 'keys', ALLOWED_HOSTS: 'pictures.example.com' });
    expect(withKeys.exposureWarnings).toEqual([]);
  });
});

describe('SECRET_KEY', () => {
  const weakSecrets = ['change_me', 'CHANGEME', 'change-me-database', 'x'.repeat(31), `change-me-${secret}`];

  test.each(weakSecrets)('is refused with keys, and only warned about in open mode: %s', (SECRET_KEY) => {
    const [problem = '', ...others] = load({ AUTH: 'keys', SECRET_KEY }).problems;
    expect(others).toEqual([]);
    expect(problem).toMatch(
      /^SECRET_KEY (?:is a publicly documented value|has \d+ characters; it needs at least 32)/,
    );
    expect(problem).not.toContain(SECRET_KEY);
    const openConfig = loadConfig({ SECRET_KEY });
    expect(openConfig.access.problems).toEqual([]);
    expect(openConfig.exposureWarnings).toEqual([problem]);
  });

  test('takes several values, newest first, and checks each', () => {
    const other = secret.toUpperCase();
    expect(load({ SECRET_KEY: ` ${secret} , ${other},, ${secret}` }).secretKeys).toEqual([secret, other]);
    const { problems } = load({ AUTH: 'keys', SECRET_KEY: `${secret},short` });
    expect(problems).toEqual(['Secret 2 of SECRET_KEY has 5 characters; it needs at least 32.']);
  });

  test('may be left out with the embedded database, but not with PostgreSQL', () => {
    for (const SECRET_KEY of ['', ' ', ' , ']) {
      expect(load({ AUTH: 'keys', SECRET_KEY }).problems).toEqual([]);
      const { problems } = load({ AUTH: 'keys', SECRET_KEY, ...database });
      expect(problems).toHaveLength(1);
      expect(problems[0]).toMatch(/^SECRET_KEY is not set.*the same in every process/);
    }
    expect(load({ ...database }).problems).toEqual([]);
  });

  test('must be good enough before a key is created, in open mode too', () => {
    expect(load({ ...database }).secretProblems).toHaveLength(1);
    expect(load({ SECRET_KEY: 'short' }).secretProblems).toHaveLength(1);
    expect(load({ ...database, SECRET_KEY: secret }).secretProblems).toEqual([]);
  });
});

describe('BOOTSTRAP_ADMIN_KEY', () => {
  test('is any text of at least 32 characters that fits into a header', () => {
    const key = `!${secret.replaceAll(' ', '-')}`;
    expect(load({ AUTH: 'keys', BOOTSTRAP_ADMIN_KEY: ` ${key} ` })).toMatchObject({
      bootstrapAdminKey: key,
      problems: [],
    });
    expect(load({ AUTH: 'keys', BOOTSTRAP_ADMIN_KEY: ' ' }).bootstrapAdminKey).toBeUndefined();
    expect(listConfigProblems({ BOOTSTRAP_ADMIN_KEY: 'with a space' })[0]).toMatch(
      /its value contains spaces/,
    );
  });

  test('is refused with keys if it is short or a placeholder, and only warned about in open mode', () => {
    for (const BOOTSTRAP_ADMIN_KEY of ['short', `change-me-${'x'.repeat(40)}`]) {
      const [problem = ''] = load({ AUTH: 'keys', BOOTSTRAP_ADMIN_KEY }).problems;
      expect(problem).toMatch(/^BOOTSTRAP_ADMIN_KEY /);
      expect(problem).not.toContain(BOOTSTRAP_ADMIN_KEY);
      expect(loadConfig({ BOOTSTRAP_ADMIN_KEY }).exposureWarnings).toEqual([problem]);
    }
  });

  test('should differ from SECRET_KEY', () => {
    const value = secret.replaceAll(' ', '-');
    const { access, exposureWarnings } = loadConfig({
      AUTH: 'keys',
      SECRET_KEY: value,
      BOOTSTRAP_ADMIN_KEY: value,
    });
    expect(access.problems).toEqual([]);
    expect(exposureWarnings).toEqual([expect.stringMatching(/^BOOTSTRAP_ADMIN_KEY is also a secret/)]);
  });
});
