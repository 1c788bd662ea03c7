import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { loadConfig } from '../src/config.ts';
import { makePreset as completePreset } from '../src/model/preset.ts';
import { listConfigProblems } from './support/inner/config-problems.ts';
import { runVitrine } from './support/process/command.ts';

const makePreset = (name: string, width: number, height: number, quality = 85) =>
  completePreset({ name, width, height, quality });

test('uses the documented defaults for an empty environment', () => {
  const { server, uploads, presets, worker, log } = loadConfig({});
  expect([server.host, server.port, log.level, worker.enabled]).toEqual(['127.0.0.1', 8000, 'info', true]);
  expect(uploads.maxBytes).toBe(10_485_760);
  expect(uploads.maxPixels).toBe(70_000_000);
  expect(presets).toEqual([
    makePreset('thumb', 100, 100),
    makePreset('card', 400, 400),
    makePreset('zoom', 1200, 1200),
  ]);
});

test('considers a server exposed if its address or host name is public', () => {
  const isExposed = (env: Record<string, string>) => loadConfig(env).server.isExposed;
  const loopbackHosts = [
    '127.0.0.1',
    ' 127.1.2.3 ',
    'localhost',
    'LOCALHOST.',
    'app.localhost',
    '::1',
    '[::1]',
    '::ffff:127.0.0.1',
  ];
  for (const HOST of loopbackHosts) expect(isExposed({ HOST }), HOST).toBe(false);
  for (const HOST of ['0.0.0.0', '::', '192.0.2.1', 'pictures.example.com', '127.example', 'not a host'])
    expect(isExposed({ HOST }), HOST).toBe(true);
  expect(
    isExposed({ ALLOWED_HOSTS: 'localhost, app.localhost [::1]', PUBLIC_URL: 'http://localhost:9000' }),
  ).toBe(false);
  const publicNames: [string, string][] = [
    ['ALLOWED_HOSTS', '*'],
    ['ALLOWED_HOSTS', '*.a.example'],
    ['PUBLIC_URL', 'https://a.example'],
  ];
  for (const [name, value] of publicNames) expect(isExposed({ [name]: value }), value).toBe(true);
});

test('warns about an exposed server without including its token', () => {
  const loadWarnings = (env: Record<string, string>) => loadConfig(env).exposureWarnings.join(' ');
  expect(loadWarnings({})).toBe('');
  expect(loadWarnings({ HOST: '0.0.0.0' })).toMatch(
    /HOST is 0\.0\.0\.0.*no access control.*PURGE_CONFIRM_TOKEN is not set.*ALLOWED_HOSTS is not set/,
  );
  expect(loadWarnings({ HOST: '::', PURGE_CONFIRM_TOKEN: 'DELETE_CONFIRMED' })).toContain(
    'publicly documented',
  );
  const proxyWarnings = loadWarnings({ PUBLIC_URL: 'https://a.example', PURGE_CONFIRM_TOKEN: 'open sesame' });
  expect(proxyWarnings).toMatch(
    /^PUBLIC_URL or ALLOWED_HOSTS contains a public host.*no access control.*\.$/,
  );
  expect(proxyWarnings).not.toMatch(/TOKEN|sesame/);
});

test('parses host names and the public URL, and rejects invalid values', () => {
  const { allowedHosts, publicOrigin } = loadConfig({
    ALLOWED_HOSTS: '"Pictures.Example.com.", "*.shop.example", 192.0.2.1:8000;::1',
    PUBLIC_URL: ' https://Pictures.example.com:8443/ ',
  }).server;
  expect(publicOrigin).toBe('https://pictures.example.com:8443');
  expect(allowedHosts).toEqual([
    'pictures.example.com',
    '*.shop.example',
    '192.0.2.1',
    '::1',
    'pictures.example.com',
  ]);
  for (const text of [
    'https://a.example',
    'a.example/x',
    '.a.example',
    '*.*.example',
    'a*.example',
    'user@a.example',
  ])
    expect(listConfigProblems({ ALLOWED_HOSTS: text })[0], text).toMatch(/^ALLOWED_HOSTS: .*not a host name/);
  for (const text of ['a.example', 'https://a.example/path', 'ftp://a.example'])
    expect(listConfigProblems({ PUBLIC_URL: text })[0], text).toMatch(/^PUBLIC_URL: .*not an origin/);
  expect(listConfigProblems({ PURGE_CONFIRM_TOKEN: 'two\nlines' })[0]).toMatch(
    /^PURGE_CONFIRM_TOKEN: its value contains control/,
  );
});

