import { beforeAll, describe, expect, test } from 'vitest';
import { call, expectProblem, type ImageRecord, upload } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { useServer } from '../support/process/server.ts';
import { createKey, keySettings, sendJson, uploadWithKey, withKey } from './support/keys.ts';

const immutable = 'public, max-age=31536000, immutable';
const badSignature = 'expires=9999999999&key=00000000&tenant=1&signature=AAAA';

/** The same picture address in all its forms. */
interface Address {
  readonly path: string;
  /** Whether it names the UUID rather than the number. */
  readonly byUuid: boolean;
  readonly isOriginal: boolean;
}

function listAddresses({ id, uuid, renditions }: ImageRecord): Address[] {
  const card = renditions.find(({ preset }) => preset === 'card');
  const version = card?.url.split('?')[1] ?? '';
  return [id, uuid].flatMap((ref) => {
    const byUuid = ref === uuid;
    const pictures = [
      `/v1/images/${ref}/renditions/card`,
      `/v1/images/${ref}/renditions/card?${version}`,
      `/v1/images/${ref}/thumbnail`,
      `/retrieve/rendition/${ref}/card`,
    ];
    return [
      ...pictures.map((path) => ({ path, byUuid, isOriginal: false })),
      { path: `/v1/images/${ref}/original`, byUuid, isOriginal: true },
      { path: `/retrieve/original/${ref}`, byUuid, isOriginal: true },
    ];
  });
}

interface Tenant {
  readonly key: string;
  readonly image: ImageRecord;
  readonly addresses: readonly Address[];
}

