import { setTimeout as sleep } from 'node:timers/promises';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { makeSecretRing } from '../../../src/services/access/secret-ring.ts';
import { call, type ImageRecord, form } from '../../support/process/client.ts';
import { jpeg } from '../../support/process/pictures.ts';
import { startServer, useServer } from '../../support/process/server.ts';
import { isThorough } from '../../support/thoroughness.ts';
import { forEachConcurrently, type Request, sendRequest } from '../generated/exchange.ts';

/** Attacks on signed links: a link works exactly as it was issued, and in no other spelling. */

const secrets = {
  newest: 'the newest secret of this test 0123456789',
  listed: 'an older secret that is still listed 0123456789',
  removed: 'a secret that was removed 0123456789',
};
const operatorKey = 'operator-key-of-the-signed-links-test-0123456789';
const seed = Number(process.env['LINKS_SEED'] ?? 20_261_127);
const mutationCount = isThorough ? 100_000 : 10_000;

const server = useServer({
  AUTH: 'keys',
  SECRET_KEY: `${secrets.newest},${secrets.listed}`,
  BOOTSTRAP_ADMIN_KEY: operatorKey,
});
const authorization = `Bearer ${operatorKey}`;

let images: ImageRecord[];
let links: string[];

const send = (target: string, method = 'GET') => sendRequest(server().url, { method, target, headers: {} });

async function uploadAs(tenant: string): Promise<ImageRecord> {
  const body = form(['tenant', tenant], ['file', await jpeg(tenant, 60, 40)]);
  const init = { method: 'POST', headers: { authorization }, body };
  return (await call<ImageRecord>(`${server().url}/v1/images`, init)).body;
}

async function createLink(id: number, preset: string, expires_in = 3_600): Promise<string> {
  const response = await call<{ url: string }>(`${server().url}/v1/images/${id}/links`, {
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body: JSON.stringify({ preset, expires_in }),
  });
  expect(response.status).toBe(201);
  return response.body.url;
}

/** Signs a link as a server with this secret would. @param keyId default: the id of the secret */
function signWith(secret: string, link: string, keyId?: string): string {
  const ring = makeSecretRing([secret]);
  const unsigned = link
    .replace(/&signature=.*/, '')
    .replace(/key=[0-9a-f]+/, `key=${keyId ?? ring.newestId}`);
  return `${unsigned}&signature=${ring.seal('link', `1\nGET\n${unsigned}`).code.toString('base64url')}`;
}

beforeAll(async () => {
  images = [await uploadAs('shop'), await uploadAs('rival')];
  links = await Promise.all(
    images.flatMap(({ id }) => ['card', 'thumb', 'original'].map((preset) => createLink(id, preset))),
  );
});

async function expectLinksToWork(): Promise<void> {
  for (const link of links)
    for (const method of ['GET', 'HEAD'])
      expect((await send(link, method)).status, `${method} ${link}`).toBe(200);
}

type Mutation = (link: string, position: number, choice: number) => string;

const at = <Item>(items: readonly Item[], choice: number): Item => items[choice % items.length] as Item;
const replaceAt = (text: string, index: number, length: number, insertion: string): string =>
  text.slice(0, index) + insertion + text.slice(index + length);

/** Applies a change to the path, or to the list of parameters. */
const changePath =
  (change: (path: string, position: number, choice: number) => string): Mutation =>
  (link, position, choice) => {
    const [path = '', query = ''] = link.split('?');
    return `${change(path, position, choice)}?${query}`;
  };
const changeQuery =
  (change: (parameters: string[], position: number, choice: number) => string[]): Mutation =>
  (link, position, choice) => {
    const [path = '', query = ''] = link.split('?');
    return `${path}?${change(query.split('&'), position, choice).join('&')}`;
  };
const setParameter =
  (name: string, makeValue: (value: string, choice: number) => string): Mutation =>
  (link, _position, choice) =>
    link.replace(
      new RegExp(`(${name}=)([^&]*)`),
      (_, start: string, value: string) => start + makeValue(value, choice),
    );

