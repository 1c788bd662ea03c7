import { expect, onTestFinished, test, vi } from 'vitest';
import { call, expectProblem, upload } from '../support/process/client.ts';
import { makeDataFolder, removeFolder } from '../support/process/data-folder.ts';
import { jpeg } from '../support/process/pictures.ts';
import { type Server, startServer } from '../support/process/server.ts';
import { waitTimeoutMs } from '../support/time-scale.ts';
import { expectDocumented } from './support/documented.ts';

const settings = { NEAR_DUPLICATES: 'flag' };

/** Starts a server whose images have renditions that are outdated. */
async function startWithOutdatedImages(
  names: readonly string[],
  newSettings: Record<string, string> = {},
): Promise<Server> {
  const folder = await makeDataFolder();
  onTestFinished(() => removeFolder(folder));
  const oldServer = await startServer({ ...settings, PRESETS: '{"card": 60, "thumb": 20}' }, folder);
  for (const name of names) await upload(oldServer.url, await jpeg(name), 'shop');
  await oldServer.stop();
  return startServer({ ...settings, ...newSettings, PRESETS: '{"card": 80, "thumb": 20}' }, folder);
}

/** The fields of a re-rendering that the tests read. */
type RenderingRecord = {
  readonly id: number;
  readonly state: string;
  readonly finished_at: string | null;
};

/** The fields of responses that the tests read. */
type Body = RenderingRecord & {
  readonly rendering: RenderingRecord;
  readonly estimate: { readonly files: readonly { readonly bytes: number }[] };
};

/** The fields of an image that the tests read. */
type ImageWithSizes = {
  readonly renditions: readonly { readonly preset: string; readonly width: number }[];
};

