import { beforeAll, describe, expect, test } from 'vitest';
import {
  type ApiResponse,
  call,
  form,
  type ImageRecord,
  waitForFinishedImage,
  upload,
} from '../support/process/client.ts';
import { truncatedJpeg, drawing, jpeg } from '../support/process/pictures.ts';
import { useServer } from '../support/process/server.ts';
import { document, expectDocumented } from './support/documented.ts';
import { useOrigin } from './support/origin.ts';

/**
 * Checks the status, type and fields of every response against the OpenAPI document, in `/v1` and in the two older APIs that
 * Vitrine also serves.
 */

const server = useServer({ IMPORT_ALLOWED_NETWORKS: '127.0.0.1/32', PURGE_CONFIRM_TOKEN: 'yes' });
const origin = useOrigin(async () => ({
  '/a.jpg': await jpeg('a'),
  '/b.jpg': await jpeg('b'),
  '/broken.jpg': await truncatedJpeg('c'),
}));
const coveredResponses = new Set<string>();

/** Sends a request to `path`, documented as `template`, and checks the response against the document. */
async function send<Body = Record<string, unknown>>(
  method: string,
  template: string,
  path = template,
  init: RequestInit = {},
): Promise<ApiResponse<Body>> {
  const response = await call<Body>(server().url + path, { method, ...init });
  expectDocumented(method, template, response);
  coveredResponses.add(`${method} ${template} ${response.status}`);
  return response;
}
const makeJsonBody = (value: unknown): RequestInit => ({
  body: JSON.stringify(value),
  headers: { 'content-type': 'application/json' },
});
const makeFormWithFile = async (seed: string, ...fields: [string, string][]): Promise<RequestInit> => ({
  body: form(['file', await jpeg(seed)], ...fields),
});