const characters = Array.from('ABCXYZabcxyz0129-_+/=%&?#;.~!"\'*,:@[]^`{|}<>\\');
const percentEncode = (character: string, choice: number): string => {
  const code = `%${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  return choice % 2 === 0 ? code : code.toUpperCase();
};

const mutations: Readonly<Record<string, Mutation>> = {
  flip: (link, position, choice) => replaceAt(link, position % link.length, 1, at(characters, choice)),
  insert: (link, position, choice) => replaceAt(link, position % link.length, 0, at(characters, choice)),
  delete: (link, position, choice) => replaceAt(link, position % link.length, (choice % 3) + 1, ''),
  repeatCharacter: (link, position) => {
    const index = position % link.length;
    return replaceAt(link, index, 0, link.charAt(index));
  },
  swapCharacters: (link, position) => {
    const index = position % (link.length - 1);
    return replaceAt(link, index, 2, `${link.charAt(index + 1)}${link.charAt(index)}`);
  },
  changeCase: (link, position) => {
    const index = position % link.length;
    const character = link.charAt(index);
    const other = character === character.toLowerCase() ? character.toUpperCase() : character.toLowerCase();
    return replaceAt(link, index, 1, other);
  },
  upperCase: (link) => link.toUpperCase(),
  append: (link, _position, choice) =>
    link +
    at(
      ['=', '==', '&', '&x=1', '#', '#x', '%20', '%00', '/', '?', ';', 'A', '&v=1', '%0a', '.', '~'],
      choice,
    ),
  percentEncode: (link, position, choice) => {
    const index = position % link.length;
    return replaceAt(link, index, 1, percentEncode(link.charAt(index), choice));
  },
  percentEncodeTwice: (link, position, choice) => {
    const index = position % link.length;
    return replaceAt(link, index, 1, percentEncode(link.charAt(index), choice).replace('%', '%25'));
  },
  otherImage: (link) => {
    const [one = '', other = ''] = images.map(({ uuid }) => uuid);
    return link.includes(one) ? link.replace(one, other) : link.replace(other, one);
  },
  numberForUuid: (link, _position, choice) =>
    link.replace(/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/, String(at(images, choice).id)),
  upperCaseUuid: (link) => link.replace(/\/([0-9a-f-]{36})\//, (uuid) => uuid.toUpperCase()),
  otherPreset: (link, _position, choice) =>
    link.replace(/(?:card|thumb|zoom)(?=\?)/, at(['zoom', 'thumb', 'card', 'original', 'none', ''], choice)),
  otherPicture: (link, _position, choice) =>
    link.replace(
      /(?:original|renditions\/\w+)(?=\?)/,
      at(['original', 'thumbnail', 'renditions/zoom', 'renditions/card', 'similar', ''], choice),
    ),
  doubleSlash: changePath((path, position) => {
    const slashes = Array.from(path.matchAll(/\//g), ({ index }) => index);
    return replaceAt(path, at(slashes, position), 1, '//');
  }),
  trailingSlash: changePath((path) => `${path}/`),
  dots: changePath((path, position, choice) => {
    const slashes = Array.from(path.matchAll(/\//g), ({ index }) => index);
    return replaceAt(
      path,
      at(slashes, position),
      1,
      at(['/./', '/x/../', '/../', '/%2e/', '/%2e%2e/', '/..%2f', '/;/'], choice),
    );
  }),
  absoluteForm: (link, _position, choice) =>
    at([`http://localhost${link}`, `//localhost${link}`, `/${link}`, `${link}${link}`], choice),
  reorder: changeQuery((parameters, position, choice) => {
    const [from, to] = [position % parameters.length, choice % parameters.length];
    const rest = parameters.toSpliced(from, 1);
    return rest.toSpliced(to, 0, parameters[from] ?? '');
  }),
  repeatParameter: changeQuery((parameters, position, choice) =>
    parameters.toSpliced(choice % (parameters.length + 1), 0, at(parameters, position)),
  ),
  repeatWithOtherValue: changeQuery((parameters, position, choice) => {
    const [name = ''] = at(parameters, position).split('=');
    return parameters.toSpliced(choice % (parameters.length + 1), 0, `${name}=${choice}`);
  }),
  dropParameter: changeQuery((parameters, position) => parameters.toSpliced(position % parameters.length, 1)),
  addParameter: changeQuery((parameters, position, choice) =>
    parameters.toSpliced(
      position % (parameters.length + 1),
      0,
      at(['v=1', '', 'a', 'signature', 'tenant=1', 'x=%00'], choice),
    ),
  ),
  encodeName: changeQuery((parameters, position, choice) =>
    parameters.with(
      position % parameters.length,
      at(parameters, position).replace(/^\w/, (letter) => percentEncode(letter, choice)),
    ),
  ),
  brackets: changeQuery((parameters, position) =>
    parameters.with(position % parameters.length, at(parameters, position).replace('=', '[]=')),
  ),
  laterExpiry: setParameter('expires', (value, choice) => String(Number(value) + 1 + choice)),
  oddExpiry: setParameter('expires', (value, choice) =>
    at(
      [
        `0${value}`,
        `${value}.0`,
        `+${value}`,
        `%20${value}`,
        `${value}e0`,
        '9'.repeat(20),
        'Infinity',
        '-1',
        '',
        '0x7fffffff',
      ],
      choice,
    ),
  ),
  otherTenant: setParameter('tenant', (value, choice) =>
    at([String(Number(value) + 1), '0', '', `0${value}`, 'shop', 'null', '-1', `${value}.0`], choice),
  ),
  otherKey: setParameter('key', (value, choice) =>
    at(
      [
        '',
        '00000000',
        value.toUpperCase(),
        `${value}0`,
        makeSecretRing([secrets.removed]).newestId,
        makeSecretRing([secrets.listed]).newestId,
      ],
      choice,
    ),
  ),
  signatureOfOtherLink: setParameter('signature', (_value, choice) =>
    at(links, choice).replace(/.*signature=/, ''),
  ),
  // The last of 43 characters carries two unused bits, so that four spellings stand for the same bytes.
  sameBytes: setParameter('signature', (value, choice) => {
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const last = alphabet.indexOf(value.slice(-1));
    return value.slice(0, -1) + alphabet.charAt(last - (last % 4) + ((last + 1 + (choice % 3)) % 4));
  }),
  otherBase64: setParameter('signature', (value, choice) =>
    at(
      [
        `${value}=`,
        `${value}%3D`,
        value.replaceAll('-', '+'),
        value.replaceAll('_', '/'),
        Buffer.from(value, 'base64url').toString('hex'),
        `${value.slice(0, 20)}%0A${value.slice(20)}`,
      ],
      choice,
    ),
  ),
  truncatedSignature: setParameter('signature', (value, choice) => value.slice(0, choice % value.length)),
  otherSecret: (link, _position, choice) =>
    signWith(secrets.removed, link, choice % 2 === 0 ? undefined : makeSecretRing([secrets.newest]).newestId),
};

