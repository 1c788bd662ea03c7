import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { makeIdempotentRequestQueries } from '../../../src/db/idempotent-requests.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { type Identity, systemPrincipal, unrestrictedPrincipal } from '../../../src/model/principal.ts';
import {
  type IdempotentRun,
  makeBeginIdempotent,
  type StoredResponse,
} from '../../../src/services/access/idempotency.ts';
import { makeSecretRing, type SecretRing } from '../../../src/services/access/secret-ring.ts';
import { selectRow, useDatabase } from '../../support/inner/database.ts';
import { makeRecordingLogger } from '../../support/inner/logger.ts';

const database = await useDatabase();
const secret = 's'.repeat(32);
const operator: Identity = { ...systemPrincipal, subject: 'operator' };
const response: StoredResponse = { status: 201, headers: { location: '/x' }, body: 'the secret answer' };

function makeBegin(ring: SecretRing = makeSecretRing([secret]), lostAfterMs = 60_000) {
  const requests = makeIdempotentRequestQueries(database);
  const begin = makeBeginIdempotent({ requests, ring, lostAfterMs, logger: makeRecordingLogger() });
  return (content = 'content', identity = operator, tenantName?: string) =>
    begin(identity, { key: 'k', content, tenantName });
}

/** Begins a request that must be the first one with its key. */
async function run(begun: ReturnType<ReturnType<typeof makeBegin>>): Promise<IdempotentRun> {
  const result = await begun;
  if ('replay' in result) throw new Error('The request was replayed.');
  return result;
}

const move = (column: string, interval: string) =>
  database.runScript(`UPDATE idempotent_requests SET ${column} = ${column} - interval '${interval}'`);
const isRunning = { code: 'idempotency_running', message: expect.stringContaining('"k" is still running') };

test('replays the response, and rejects a different request', async () => {
  const begin = makeBegin();
  const first = await run(begin());
  await expect(begin()).rejects.toMatchObject(isRunning);
  await expect(begin('other')).rejects.toMatchObject({ code: 'idempotency_conflict' });
  await first.complete(response);
  expect(await begin()).toEqual({ replay: response });
  await expect(begin('other')).rejects.toMatchObject({ code: 'idempotency_conflict' });
});

test('lets a request that left no response be sent again', async () => {
  const begin = makeBegin();
  await (await run(begin())).abandon();
  await (await run(begin('other'))).complete(response);
  expect(await begin('other')).toEqual({ replay: response });
});

test('stores the response encrypted, and the content as a digest', async () => {
  const first = await run(makeBegin()('the secret content'));
  await first.complete(response);
  const { row } = await selectRow<{ row: string }>(
    database,
    "SELECT row_to_json(r)::text || encode(response, 'escape') AS row FROM idempotent_requests r",
  );
  expect(row).not.toMatch(/the secret (?:answer|content)/);
  expect(row).not.toContain(Buffer.from('the secret answer').toString('hex'));
  await expect(makeBegin(makeSecretRing(['n'.repeat(32)]))('the secret content')).rejects.toMatchObject({
    code: 'idempotency_conflict',
    message: expect.stringContaining('SECRET_KEY has changed'),
  });
  const rotated = makeSecretRing(['n'.repeat(32), secret]);
  expect(await makeBegin(rotated)('the secret content')).toEqual({ replay: response });
});

test('keeps a response for 24 hours', async () => {
  const begin = makeBegin();
  await (await run(begin())).complete(response);
  await move('created_at', '23 hours 59 minutes');
  expect(await begin()).toEqual({ replay: response });
  await expect(begin('other')).rejects.toMatchObject({ code: 'idempotency_conflict' });
  await move('created_at', '1 minute');
  const second = await run(begin('other'));
  await expect(begin('other')).rejects.toMatchObject(isRunning);
  await second.complete({ ...response, status: 200 });
  expect(await begin('other')).toEqual({ replay: { ...response, status: 200 } });
});

describe('a request whose process was lost', () => {
  test('can be sent again after the maximum request time', async () => {
    const begin = makeBegin();
    await run(begin());
    await move('running_until', '59 seconds');
    await expect(begin()).rejects.toMatchObject(isRunning);
    await move('running_until', '1 second');
    await (await run(begin())).complete(response);
    expect(await begin()).toEqual({ replay: response });
  });

  test('cannot end the request that replaced it', async () => {
    const begin = makeBegin();
    const lost = [];
    for (let round = 0; round < 2; round += 1) {
      lost.push(await run(begin()));
      await move('running_until', '1 minute');
      // Requests are told apart by when they began, and the clock of the embedded database counts milliseconds.
      await sleep(2);
    }
    const current = await run(begin());
    await lost[0]?.complete({ ...response, body: 'late' });
    await lost[1]?.abandon();
    await expect(begin()).rejects.toMatchObject(isRunning);
    await current.complete(response);
    await lost[0]?.abandon();
    expect(await begin()).toEqual({ replay: response });
  });

  test('is replaced by only one of many', async () => {
    const begin = makeBegin();
    for (let round = 0; round < 5; round += 1) {
      await database.runScript('TRUNCATE idempotent_requests');
      await run(begin());
      await move('running_until', '1 minute');
      const results = await Promise.allSettled(Array.from({ length: 8 }, () => run(begin())));
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      for (const result of results)
        if (result.status === 'rejected') expect(result.reason).toMatchObject(isRunning);
    }
  });
});

test('keeps a request running for as long as its process runs it', async () => {
  const begin = makeBegin(undefined, 3_000);
  const first = await run(begin());
  await sleep(4_000);
  await expect(begin()).rejects.toMatchObject(isRunning);
  await first.complete(response);
  expect(await begin()).toEqual({ replay: response });
});

test('one of many requests at the same time runs', async () => {
  const begin = makeBegin();
  const results = await Promise.allSettled(Array.from({ length: 20 }, () => run(begin())));
  expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
});

test('each API key and, without keys, each tenant has its own', async () => {
  const tenant = await makeTenantQueries(database).ensure('shop');
  await database.runScript(`
    INSERT INTO api_keys (id, name, tenant_id, scopes, secret_id, hash, created_by)
    SELECT repeat(digit, 16), 'x', ${tenant.id}, '{}', 's', decode(repeat(digit, 64), 'hex'), 'x'
    FROM unnest(ARRAY['a', 'b']) AS digit`);
  const identities = ['a', 'b'].map((digit) => ({
    ...operator,
    keyId: digit.repeat(16),
    tenantId: tenant.id,
    tenantName: 'shop',
  }));
  const owners: [Identity, string?][] = [
    ...identities.map((identity): [Identity] => [identity]),
    [operator],
    [unrestrictedPrincipal],
    [unrestrictedPrincipal, 'shop'],
    [unrestrictedPrincipal, 'rival'],
  ];
  const begin = makeBegin();
  for (const [index, [identity, name]] of owners.entries())
    await (await run(begin('content', identity, name))).complete({ ...response, body: String(index) });
  for (const [index, [identity, name]] of owners.entries())
    expect(await begin('content', identity, name)).toMatchObject({ replay: { body: String(index) } });
  expect(await begin('content', unrestrictedPrincipal, 'default')).toMatchObject({ replay: { body: '3' } });
});