describe('/v1', () => {
  let image: ImageRecord;
  beforeAll(async () => {
    image = (await upload(server().url, await jpeg('first'), 'shop')).body;
  });

  test('uploads, lists and reports images', async () => {
    expect(
      (await send('POST', '/v1/images', undefined, await makeFormWithFile('new', ['tenant', 'shop']))).status,
    ).toBe(201);
    expect(
      (await send('POST', '/v1/images', undefined, await makeFormWithFile('new', ['tenant', 'shop']))).status,
    ).toBe(200);
    const queuedUpload = await send<ImageRecord>(
      'POST',
      '/v1/images',
      '/v1/images?mode=queued',
      await makeFormWithFile('later'),
    );
    expect(queuedUpload.status).toBe(202);
    await waitForFinishedImage(server().url, queuedUpload.body.id);
    for (const [path, body] of [
      ['/v1/uploads', { size_bytes: 1 }],
      ['/v1/images', { upload: image.uuid }],
    ] as const) {
      const response = await send('POST', path, undefined, makeJsonBody(body));
      expect([response.status, response.body['code']]).toEqual([409, 'upload_not_offered']);
    }
    await send('GET', '/v1/images', '/v1/images?limit=2&tenant=shop');
    await send('GET', '/v1/images/{id}', `/v1/images/${image.uuid}`);
    expect((await send('GET', '/v1/images/{id}', '/v1/images/99999')).status).toBe(404);
    expect((await send('GET', '/v1/images/{id}', '/v1/images/x')).status).toBe(400);
    expect((await send('GET', '/v1/images', '/v1/images?limit=x')).status).toBe(400);
    expect((await send('POST', '/v1/images', undefined, makeJsonBody({ url: 'ftp://a/b' }))).status).toBe(
      400,
    );
    expect((await send('POST', '/v1/images', undefined, { body: 'x' })).status).toBe(415);
  });

  test('lists every image once across cursor pages', async () => {
    const allImages = (await send<{ items: { id: number }[] }>('GET', '/v1/images', '/v1/images?limit=100'))
      .body.items;
    const listedIds: number[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const cursorParameter: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const page = await send<{ items: { id: number }[]; next_cursor: string | null }>(
        'GET',
        '/v1/images',
        `/v1/images?limit=1${cursorParameter}`,
      );
      listedIds.push(...page.body.items.map(({ id }) => id));
      cursor = page.body.next_cursor;
    }
    expect(listedIds).toEqual(allImages.map(({ id }) => id));
  });

  test('delivers renditions, shows presets, and changes focal points', async () => {
    const file = '/i/{uuid}/{file}';
    for (const name of ['card.jpg', 'card.webp', 'card@1x', 'thumb'])
      expect((await send('GET', file, `/i/${image.uuid}/${name}`)).status, name).toBe(200);
    const { headers } = await send('GET', file, `/i/${image.uuid}/card.jpg`);
    const matchingEtag = { headers: { 'if-none-match': headers.get('etag') ?? '' } };
    expect((await send('GET', file, `/i/${image.uuid}/card.jpg`, matchingEtag)).status).toBe(304);
    for (const name of ['card.png', 'card@2x.jpg', 'other.jpg', 'card.gif'])
      expect((await send('GET', file, `/i/${image.uuid}/${name}`)).status, name).toBe(404);
    const links = '/v1/images/{id}/links';
    const body = makeJsonBody({ preset: 'card', format: 'webp', expires_in: 60 });
    const link = await send<{ delivery_url: string }>('POST', links, `/v1/images/${image.id}/links`, body);
    const signed = '/i/s/{signature}/{uuid}/{file}';
    expect((await send('GET', signed, link.body.delivery_url)).status).toBe(200);
    expect((await send('GET', signed, `${link.body.delivery_url}x`)).status).toBe(403);
    expect((await send('GET', '/v1/presets')).status).toBe(200);
    const focus = '/v1/images/{id}/focus';
    const path = `/v1/images/${image.id}/focus`;
    expect((await send('PUT', focus, path, makeJsonBody({ x: 0, y: 1 }))).status).toBe(200);
    expect((await send('PUT', focus, path, makeJsonBody({ x: 0, y: 2 }))).status).toBe(400);
    expect((await send('DELETE', focus, path)).status).toBe(204);
    expect((await send('DELETE', focus, '/v1/images/999999/focus')).status).toBe(404);
  });

  test('sends originals and renditions, and supports range and conditional requests for originals', async () => {
    const etag = (
      await send('GET', '/v1/images/{id}/original', `/v1/images/${image.id}/original`)
    ).headers.get('etag');
    const range = { headers: { range: 'bytes=0-9' } };
    expect(
      (await send('GET', '/v1/images/{id}/original', `/v1/images/${image.id}/original`, range)).status,
    ).toBe(206);
    const rangeBeyondEnd = { headers: { range: 'bytes=999999-' } };
    expect(
      (await send('GET', '/v1/images/{id}/original', `/v1/images/${image.id}/original`, rangeBeyondEnd))
        .status,
    ).toBe(416);
    const matchingEtag = { headers: { 'if-none-match': etag ?? '' } };
    expect(
      (await send('GET', '/v1/images/{id}/original', `/v1/images/${image.id}/original`, matchingEtag)).status,
    ).toBe(304);
    for (const tail of ['renditions/card', 'renditions/none'])
      await send('GET', '/v1/images/{id}/renditions/{preset}', `/v1/images/${image.id}/${tail}`);
    await send('GET', '/v1/images/{id}/thumbnail', `/v1/images/${image.id}/thumbnail`);
  });

  test('deletes an image with references only if forced, and restores a deleted image', async () => {
    const template = '/v1/images/{id}/references/{ref}';
    const name = 'Überwurf / № 42 🪑';
    const path = `/v1/images/${image.id}/references/${encodeURIComponent(name)}`;
    expect((await send('PUT', template, path)).body).toEqual({ reference: name, in_use_count: 1 });
    expect((await send('PUT', template, path)).status).toBe(200);
    const list = await send<{ items: { reference: string }[] }>(
      'GET',
      '/v1/images/{id}/references',
      `/v1/images/${image.id}/references`,
    );
    expect(list.body.items.map(({ reference }) => reference)).toEqual([name]);
    const rejection = await send('DELETE', '/v1/images/{id}', `/v1/images/${image.id}`);
    expect(rejection.status).toBe(409);
    expect(rejection.body).toMatchObject({ code: 'image_in_use', in_use_count: 1, references: [name] });
    expect((await send('DELETE', '/v1/images/{id}', `/v1/images/${image.id}?force=true`)).status).toBe(204);
    expect((await send('GET', '/v1/images/{id}', `/v1/images/${image.id}`)).status).toBe(404);
    const restoredImage = await send<ImageRecord>(
      'POST',
      '/v1/images/{id}/restore',
      `/v1/images/${image.id}/restore`,
    );
    expect([restoredImage.status, restoredImage.body.id]).toEqual([200, image.id]);
    expect((await send('DELETE', template, path)).body).toEqual({ in_use_count: 0 });
    expect((await send('DELETE', template, path)).body).toEqual({ in_use_count: 0 });
    expect((await send('PUT', template, '/v1/images/99999/references/x')).status).toBe(404);
    expect((await send('POST', '/v1/images/{id}/restore', '/v1/images/99999/restore')).status).toBe(404);
  });

  test('imports URLs from JSON and CSV, and reports the progress', async () => {
    const firstImport = await send<ImageRecord>(
      'POST',
      '/v1/images',
      undefined,
      makeJsonBody({ url: `${origin()}/a.jpg` }),
    );
    expect(firstImport.status).toBe(202);
    expect(await waitForFinishedImage(server().url, firstImport.body.id)).toMatchObject({
      status: 'completed',
    });
    const repeatedImport = await send<ImageRecord>(
      'POST',
      '/v1/images',
      undefined,
      makeJsonBody({ url: `${origin()}/a.jpg` }),
    );
    expect([repeatedImport.status, repeatedImport.body.id]).toEqual([200, firstImport.body.id]);

    const csv = `reference,url,tenant\r\nproduct-1,${origin()}/a.jpg,csv\r\n,ftp://x/y,csv\r\n,${origin()}/broken.jpg,csv\r\n,${origin()}/none.jpg,\r\n,${origin()}/b.jpg,a b\r\n`;
    const headers = { 'content-type': 'text/csv; charset=utf-8' };
    const receipt = await send<{
      id: number;
      url: string;
      lines: { outcome: string; code: string }[];
    }>('POST', '/v1/imports', undefined, { body: csv, headers });
    expect(receipt.body).toMatchObject({ total: 5, accepted: 3, refused: 2 });
    expect(receipt.body.lines.map(({ code }) => code)).toEqual([
      null,
      'invalid_url',
      null,
      null,
      'invalid_tenant',
    ]);
    expect(receipt.headers.get('location')).toBe(receipt.body.url);

    let progress: ApiResponse = await send('GET', '/v1/imports/{id}', receipt.body.url);
    while (progress.body['finished'] !== true)
      progress = await send('GET', '/v1/imports/{id}', receipt.body.url);
    expect(progress.body).toMatchObject({
      total: 5,
      refused: 2,
      images: { pending: 0, processing: 0, completed: 1, failed: 2 },
      failures_total: 4,
    });
    const page = await send('GET', '/v1/imports/{id}', `${receipt.body.url}?limit=1&offset=1`);
    expect(page.body['failures']).toMatchObject([{ line: 3 }]);
    await send(
      'POST',
      '/v1/imports',
      undefined,
      makeJsonBody({ urls: [`${origin()}/b.jpg`], tenant: 'json' }),
    );
    expect((await send('GET', '/v1/imports/{id}', '/v1/imports/99999')).status).toBe(404);
    expect((await send('POST', '/v1/imports', undefined, makeJsonBody({ urls: [] }))).status).toBe(400);
    expect((await send('POST', '/v1/imports', undefined, { body: 'x' })).status).toBe(415);
  });

  test('reports jobs with their history, and retries them', async () => {
    const failedJobs = await send<{ items: { id: number; code: string }[] }>(
      'GET',
      '/v1/jobs',
      '/v1/jobs?state=failed&kind=import&tenant=csv',
    );
    expect(failedJobs.body.items.length).toBeGreaterThan(0);
    const id = failedJobs.body.items[0]?.id ?? 0;
    const job = await send<{ history: unknown[] }>('GET', '/v1/jobs/{id}', `/v1/jobs/${id}`);
    expect(job.body.history.length).toBeGreaterThan(0);
    await send('GET', '/v1/jobs', `/v1/jobs?image=${image.uuid}`);
    expect((await send('POST', '/v1/jobs/{id}/retry', `/v1/jobs/${id}/retry`)).status).toBe(200);
    const completedJobs = await send<{ items: { id: number }[] }>(
      'GET',
      '/v1/jobs',
      '/v1/jobs?state=completed&limit=1',
    );
    const completedJobId = completedJobs.body.items[0]?.id ?? 0;
    expect((await send('POST', '/v1/jobs/{id}/retry', `/v1/jobs/${completedJobId}/retry`)).status).toBe(409);
    expect((await send('POST', '/v1/jobs/{id}/retry', '/v1/jobs/99999/retry')).status).toBe(404);
    expect((await send('GET', '/v1/jobs/{id}', '/v1/jobs/99999')).status).toBe(404);
    const retryReport = await send('POST', '/v1/jobs/retry', undefined, makeJsonBody({ tenant: 'unknown' }));
    expect(retryReport.body).toEqual({ retried: 0 });
    expect((await send('POST', '/v1/jobs/retry', undefined, makeJsonBody({}))).status).toBe(400);
  });

  test('finds similar images and duplicates for a stored image and for an uploaded picture', async () => {
    const smallerPicture = await drawing('first').resize(200, 150).jpeg({ quality: 95 }).toBuffer();
    await upload(server().url, smallerPicture, 'shop');
    const path = `/v1/images/${image.id}`;
    await send('GET', '/v1/images/{id}/similar', `${path}/similar?threshold=0&limit=5&explain=true`);
    await send('GET', '/v1/images/{id}/duplicates', `${path}/duplicates`);
    for (const metric of ['cosine', 'l2', 'ip'])
      await send('GET', '/v1/images/{id}/similar', `${path}/similar?threshold=0&metric=${metric}`);
    for (const wrong of ['threshold=2', 'metric=jaccard'])
      expect((await send('GET', '/v1/images/{id}/similar', `${path}/similar?${wrong}`)).status).toBe(400);
    expect((await send('GET', '/v1/images/{id}/duplicates', '/v1/images/99999/duplicates')).status).toBe(404);
    const searchResult = await send<{ near_duplicates: { kind: string }[] }>(
      'POST',
      '/v1/search',
      '/v1/search?threshold=0',
      await makeFormWithFile('first', ['tenant', 'shop']),
    );
    expect(searchResult.body.near_duplicates[0]).toMatchObject({ kind: 'exact' });
    expect(
      (await send('POST', '/v1/search', undefined, await makeFormWithFile('x', ['tenant', 'unknown'])))
        .status,
    ).toBe(404);
    expect((await send('POST', '/v1/search', undefined, { body: form(['file', 'text']) })).status).toBe(400);
  });

  test('judges pairs, and lists and resolves groups of duplicates', async () => {
    const [kept, discarded] = await Promise.all(
      ['kept', 'discarded'].map(async (seed) => (await upload(server().url, await jpeg(seed), 'twins')).body),
    );
    const template = '/v1/images/{id}/duplicates/{other}';
    const path = `/v1/images/${kept?.id}/duplicates`;
    const verdict = makeJsonBody({ verdict: 'same' });
    expect((await send('PUT', template, `${path}/${discarded?.id}`, verdict)).status).toBe(200);
    expect((await send('PUT', template, `${path}/${kept?.id}`, verdict)).status).toBe(400);
    expect((await send('PUT', template, `${path}/99999`, verdict)).status).toBe(404);
    expect((await send('DELETE', template, `${path}/99999`)).status).toBe(404);
    expect((await send('DELETE', template, `${path}/x`)).status).toBe(400);
    const groups = await send<{ items: { id: number }[] }>(
      'GET',
      '/v1/duplicates',
      '/v1/duplicates?tenant=twins',
    );
    expect((await send('GET', '/v1/duplicates', '/v1/duplicates?tier=different')).status).toBe(400);
    const resolve = (group: unknown, keep: unknown, discard: unknown) =>
      send(
        'POST',
        '/v1/duplicates/{group}/resolve',
        `/v1/duplicates/${String(group)}/resolve`,
        makeJsonBody({ keep, discard: [discard] }),
      );
    const group = groups.body.items[0]?.id;
    expect((await resolve(99_999, kept?.id, discarded?.id)).status).toBe(404);
    expect((await resolve(group, kept?.id, kept?.id)).status).toBe(400);
    expect((await resolve(group, kept?.id, image.id)).status).toBe(409);
    expect((await resolve(group, kept?.id, discarded?.id)).status).toBe(200);
    await send('POST', '/v1/images/{id}/restore', `/v1/images/${discarded?.id}/restore`);
    expect((await send('DELETE', template, `${path}/${discarded?.id}`)).status).toBe(204);
  });

  test('tries the presets on a picture, and compares a picture with a stored image', async () => {
    await send('POST', '/v1/compare', undefined, await makeFormWithFile('first'));
    const comparison = await send<{ comparisons: { name: string; psnr_db: number; note: string }[] }>(
      'POST',
      '/v1/images/{id}/compare',
      `/v1/images/${image.id}/compare`,
      await makeFormWithFile('first'),
    );
    expect(comparison.body.comparisons.map(({ name }) => name)).toEqual([
      'original',
      'thumb',
      'card',
      'zoom',
    ]);
    expect(comparison.body.comparisons[0]).toMatchObject({
      psnr_db: 100,
      note: 'identical pixels; identical image',
    });
    const unknownImage = await send(
      'POST',
      '/v1/images/{id}/compare',
      '/v1/images/99999/compare',
      await makeFormWithFile('first'),
    );
    expect(unknownImage.status).toBe(404);
    expect((await send('POST', '/v1/compare', undefined, makeJsonBody({}))).status).toBe(415);
  });

  test('purges unused and deleted images', async () => {
    expect((await send('POST', '/v1/purge')).body).toMatchObject({
      dry_run: true,
      deleted_count: 0,
    });
    const rejection = await send(
      'POST',
      '/v1/purge',
      undefined,
      makeJsonBody({ dry_run: false, confirm_token: 'no' }),
    );
    expect(rejection.status).toBe(403);
    const image = (await upload(server().url, await jpeg('unused'), 'purged')).body;
    const tenantPurge = makeJsonBody({ dry_run: false, confirm_token: 'yes', tenant: 'purged' });
    expect((await send('POST', '/v1/purge', undefined, tenantPurge)).body).toMatchObject({
      deleted_count: 1,
      candidates: [image.content_hash],
    });
    expect((await send('POST', '/v1/purge', undefined, makeJsonBody({ tenant: 'unknown' }))).status).toBe(
      404,
    );
    expect((await send('POST', '/v1/purge', undefined, makeJsonBody({ dry_run: 'no' }))).status).toBe(400);
    expect((await send('POST', '/v1/purge/deleted')).body).toMatchObject({
      dry_run: true,
      days: 30,
    });
    await send('POST', '/v1/purge/deleted', undefined, makeJsonBody({ dry_run: false, days: 0 }));
    expect((await send('POST', '/v1/purge/deleted', undefined, makeJsonBody({ days: -1 }))).status).toBe(400);
  });

  test('reports usage and health', async () => {
    await send('GET', '/');
    await send('GET', '/v1/usage');
    await send('GET', '/v1/usage/{tenant}', '/v1/usage/shop');
    expect((await send('GET', '/v1/usage/{tenant}', '/v1/usage/unknown')).status).toBe(404);
    await send('GET', '/v1/metrics');
    await send('GET', '/v1/healthz');
  });

  test('reads and replaces the settings of a tenant', async () => {
    const [template, path] = ['/v1/tenants/{tenant}/settings', '/v1/tenants/shop/settings'];
    await send('GET', template, path);
    await send('PUT', template, path, makeJsonBody({ delivery: 'signed', quota_images: null }));
    expect((await send('PUT', template, path, makeJsonBody({ quota_images: -1 }))).status).toBe(400);
    expect((await send('GET', template, '/v1/tenants/unknown/settings')).status).toBe(404);
  });
});

