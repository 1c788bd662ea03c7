import { expect, test } from 'vitest';
import { makeApiKeyQueries } from '../../../src/db/api-keys.ts';
import { makeTenantQueries } from '../../../src/db/tenants.ts';
import { systemPrincipal } from '../../../src/model/principal.ts';
import { generateApiKey, parseApiKey } from '../../../src/services/access/api-key-format.ts';
import { makeApiKeys } from '../../../src/services/access/api-keys.ts';
import { type Authenticate, makeAuthenticate } from '../../../src/services/access/authenticate.ts';
import { makeSecretRing } from '../../../src/services/access/secret-ring.ts';
import { useDatabase } from '../../support/inner/database.ts';
import { makeRecordingLogger } from '../../support/inner/logger.ts';
import { forgeKey, splitKey } from '../../support/process/forged-key.ts';

/** The time to reject a key must not tell whether there is a key with its id. */

const database = await useDatabase();
const apiKeys = makeApiKeyQueries(database);
const tenants = makeTenantQueries(database);
const logger = makeRecordingLogger();
const ring = makeSecretRing(['s'.repeat(32)]);
const dependencies = { apiKeys, ring, operatorKeys: [], logger };
const authenticate = makeAuthenticate(dependencies);
const keys = makeApiKeys({ apiKeys, tenants, ring, authenticate, logger });

/** Rejects the key of an unknown id without computing its hash, which is what an attacker could measure. */
function makeLeakyAuthenticate(knownId: string): Authenticate {
  let isKnown = false;
  const leakyRing: typeof ring = { ...ring, verify: (...seal) => isKnown && ring.verify(...seal) };
  const leaky = makeAuthenticate({ ...dependencies, ring: leakyRing });
  return {
    ...leaky,
    verify(key) {
      isKnown = parseApiKey(key ?? '') === knownId;
      return leaky.verify(key);
    },
  };
}

interface Kind {
  readonly authenticate: Authenticate;
  readonly makeKey: () => string;
}

async function measure({ authenticate: measured, makeKey }: Kind): Promise<number> {
  const key = makeKey();
  const startedAt = process.hrtime.bigint();
  await measured.verify(key).catch(() => undefined);
  return Number(process.hrtime.bigint() - startedAt) / 1_000;
}

/**
 * Returns a typical time of each kind in microseconds. The kinds take turns in a random order, so that a change of the load on
 * the machine affects all of them. Other processes only ever delay a measurement, so the faster ones count: those between the
 * 5th and the 40th percentile.
 */
async function compareTimes(kinds: readonly Kind[], rounds: number): Promise<number[]> {
  const times = kinds.map((): number[] => []);
  for (let round = 0; round < rounds; round += 1) {
    const order = kinds.map((kind, index) => ({ kind, index, rank: Math.random() }));
    for (const { kind, index } of order.toSorted((a, b) => a.rank - b.rank))
      times[index]?.push(await measure(kind));
  }
  return times.map((values) => {
    const fast = values.toSorted((a, b) => a - b).slice(rounds * 0.05, rounds * 0.4);
    return fast.reduce((sum, value) => sum + value, 0) / fast.length;
  });
}

const rounds = 1_200;
const maxAttempts = 4;

test('takes as long for an unknown id as for a wrong secret of a known id', async () => {
  const known = await keys.create(systemPrincipal, { name: 'robot', role: 'editor', tenantName: 'shop' });
  for (let count = 0; count < 20; count += 1)
    await keys.create(systemPrincipal, { name: 'other', role: 'reader' });
  const makeUnknown = () => generateApiKey().text;
  const makeWrong = () => forgeKey(known.id, splitKey(generateApiKey().text).secret);
  const leaky = makeLeakyAuthenticate(known.id);
  const kinds: Kind[] = [
    { authenticate, makeKey: makeWrong },
    { authenticate, makeKey: makeUnknown },
    { authenticate, makeKey: makeUnknown },
    { authenticate: leaky, makeKey: makeWrong },
    { authenticate: leaky, makeKey: makeUnknown },
  ];
  await compareTimes(kinds, 100);
  const reports: string[] = [];
  // A busy machine may hide the leak, so that a measurement says nothing. A real leak would fail every time.
  for (let attempt = 0; attempt < maxAttempts; attempt += 1) {
    const [wrong = 0, unknown = 0, unknownAgain = 0, leakyWrong = 0, leakyUnknown = 0] = await compareTimes(
      kinds,
      rounds,
    );
    const difference = Math.abs(wrong - (unknown + unknownAgain) / 2);
    const noise = Math.abs(unknown - unknownAgain);
    const leak = leakyWrong - leakyUnknown;
    reports.push(
      `difference ${difference.toFixed(2)} µs, noise ${noise.toFixed(2)} µs, leak ${leak.toFixed(2)} µs`,
    );
    // The measurement is precise enough to find the leak of a single hash, and finds less than half of it.
    if (leak > 4 * noise && leak > 0 && difference < leak / 2) return;
  }
  expect.fail(reports.join('\n'));
});