// The second server does not cache renditions, so that all ways to send a rendition are covered.
describe.each<{ name: string; settings: Record<string, string>; byDefault: string; override: string }>([
  { name: 'signed delivery by default', settings: {}, byDefault: 'signed', override: 'public' },
  {
    name: 'public delivery by default',
    settings: { DELIVERY: 'public', READ_CACHE_MB: '0' },
    byDefault: 'public',
    override: 'signed',
  },
])('with $name', ({ settings, byDefault, override }) => {
  const server = useServer({ ...keySettings, ...settings });
  const tenants: Record<string, Tenant> = {};
  let otherKey: string;

  const get = (path: string, headers: Record<string, string> = {}, method = 'GET') =>
    call(server().url + path, { headers, method });
  const configure = (tenant: string, own: object) =>
    sendJson(server().url, 'PUT', `/v1/tenants/${tenant}/settings`, own);
  const createLink = async ({ key, image }: Tenant, preset: string) => {
    const { body } = await sendJson<{ url: string }>(
      server().url,
      'POST',
      `/v1/images/${image.id}/links`,
      { preset, expires_in: 60 },
      key,
    );
    return body.url;
  };

  beforeAll(async () => {
    const base = server().url;
    otherKey = await createKey(base, { tenant: 'rival', role: 'editor' });
    for (const [delivery, tenant] of [
      [byDefault, 'shop'],
      [override, 'special'],
    ] as const) {
      const key = await createKey(base, { tenant, role: 'editor' });
      const image = (await uploadWithKey(base, key, await jpeg(`${tenant} ${byDefault}`))).body;
      tenants[delivery] = { key, image, addresses: listAddresses(image) };
    }
    expect((await configure('special', { delivery: override })).status).toBe(200);
  });

  describe.each(['public', 'signed'])('a tenant whose delivery is %s', (delivery) => {
    const isPublic = delivery === 'public';
    const tenant = () => tenants[delivery]!;
    const isOpen = ({ byUuid, isOriginal }: Address) => isPublic && byUuid && !isOriginal;
    const forEachAddress = async (check: (address: Address) => Promise<void>) => {
      expect(tenant().addresses).toHaveLength(12);
      for (const address of tenant().addresses) {
        // The second response comes from memory.
        await check(address);
        await check(address);
      }
    };

    test('serves its renditions at their UUID without a key only if it is public', async () => {
      await forEachAddress(async (address) => {
        for (const method of ['GET', 'HEAD']) {
          const { status, headers } = await get(address.path, {}, method);
          expect(status, `${method} ${address.path}`).toBe(isOpen(address) ? 200 : 401);
          if (isOpen(address)) expect(headers.get('content-type')).toBe('image/jpeg');
          else expect(headers.get('www-authenticate')).toMatch(/^Bearer/);
        }
      });
    });

    test('serves everything to its own key', async () => {
      await forEachAddress(async ({ path }) => {
        expect((await get(path, withKey(tenant().key))).status, path).toBe(200);
      });
    });

    test('shows another tenant’s key only what everyone may see', async () => {
      await forEachAddress(async (address) => {
        const { status } = await get(address.path, withKey(otherKey));
        expect(status, address.path).toBe(isOpen(address) ? 200 : 404);
      });
    });

    test('does not look at a key where none is needed, so that caches need not either', async () => {
      await forEachAddress(async (address) => {
        for (const headers of [withKey('nonsense'), { 'x-api-key': `${tenant().key}x` }]) {
          expect((await get(address.path, headers)).status, address.path).toBe(isOpen(address) ? 200 : 401);
        }
      });
    });

    test('serves signed links, and rejects a wrong signature even where none is needed', async () => {
      for (const preset of ['card', 'original']) {
        const link = await createLink(tenant(), preset);
        const { status, headers } = await get(link);
        expect(status, link).toBe(200);
        expect(headers.get('cache-control')).toMatch(/^public, max-age=(?:[1-5]?\d|60)$/);
        expectProblem(
          await get(link.replace(/.$/, (char) => (char === 'A' ? 'B' : 'A'))),
          403,
          'invalid_signature',
        );
      }
      for (const { path } of tenant().addresses.filter(
        ({ path: candidate }) => !candidate.startsWith('/retrieve/original'),
      )) {
        const bent = `${path}${path.includes('?') ? '&' : '?'}${badSignature}`;
        for (const headers of [{}, withKey(tenant().key)])
          expectProblem(await get(bent, headers), 403, 'invalid_signature');
      }
    });

    test('lets caches share only what everyone may read', async () => {
      await forEachAddress(async (address) => {
        const requests = isOpen(address)
          ? [{}, withKey(tenant().key), withKey(otherKey)]
          : [withKey(tenant().key)];
        for (const headers of requests) {
          const response = await get(address.path, { ...headers, origin: 'http://localhost:3000' });
          const [cacheControl, vary] = ['cache-control', 'vary'].map(
            (name) => response.headers.get(name) ?? '',
          );
          if (isOpen(address)) {
            expect(cacheControl, address.path).toBe(
              address.path.includes('?v=') ? immutable : 'public, no-cache',
            );
            expect(vary, address.path).not.toMatch(/authorization|x-api-key/i);
          } else {
            expect(cacheControl, address.path).toMatch(/^private, /);
            expect(vary, address.path).toMatch(/Authorization, X-Api-Key/);
          }
        }
      });
    });

    test('hides a deleted image at once', async () => {
      const { key } = tenant();
      const image = (await uploadWithKey(server().url, key, await jpeg(`doomed ${delivery} ${byDefault}`)))
        .body;
      const link = await createLink({ ...tenant(), image }, 'card');
      const addresses = listAddresses(image);
      for (const { path } of addresses) expect((await get(path, withKey(key))).status).toBe(200);
      expect((await get(link)).status).toBe(200);
      const deleted = await get(`/v1/images/${image.id}`, withKey(key), 'DELETE');
      expect(deleted.status).toBe(204);
      for (const address of addresses) {
        expect((await get(address.path)).status, address.path).toBe(isOpen(address) ? 404 : 401);
        expect((await get(address.path, withKey(key))).status, address.path).toBe(404);
      }
      expectProblem(await get(link), 404, 'image_not_found');
    });
  });

  test('treats an unknown UUID like an image of a tenant without settings', async () => {
    const { status } = await get('/v1/images/01a1fb5b-4c11-7d02-8a51-2f1c9d3b7e64/thumbnail');
    expect(status).toBe(byDefault === 'public' ? 404 : 401);
    expect((await get('/v1/images/nonsense/thumbnail')).status).toBe(401);
  });

  test('follows a change of the setting at once in the same process, and names the UUID in records', async () => {
    const key = await createKey(server().url, { tenant: 'moving', role: 'admin' });
    const { body } = await uploadWithKey(server().url, key, await jpeg(`moving ${byDefault}`));
    const { url } = body.renditions[0]!;
    expect(url).toContain(`/v1/images/${body.uuid}/renditions/`);
    for (const delivery of ['signed', 'public', 'signed', 'public', 'signed'] as const) {
      // An administrator of the tenant may change this setting.
      const { status } = await sendJson(
        server().url,
        'PUT',
        '/v1/tenants/moving/settings',
        { delivery },
        key,
      );
      expect(status).toBe(200);
      expect((await get(url)).status).toBe(delivery === 'public' ? 200 : 401);
    }
  });

  test('does not accept the number of an image without a key, whatever its spelling', async () => {
    const { id, uuid } = tenants['public']!.image;
    for (const ref of [`0${id}`, `${id}%20`, `%2B${id}`, uuid.replaceAll('-', ''), `{${uuid}}`, `${uuid}%00`])
      expect([400, 401, 404], ref).toContain((await get(`/v1/images/${ref}/thumbnail`)).status);
    expect((await get(`/v1/images/${uuid.toUpperCase()}/thumbnail`)).status).toBe(200);
  });
});

describe('with AUTH=open', () => {
  const server = useServer({ AUTH: 'open', DELIVERY: 'signed' });

  test('every address works without a key, and the log says that DELIVERY has no effect', async () => {
    const { body } = await upload(server().url, await jpeg('open'));
    for (const { path } of listAddresses(body)) {
      const { status, headers } = await call(server().url + path);
      expect(status, path).toBe(200);
      expect(headers.get('cache-control'), path).toMatch(/^public/);
    }
    expect(server().log()).toMatch(/DELIVERY=signed has no effect/);
  });
});