describe('access', () => {
  interface Key {
    readonly id: string;
    readonly key: string;
  }
  const createKey = (fields: object) =>
    send<Key>('POST', '/v1/keys', undefined, makeJsonBody({ name: 'robot', ...fields }));

  test('creates, lists, rotates and revokes API keys', async () => {
    const created = await createKey({ role: 'editor', tenant: 'shop', expires_in: 3_600 });
    expect(created.status).toBe(201);
    expect(created.headers.get('cache-control')).toContain('no-store');
    const { id, key } = created.body;
    expect(key).toContain(id);
    await createKey({ scopes: ['images.read'] });
    expect((await createKey({})).status).toBe(400);
    expect((await createKey({ role: 'owner' })).status).toBe(400);
    for (const name of ['', ' \u3000', 'a\nb', 'x'.repeat(101)])
      expect((await createKey({ name, role: 'reader' })).status, name).toBe(400);
    const page = await send<{ items: Key[]; next_after: string }>('GET', '/v1/keys', '/v1/keys?limit=1');
    const nextPage = await send<{ items: Key[] }>(
      'GET',
      '/v1/keys',
      `/v1/keys?after=${page.body.next_after}`,
    );
    expect(nextPage.body.items.map((item) => item.id)).toContain(id);
    expect(nextPage.bytes.toString()).not.toContain(key);
    const template = '/v1/keys/{id}';
    expect((await send('GET', template, `/v1/keys/${id}`)).body).toMatchObject({
      role: 'editor',
      tenant: 'shop',
    });
    expect((await send('GET', template, '/v1/keys/0000000000000000')).status).toBe(404);
    expect((await send('GET', template, '/v1/keys/x')).status).toBe(400);
    const rotated = await send<Key>(
      'POST',
      `${template}/rotate`,
      `/v1/keys/${id}/rotate`,
      makeJsonBody({ overlap: 0 }),
    );
    expect(rotated.status).toBe(201);
    expect(rotated.body).toMatchObject({ replaced_id: id });
    const repeated = await send('POST', `${template}/rotate`, `/v1/keys/${id}/rotate`);
    expect([repeated.status, repeated.body['code']]).toEqual([409, 'key_replaced']);
    const { id: newId } = rotated.body;
    expect((await send('DELETE', template, `/v1/keys/${id}`)).body).toEqual({
      revoked: [{ id, name: 'robot' }],
      active_descendants: 1,
    });
    expect((await send('DELETE', template, `/v1/keys/${id}?descendants=true`)).body).toEqual({
      revoked: [{ id: newId, name: 'robot' }],
      active_descendants: 0,
    });
    const again = await send('POST', `${template}/rotate`, `/v1/keys/${newId}/rotate`);
    expect([again.status, again.body['code']]).toEqual([409, 'key_not_active']);
    expect((await send('DELETE', template, '/v1/keys/0000000000000000')).status).toBe(404);
  });

  test('signs links to pictures', async () => {
    const image = (await upload(server().url, await jpeg('linked'), 'shop')).body;
    const template = '/v1/images/{id}/links';
    const path = `/v1/images/${image.id}/links`;
    for (const preset of ['card', 'original']) {
      const link = await send<{ url: string }>(
        'POST',
        template,
        path,
        makeJsonBody({ preset, expires_in: 60 }),
      );
      expect(link.status).toBe(201);
      const pictureTemplate =
        preset === 'original' ? '/v1/images/{id}/original' : '/v1/images/{id}/renditions/{preset}';
      expect((await send('GET', pictureTemplate, link.body.url)).status).toBe(200);
      expect((await send('GET', pictureTemplate, `${link.body.url}x`)).status).toBe(403);
    }
    expect(
      (await send('POST', template, path, makeJsonBody({ preset: 'none', expires_in: 60 }))).status,
    ).toBe(400);
    expect(
      (await send('POST', template, path, makeJsonBody({ preset: 'card', expires_in: 604_801 }))).status,
    ).toBe(400);
    const unknown = await send(
      'POST',
      template,
      '/v1/images/99999/links',
      makeJsonBody({ preset: 'card', expires_in: 60 }),
    );
    expect(unknown.status).toBe(404);
  });

  test('lists and exports the audit log', async () => {
    const list = await send<{ items: { action: string; target: string }[]; total: number }>(
      'GET',
      '/v1/audit',
      '/v1/audit?action=key.create&limit=2',
    );
    expect(list.body.items.map(({ action }) => action)).toEqual(['key.create', 'key.create']);
    const exported = await send('GET', '/v1/audit/export', '/v1/audit/export?action=key.create');
    expect(exported.bytes.toString().trim().split('\n')).toHaveLength(list.body.total);
    const [entry] = list.body.items;
    await send('GET', '/v1/audit', `/v1/audit?target=${entry?.target ?? ''}`);
    const verification = await send<{ intact: boolean }>('GET', '/v1/audit/verification');
    expect(verification.status).toBe(200);
    for (const path of ['/v1/audit', '/v1/audit/export'])
      expect((await send('GET', path, `${path}?action=unknown`)).status).toBe(400);
  });

  test('repeats a response to the same request with the same Idempotency-Key', async () => {
    const sendKeyed = (name: string) => {
      const headers = new Headers({ 'content-type': 'application/json', 'idempotency-key': 'contract-1' });
      const body = JSON.stringify({ name, role: 'reader' });
      return send<Key>('POST', '/v1/keys', undefined, { body, headers });
    };
    const [first, second] = [await sendKeyed('one'), await sendKeyed('one')];
    expect([second.status, second.body]).toEqual([first.status, first.body]);
    expect(second.headers.get('idempotency-replayed')).toBe('true');
    expect((await sendKeyed('two')).status).toBe(409);
  });
});