const mutationSource = fc.tuple(
  fc.nat(),
  fc.array(fc.tuple(fc.constantFrom(...Object.keys(mutations)), fc.nat(10_000), fc.nat(10_000)), {
    minLength: 1,
    maxLength: 3,
  }),
  fc.constantFrom('GET', 'GET', 'GET', 'HEAD'),
);

/** Returns changed links with the names of the changes. Links that are the same as an issued one are left out. */
function generateMutatedLinks(count: number): (Request & { readonly names: string })[] {
  const samples = fc.sample(fc.noBias(mutationSource), { numRuns: Math.ceil(count * 1.3), seed });
  return samples
    .map(([linkIndex, steps, method]) => ({
      method,
      headers: {},
      names: steps.map(([name]) => name).join(', '),
      target: steps.reduce(
        (link, [name, position, choice]) => (mutations[name] as Mutation)(link, position, choice),
        at(links, linkIndex),
      ),
    }))
    .filter(({ target }) => !links.includes(target) && /^[!-~]+$/.test(target))
    .slice(0, count);
}

describe('a signed link', () => {
  test('is rejected in ten thousand other spellings', async () => {
    const requests = generateMutatedLinks(mutationCount);
    expect(requests).toHaveLength(mutationCount);
    for (const name of Object.keys(mutations))
      expect(
        requests.some(({ names }) => names === name),
        name,
      ).toBe(true);
    await expectLinksToWork();
    const accepted: string[] = [];
    const statuses = new Map<number, number>();
    await forEachConcurrently(requests, async (request) => {
      const { status } = await sendRequest(server().url, request);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
      if (status < 400 || status >= 500)
        accepted.push(`${status} ${request.method} ${request.target} (${request.names})`);
    });
    expect(accepted).toEqual([]);
    // Most reach the check of the signature, rather than failing for another reason.
    expect(statuses.get(403)).toBeGreaterThan(mutationCount / 2);
    await expectLinksToWork();
  });

  test('works for no other method', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE'])
      for (const link of links)
        expect([403, 404, 405], `${method} ${link}`).toContain((await send(link, method)).status);
  });

  test('works at no other route', async () => {
    const [link = ''] = links;
    const query = link.replace(/.*\?/, '');
    const { uuid, id } = images[0] as ImageRecord;
    for (const path of [
      `/v1/images/${uuid}`,
      '/v1/images',
      `/v1/images/${id}/similar`,
      `/retrieve/rendition/${id}/card`,
      `/retrieve/original/${id}`,
      `/api/v1/images/${uuid}`,
      '/v1/keys',
    ])
      expect([400, 401, 403], path).toContain((await send(`${path}?${query}`)).status);
  });

  test('must be right even if the request has a key', async () => {
    const [link = ''] = links;
    const target = link.replace(/.$/, (character) => (character === 'A' ? 'B' : 'A'));
    const response = await sendRequest(server().url, { method: 'GET', target, headers: { authorization } });
    expect(response.status).toBe(403);
  });

  test('works with a listed secret, and not with one that was removed or that a different server has', async () => {
    for (const link of links) {
      expect(signWith(secrets.newest, link)).toBe(link);
      expect((await send(signWith(secrets.listed, link))).status).toBe(200);
      for (const secret of [secrets.removed, 'the secret of a different server 0123456789']) {
        expect((await send(signWith(secret, link))).status).toBe(403);
        for (const listed of [secrets.newest, secrets.listed])
          expect((await send(signWith(secret, link, makeSecretRing([listed]).newestId))).status).toBe(403);
      }
    }
  });

  test('stops working when it expires, and when the image is deleted', async () => {
    const image = await uploadAs('short');
    const brief = await createLink(image.id, 'card', 1);
    const long = await createLink(image.id, 'card');
    expect((await send(long)).status).toBe(200);
    await sleep(1_100);
    const expired = await send(brief);
    expect(expired.status).toBe(403);
    expect(expired.bytes.toString()).toContain('has expired');
    await call(`${server().url}/v1/images/${image.id}`, { method: 'DELETE', headers: { authorization } });
    expect((await send(long)).status).toBe(404);
  });

  test('expires with the key that requests it', async () => {
    const { id } = await uploadAs('lent');
    const createKey = async (expires_in?: number) => {
      const init = {
        method: 'POST',
        headers: { authorization, 'content-type': 'application/json' },
        body: JSON.stringify({ name: 'shop', role: 'reader', tenant: 'lent', expires_in }),
      };
      return (await call<{ key: string; expires_at: string }>(`${server().url}/v1/keys`, init)).body;
    };
    const request = async (key: string, preset: string, expires_in: number) => {
      const init = {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        body: JSON.stringify({ preset, expires_in }),
      };
      const url = `${server().url}/v1/images/${id}/links`;
      const { body } = await call<{ url: string; expires_at: string }>(url, init);
      return { url: body.url, expiresAt: Date.parse(body.expires_at) };
    };
    const brief = await createKey(60);
    const keyEnd = Date.parse(brief.expires_at);
    for (const preset of ['card', 'original']) {
      const link = await request(brief.key, preset, 3_600);
      expect(link.expiresAt).toBeLessThanOrEqual(keyEnd);
      expect(link.expiresAt).toBeGreaterThan(keyEnd - 3_000);
      expect((await send(link.url)).status).toBe(200);
      expect((await request(brief.key, preset, 5)).expiresAt).toBeLessThan(keyEnd - 10_000);
    }
    const lasting = await createKey();
    expect((await request(lasting.key, 'card', 3_600)).expiresAt).toBeGreaterThan(keyEnd + 3_000_000);
  });

  test('is explained if a shell or HTML has cut it', async () => {
    const [link = ''] = links;
    const cut = link.replace(/&.*/, '');
    for (const target of [cut, link.replaceAll('&', '&amp;'), link.replace(/&signature=.*/, '')]) {
      const response = await send(target);
      expect([response.status, response.bytes.toString()], target).toEqual([
        403,
        expect.stringContaining('The link is incomplete: it has no signature. Quote it in a shell'),
      ]);
    }
  });

  test('is absolute if the public address of the server is known', async () => {
    const origin = 'https://pictures.example.com';
    const { url } = await startServer({
      AUTH: 'keys',
      BOOTSTRAP_ADMIN_KEY: operatorKey,
      PUBLIC_URL: `${origin}/`,
    });
    const headers = { authorization };
    const body = form(['file', await jpeg('absolute', 60, 40)]);
    const image = (await call<ImageRecord>(`${url}/v1/images`, { method: 'POST', body, headers })).body;
    const link = await call<{ url: string }>(`${url}/v1/images/${image.id}/links`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ preset: 'card', expires_in: 60 }),
    });
    const { origin: linkOrigin, pathname, search } = new URL(link.body.url);
    expect(linkOrigin).toBe(origin);
    expect((await call(`${url}${pathname}${search}`)).status).toBe(200);
  });

  test('appears in no log', () => {
    for (const link of links) expect(server().log()).not.toContain(link.replace(/.*signature=/, ''));
  });
});