test('reports all problems together, each with its variable name', () => {
  const problems = listConfigProblems({
    PORT: 'eighty',
    LOG_LEVEL: 'loud',
    PRESETS: '{',
    ENABLE_WORKER: 'perhaps',
    MAX_FILE_SIZE: '-1',
    DATABASE_URL: 'sqlite:///x.db',
  });
  const reportedNames = new Set(problems.map((problem) => problem.split(':')[0]));
  const expectedNames = ['PORT', 'LOG_LEVEL', 'PRESETS', 'ENABLE_WORKER', 'MAX_FILE_SIZE', 'DATABASE_URL'];
  expect(reportedNames).toEqual(new Set(expectedNames));
  expect(problems).toHaveLength(expectedNames.length);
  expect(problems.find((problem) => problem.startsWith('PORT'))).toMatch(/"eighty".*0 to 65535/);
});

test('uses an alias of a variable if the variable itself is unset or blank', () => {
  const loadMaxBytes = (env: Record<string, string>) => loadConfig(env).uploads.maxBytes;
  expect(loadMaxBytes({ MAX_FILE_SIZE: '2000' })).toBe(2000);
  expect(loadMaxBytes({ MAX_FILE_SIZE: '2000', MAX_UPLOAD_BYTES: '3000' })).toBe(3000);
  expect(loadMaxBytes({ MAX_FILE_SIZE: '2000', MAX_UPLOAD_BYTES: ' ' })).toBe(2000);
  for (const name of ['STORAGE_PATH', 'STORAGE_BASE_PATH', 'THUMBFORGE_STORAGE_PATH'])
    expect(loadConfig({ [name]: '/srv/pictures' }).storage, name).toMatchObject({ path: '/srv/pictures' });
  expect(loadConfig({ THUMBFORGE_THUMBNAIL_SIZE: '200' }).presets[0]).toEqual(makePreset('thumb', 200, 200));
});

test('accepts words in upper and lower case, and Python’s log level names', () => {
  const levels = { INFO: 'info', WARNING: 'warn', Warn: 'warn', CRITICAL: 'fatal', dEbUg: 'debug' };
  for (const [word, level] of Object.entries(levels))
    expect(loadConfig({ LOG_LEVEL: word }).log.level, word).toBe(level);
  for (const word of ['off', 'No', '0', 'FALSE'])
    expect(loadConfig({ ENABLE_WORKER: word }).worker.enabled, word).toBe(false);
  for (const word of ['ON', 'yes', '1', 'True'])
    expect(loadConfig({ ENABLE_WORKER: word }).worker.enabled, word).toBe(true);
  expect(loadConfig({ STORAGE_TYPE: 'LOCAL' }).storage.kind).toBe('local');
});

test('enables debug logs only if DEBUG has a true value', () => {
  for (const word of ['true', 'YES', '1']) expect(loadConfig({ DEBUG: word }).log.level, word).toBe('debug');
  for (const word of ['express:*', 'false', 'release'])
    expect(loadConfig({ DEBUG: word, LOG_LEVEL: 'error' }).log.level, word).toBe('error');
});

test('rejects values that are names of built-in object properties', () => {
  expect(listConfigProblems({ LOG_LEVEL: 'constructor' })).toHaveLength(1);
  expect(listConfigProblems({ ALLOWED_EXTENSIONS: '.png,tostring,constructor' })).toHaveLength(1);
});

test('accepts a preset as a number, a pair or an object', () => {
  const PRESETS = '{"thumb": 64, "card": [300, 200], "hero": {"width": 1600, "height": 900, "quality": 70}}';
  expect(loadConfig({ PRESETS }).presets).toEqual([
    makePreset('thumb', 64, 64),
    makePreset('card', 300, 200),
    makePreset('hero', 1600, 900, 70),
  ]);
  const invalidPresets = [
    '[]',
    '{}',
    '{"a":0}',
    '{"a":[1]}',
    '{"a":{"width":1}}',
    '{"original":9}',
    '{"A b":9}',
    '{"a":1.5}',
  ];
  for (const text of [
    ...invalidPresets,
    '{"a":20000}',
    '{"a":{"width":1,"height":1,"quality":101}}',
    '{"a":1,',
  ])
    expect(listConfigProblems({ PRESETS: text })[0], text).toMatch(/^PRESETS: .*Accepted: a JSON object/);
});

test('overrides only the thumb preset with THUMBNAIL_SIZE', () => {
  for (const text of ['200', '200x200', ' 200 X 200 '])
    expect(loadConfig({ THUMBNAIL_SIZE: text }).presets.slice(0, 2), text).toEqual([
      makePreset('thumb', 200, 200),
      makePreset('card', 400, 400),
    ]);
  for (const text of ['0', 'big', '10x', '99999'])
    expect(listConfigProblems({ THUMBNAIL_SIZE: text })[0], text).toMatch(
      /^THUMBNAIL_SIZE: .*`100` or `100x100`/,
    );
});