describe('the older catalog API', () => {
  test('responds to every request as documented', async () => {
    const { body } = await send<{ asset_id: number }>(
      'POST',
      '/upload',
      '/upload/',
      await makeFormWithFile('asset'),
    );
    expect(
      (await send('POST', '/upload', '/upload', await makeFormWithFile('asset'))).body,
    ).not.toHaveProperty('job_id');
    await waitForFinishedImage(server().url, body.asset_id);
    await send('GET', '/retrieve/asset/{asset_id}', `/retrieve/asset/${body.asset_id}`);
    expect((await send('GET', '/retrieve/asset/{asset_id}', '/retrieve/asset/99999')).status).toBe(404);
    const originalPath = `/retrieve/original/${body.asset_id}`;
    await send('GET', '/retrieve/original/{asset_id}', originalPath);
    const range = { headers: { range: 'bytes=0-9' } };
    expect((await send('GET', '/retrieve/original/{asset_id}', originalPath, range)).status).toBe(206);
    const renditionTemplate = '/retrieve/rendition/{asset_id}/{preset}';
    await send('GET', renditionTemplate, `/retrieve/rendition/${body.asset_id}/card`);
    expect((await send('GET', renditionTemplate, `/retrieve/rendition/${body.asset_id}/none`)).status).toBe(
      400,
    );
    const comparison = await send(
      'POST',
      '/compare/{asset_id}',
      `/compare/${body.asset_id}`,
      await makeFormWithFile('asset'),
    );
    expect(Object.keys(comparison.body['comparisons'] ?? {})).toEqual(['original', 'thumb', 'card', 'zoom']);
    await send('GET', '/metrics', '/metrics/');
    await send('GET', '/metrics/tenant/{tenant_name}', '/metrics/tenant/default');
    expect((await send('GET', '/metrics/tenant/{tenant_name}', '/metrics/tenant/unknown')).status).toBe(404);
    await send('GET', '/metrics', '/metrics', { headers: { accept: 'text/plain' } });
    await send('GET', '/healthz');
    expect((await send('POST', '/purge', '/purge/?days=-1')).status).toBe(400);
  });

  test('purges only if dry_run is false', async () => {
    for (const query of [
      '',
      '?dry_run=true',
      '?dry_run=0',
      '?dry_run=no',
      '?dry_run=false&dry_run=true',
      '?dry_run=',
    ])
      expect((await send('POST', '/purge', `/purge/${query}`)).body, query).toMatchObject({
        dry_run: true,
      });
    for (const query of ['?dry_run=false', '?dry_run=False&days=30'])
      expect((await send('POST', '/purge', `/purge/${query}`)).body, query).toMatchObject({
        dry_run: false,
      });
  });
});

