import sharp from 'sharp';
import { expect, test } from 'vitest';
import { call, expectProblem, form } from '../support/process/client.ts';
import { useServer } from '../support/process/server.ts';

const server = useServer();

async function drawSquare(blue: number): Promise<Buffer> {
  return sharp({ create: { width: 100, height: 100, channels: 3, background: { r: 20, g: 60, b: blue } } })
    .extend({ top: 50, bottom: 50, left: 50, right: 50, background: '#ffffff' })
    .jpeg({ quality: 90 })
    .toBuffer();
}

const upload = (bytes: Uint8Array, tenant: string) =>
  call(`${server().url}/v1/images`, {
    method: 'POST',
    body: form(['file', bytes, 'square.jpg'], ['tenant', tenant]),
  });
const setRules = (tenant: string, intake_rules: unknown) =>
  call(`${server().url}/v1/tenants/${tenant}/settings`, {
    method: 'PUT',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ intake_rules }),
  });
const list = (query: string) =>
  call<{ total: number; items: Record<string, unknown>[] }>(
    `${server().url}/v1/images?tenant=facts&${query}`,
  );

test('a record contains facts, and lists can be filtered by them', async () => {
  const { body } = await upload(await drawSquare(90), 'facts');
  expect(body['facts']).toMatchObject({
    background: { kind: 'white', color: '#ffffff', white_share: 1, plain_share: 1 },
    product: { span: expect.closeTo(0.5, 1), off_centre: expect.closeTo(0, 1) },
    borders: { left: 0, top: 0, right: 0, bottom: 0 },
    compression: { jpeg_quality: 90, heavy: false },
    grey: false,
  });
  expect(body['facts']).toHaveProperty('fill', expect.closeTo(0.25, 1));
  expect(body['warnings']).toEqual([]);
  for (const [query, total] of [
    ['background=white', 1],
    ['background=mixed', 0],
    ['min_fill=0.2&max_fill=0.3', 1],
    ['min_fill=0.3', 0],
    ['min_sharpness=50&upscaled=false&heavily_compressed=false', 1],
    ['max_sharpness=10', 0],
    ['min_fill=1e-200&min_sharpness=1e-45', 1],
    ['warning=min_fill', 0],
  ] as const)
    expect((await list(query)).body, query).toMatchObject({ total });
});

test.each([
  'background=blue',
  'min_sharpness=101',
  'max_sharpness=-1',
  'min_fill=1.1',
  'max_fill=',
  'upscaled=1',
  'heavily_compressed=yes',
  'warning=min_beauty',
  'sharpness=5',
])('rejects the filter %s', async (query) => {
  expectProblem(await list(query), 400, 'invalid_request');
});

test('rules warn and reject, and errors state the rule, the limit and the value', async () => {
  await upload(await drawSquare(100), 'ruled');
  const settings = await setRules('ruled', {
    min_fill: { action: 'warn', limit: 0.4 },
    min_white_share: { action: 'reject', limit: 0.9 },
  });
  expect(settings.status).toBe(200);
  const { body } = await upload(await drawSquare(110), 'ruled');
  expect(body['warnings']).toEqual([
    {
      code: 'min_fill',
      limit: 0.4,
      value: expect.closeTo(0.25, 1),
      message: expect.stringMatching(/min_fill/),
    },
  ]);
  const grey = await sharp(await drawSquare(120))
    .linear(0.8)
    .jpeg()
    .toBuffer();
  const rejected = await upload(grey, 'ruled');
  expect(expectProblem(rejected, 400, 'picture_rejected')).toMatch(
    /is 0, but the rule min_white_share .* 0\.9/,
  );
  expect(rejected.body).toMatchObject({ violations: [{ rule: 'min_white_share', limit: 0.9, value: 0 }] });
});

test.each<[string, unknown]>([
  ['an unknown rule', { min_beauty: { action: 'warn', limit: 1 } }],
  ['an unknown action', { no_grey: { action: 'delete' } }],
  ['a missing limit', { min_fill: { action: 'warn' } }],
  ['a limit that is too large', { min_fill: { action: 'warn', limit: 2 } }],
  ['a limit that is not a number', { min_fill: { action: 'warn', limit: '0.2' } }],
  ['a limit of a rule without limits', { no_grey: { action: 'warn', limit: 1 } }],
  ['a word', { no_grey: 'warn' }],
  ['null', null],
])('rejects the rules: %s', async (_name, rules) => {
  await upload(await drawSquare(130), 'strict');
  expectProblem(await setRules('strict', rules), 400, 'invalid_request');
});