test('accepts extensions with and without dots in ALLOWED_EXTENSIONS', () => {
  const loadFormats = (text: string) => loadConfig({ ALLOWED_EXTENSIONS: text }).uploads.allowedFormats;
  expect(loadFormats('.JPG, jpeg;.png')).toEqual(['jpeg', 'png']);
  expect(loadFormats('tif')).toEqual(['tiff']);
  expect(listConfigProblems({ ALLOWED_EXTENSIONS: '.jpg,.svg,.exe' })[0]).toMatch(/contains svg, exe, which/);
  expect(listConfigProblems({ ALLOWED_EXTENSIONS: ',' })[0]).toMatch(/contains no format/);
});

test('parses networks in TRUSTED_PROXIES', () => {
  const loadProxies = (text: string) => loadConfig({ TRUSTED_PROXIES: text }).server.trustedProxies;
  expect(loadProxies('none')).toEqual([]);
  expect(loadProxies('10.0.0.0/8, 192.0.2.7, fd00::/8')).toEqual(['10.0.0.0/8', '192.0.2.7/32', 'fd00::/8']);
  for (const text of ['10.0.0.0/8:80', 'proxy.example', '10.0.0.0/40'])
    expect(listConfigProblems({ TRUSTED_PROXIES: text })[0], text).toMatch(/which is not a network/);
});

test('parses networks with and without a port in IMPORT_ALLOWED_NETWORKS', () => {
  const loadNetworks = (text: string) =>
    loadConfig({ IMPORT_ALLOWED_NETWORKS: text }).imports.allowedNetworks;
  const makeNetwork = (network: string, port?: number) => ({ network, port });
  expect(loadNetworks('none')).toEqual([]);
  expect(loadNetworks('10.0.0.0/8, 10.1.2.3:9000;10.1.2.0/24:80')).toEqual([
    makeNetwork('10.0.0.0/8'),
    makeNetwork('10.1.2.3/32', 9000),
    makeNetwork('10.1.2.0/24', 80),
  ]);
  expect(loadNetworks('fd00::/8,::1')).toEqual([makeNetwork('fd00::/8'), makeNetwork('::1/128')]);
  expect(loadNetworks('[fd00::/8]:9000,[fd01::1]:65535,[fd02::/16]')).toEqual([
    makeNetwork('fd00::/8', 9000),
    makeNetwork('fd01::1/128', 65_535),
    makeNetwork('fd02::/16'),
  ]);
  // Configurations written for older services contain JSON-style lists.
  expect(loadNetworks('["10.0.0.0/8:80", "[fd00::/8]:443"]')).toEqual([
    makeNetwork('10.0.0.0/8', 80),
    makeNetwork('fd00::/8', 443),
  ]);
  expect(loadNetworks('[10.0.0.0/8, fd00::/8]')).toEqual([
    makeNetwork('10.0.0.0/8'),
    makeNetwork('fd00::/8'),
  ]);
  for (const text of ['10.0.0.0/8:', '10.0.0.0/33:80', 'fd00::/8:9000', 'name.example:80', ':80', '[]:80'])
    expect(listConfigProblems({ IMPORT_ALLOWED_NETWORKS: text })[0], text).toMatch(
      /which is not a network\. Accepted: comma-separated networks/,
    );
  for (const text of ['10.0.0.1:0', '10.0.0.1:65536', '[fd00::/8]:99999'])
    expect(listConfigProblems({ IMPORT_ALLOWED_NETWORKS: text })[0], text).toMatch(
      /whose port is not between 1 and 65535/,
    );
});

test('reads a .env file in the working directory, and lets environment variables override it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'vitrine-test-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, '.env'), 'PORT=from-the-file\nLOG_LEVEL=from-the-file\n');
  const { code, stderr } = await runVitrine(['migrate'], { LOG_LEVEL: 'info', DATA_DIR: folder }, folder);
  expect(code).toBe(2);
  expect(stderr).toMatch(/PORT: "from-the-file" is not a whole number/);
  expect(stderr).not.toContain('LOG_LEVEL');
});

test('parses a launcher command with quoted arguments, and rejects an unclosed quote', () => {
  const loadLauncher = (text: string) => loadConfig({ DECODER_LAUNCHER: text }).decoder.launcher;
  expect(loadConfig({}).decoder.launcher).toEqual([]);
  expect(loadLauncher('unshare --net  --map-root-user')).toEqual(['unshare', '--net', '--map-root-user']);
  expect(loadLauncher(`bwrap --bind "/my data" '/my data' {folder}`)).toEqual([
    'bwrap',
    '--bind',
    '/my data',
    '/my data',
    '{folder}',
  ]);
  expect(listConfigProblems({ DECODER_LAUNCHER: 'bwrap "--bind' })[0]).toMatch(
    /DECODER_LAUNCHER.*unclosed quote/,
  );
});