describe('the older similarity API', () => {
  test('responds to every request as documented', async () => {
    const { body } = await send<{ id: string }>(
      'POST',
      '/api/v1/images/upload',
      undefined,
      await makeFormWithFile('similar'),
    );
    const path = `/api/v1/images/${body.id}`;
    const image = await send('GET', '/api/v1/images/{image_id}', path);
    expect(image.body).toMatchObject({ content_type: 'image/jpeg', processing_status: 'completed' });
    expect((await call(server().url + String(image.body['file_path']))).status).toBe(200);
    await send('GET', '/api/v1/images/{image_id}/similar', `${path}/similar?threshold=0`);
    expect((await send('GET', '/api/v1/images/{image_id}/similar', `${path}/similar?limit=101`)).status).toBe(
      400,
    );
    await send('GET', '/api/v1/images', '/api/v1/images/?limit=1');
    for (const probe of ['', '/live', '/ready', '/detailed']) await send('GET', `/api/v1/health${probe}`);
    await send('GET', '/info');
    expect((await call(`${server().url}/info`, { method: 'HEAD' })).status).toBe(200);
    await send('DELETE', '/api/v1/images/{image_id}', path);
    expect((await send('GET', '/api/v1/images/{image_id}', path)).status).toBe(404);
    expect((await send('DELETE', '/api/v1/images/{image_id}', path)).status).toBe(404);
  });

  test('hides images of other tenants, and does not delete an image in use', async () => {
    const otherImage = (await upload(server().url, await jpeg('theirs'), 'other')).body;
    const path = `/api/v1/images/${otherImage.uuid}`;
    expect((await send('GET', '/api/v1/images/{image_id}', path)).status).toBe(404);
    expect((await send('GET', '/api/v1/images/{image_id}/similar', `${path}/similar`)).status).toBe(404);
    expect((await send('DELETE', '/api/v1/images/{image_id}', path)).status).toBe(404);
    expect((await send('GET', '/api/v1/images/{image_id}', '/api/v1/images/1')).status).toBe(400);
    const ownImage = (await upload(server().url, await jpeg('used'))).body;
    await call(`${server().url}/v1/images/${ownImage.id}/references/page`, { method: 'PUT' });
    const imageInUse = await send('DELETE', '/api/v1/images/{image_id}', `/api/v1/images/${ownImage.uuid}`);
    expect([imageInUse.status, imageInUse.body['code']]).toEqual([409, 'image_in_use']);
  });
});

test('the tests above cover every documented success response of every operation', () => {
  const documentedResponses = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { responses }]) =>
      Object.keys(responses)
        .filter((status) => status < '400')
        .map((status) => `${method.toUpperCase()} ${path} ${status}`),
    ),
  );
  // Redirects and presigned uploads need object storage that clients can access. Other tests cover these responses.
  const needsObjectStorage = (response: string) =>
    response.endsWith(' 302') || response === 'POST /v1/uploads 201';
  // renderings.test.ts covers them, because they need outdated renditions.
  const isRendering = (response: string) => / \/v1\/(?:renderings|reindexings)/.test(response);
  const expectedResponses = documentedResponses.filter(
    (response) => !response.endsWith(' 304') && !needsObjectStorage(response) && !isRendering(response),
  );
  expect(expectedResponses.filter((response) => !coveredResponses.has(response))).toEqual([]);
});