const post = (url: string, path: string, body?: object) =>
  call<Body>(`${url}/v1/renderings${path}`, {
    method: 'POST',
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
const get = (url: string, path = '') => call<Body>(`${url}/v1/renderings${path}`);

const waitForState = (url: string, id: number, state: string) =>
  vi.waitFor(async () => {
    const response = await get(url, `/${id}`);
    expect(response.body.state).toBe(state);
    return response.body;
  }, waitTimeoutMs);

test('estimates, and makes the outdated renditions of a preset again', async () => {
  const { url } = await startWithOutdatedImages(['one', 'two']);
  const dryRun = await post(url, '', { preset: 'card', dry_run: true });
  expectDocumented('post', '/v1/renderings', dryRun);
  expect(dryRun.status).toBe(200);
  expect(dryRun.body).toEqual({
    estimate: {
      images: 2,
      files: [{ preset: 'card', format: 'jpeg', files: 2, bytes: expect.any(Number) }],
      bytes: dryRun.body.estimate.files[0]?.bytes,
      work_seconds: expect.any(Number),
    },
    rendering: null,
  });
  expect((await get(url)).body).toMatchObject({ items: [], total: 0 });

  const started = await post(url, '', { presets: ['card', 'thumb'] });
  expectDocumented('post', '/v1/renderings', started);
  expect(started.status).toBe(201);
  expect(started.body.rendering).toMatchObject({
    presets: ['card', 'thumb'],
    tenant: null,
    total: 2,
    failed: 0,
  });
  const { id } = started.body.rendering;
  const completed = await waitForState(url, id, 'completed');
  expect(completed).toMatchObject({ total: 2, done: 2, skipped: 0, failed: 0, failures: [] });
  const { body } = await call<{ readonly items: readonly ImageWithSizes[] }>(`${url}/v1/images`);
  const cards = body.items.flatMap(({ renditions }) => renditions.filter(({ preset }) => preset === 'card'));
  expect(cards.map(({ width }) => width)).toEqual([80, 80]);

  const list = await get(url);
  expectDocumented('get', '/v1/renderings', list);
  expect(list.body).toMatchObject({ total: 1, items: [{ id, state: 'completed' }] });
  expectDocumented('get', '/v1/renderings/{id}', await get(url, `/${id}`));
  const again = await post(url, '', { preset: 'card' });
  expect(again.body).toMatchObject({ estimate: { images: 0, files: [] }, rendering: { total: 0 } });
  await waitForState(url, again.body.rendering.id, 'completed');
  const change = await post(url, `/${id}/pause`);
  expectProblem(change, 409, 'rendering_finished');
});

test('pauses, resumes and cancels', async () => {
  // Without a worker, no image is processed.
  const { url } = await startWithOutdatedImages(['three', 'four'], { ENABLE_WORKER: 'false' });
  const { id } = (await post(url, '', { preset: 'card' })).body.rendering;
  const countJobs = async () =>
    (await call<{ readonly total: number }>(`${url}/v1/jobs?kind=render`)).body.total;
  expect(await countJobs()).toBe(2);

  const paused = await post(url, `/${id}/pause`);
  expectDocumented('post', '/v1/renderings/{id}/pause', paused);
  expect(paused.body).toMatchObject({ state: 'paused', total: 2, done: 0, remaining_seconds: null });
  expect(await countJobs()).toBe(0);

  const resumed = await post(url, `/${id}/resume`);
  expectDocumented('post', '/v1/renderings/{id}/resume', resumed);
  expect(resumed.body.state).toBe('running');
  expect(await countJobs()).toBe(2);

  const cancelled = await post(url, `/${id}/cancel`);
  expectDocumented('post', '/v1/renderings/{id}/cancel', cancelled);
  expect(cancelled.body).toMatchObject({ state: 'cancelled', total: 2, done: 0, failed: 0 });
  expect(cancelled.body.finished_at).not.toBeNull();
  expect(await countJobs()).toBe(0);
  expectProblem(await post(url, `/${id}/resume`), 409, 'rendering_finished');
});

test('counts outdated descriptions, and starts a reindexing that is listed with re-renderings', async () => {
  const { url } = await startWithOutdatedImages(['five']);
  const reindex = async (body: object) => {
    const response = await call<{ readonly images: number; readonly reindexing: RenderingRecord | null }>(
      `${url}/v1/reindexings`,
      {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      },
    );
    expectDocumented('post', '/v1/reindexings', response);
    return response;
  };
  const dryRun = await reindex({ dry_run: true });
  expect([dryRun.status, dryRun.body]).toEqual([200, { images: 0, reindexing: null }]);
  const started = await reindex({ tenant: 'shop' });
  expect(started.status).toBe(201);
  expect(started.body).toMatchObject({
    images: 0,
    reindexing: { kind: 'reindexing', presets: [], total: 0 },
  });
  await waitForState(url, started.body.reindexing!.id, 'completed');
  expect((await get(url)).body).toMatchObject({ items: [{ kind: 'reindexing', tenant: 'shop' }] });
  expectProblem(await reindex({ tenant: 'nobody' }), 404, 'tenant_not_found');
  expectProblem(await reindex({ preset: 'card' }), 400, 'invalid_request');
});

test('rejects requests that name no preset, an unknown preset or an unknown tenant', async () => {
  const { url } = await startWithOutdatedImages([]);
  const reject = async (body: object) => {
    const response = await post(url, '', body);
    expectDocumented('post', '/v1/renderings', response);
    return response;
  };
  expect(expectProblem(await reject({}), 400, 'invalid_request')).toContain('either "preset" or "presets"');
  expectProblem(await reject({ preset: 'card', presets: ['card'] }), 400, 'invalid_request');
  expect(expectProblem(await reject({ preset: 'hero' }), 400, 'unknown_preset')).toBe(
    'There is no preset "hero"; the presets are card, thumb.',
  );
  expectProblem(await reject({ preset: 'card', tenant: 'nobody' }), 404, 'tenant_not_found');
  expectProblem(await get(url, '/7'), 404, 'rendering_not_found');
  expectProblem(await post(url, '/7/cancel'), 404, 'rendering_not_found');
});
