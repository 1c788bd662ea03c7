import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadResult } from './load.ts';
import type { Generator } from './start-generator.ts';
import { percentile, secondsUntilNormal, type Summary, summarize } from './statistics.ts';
import { type Observation, watchServer } from './watch-server.ts';

/** What the phases run against. */
export interface Setup {
  readonly url: string;
  readonly serverPid: number;
  /** API keys of two tenants. */
  readonly keys: { readonly a: string; readonly b: string };
  /** Generators for each tenant. */
  readonly generators: { readonly a: Generator; readonly b: Generator };
  /** Duration of a phase. */
  readonly seconds: number;
}

/** A phase in which load was offered. */
export interface Phase extends LoadResult {
  readonly name: string;
  readonly summary: Summary;
  readonly observation: Observation;
}

/** The results of all phases. */
export interface Results {
  /** Uploads per second that were completed when clients sent as fast as they got answers. */
  readonly capacity: number;
  readonly normal: Phase;
  readonly overload: Phase;
  /** Offered rate in the overload, divided by the capacity. */
  readonly overloadFactor: number;
  readonly recovery: Phase;
  readonly recoverySeconds: number;
  readonly beforeSlowSockets: Phase;
  readonly withSlowSockets: Phase;
  readonly reopenedSlowSockets: number;
  readonly tenantAlone: Phase;
  readonly tenantBesideFlood: Phase;
  readonly flood: Phase;
}

/** Clients that measure the capacity. Each of them sends its next upload as soon as the last one is answered. */
const capacityClients = 8;
const slowSockets = 500;
const overloadFactor = 10;
const normalFactor = 0.8;
const modestFactor = 0.2;
/** Phases that are compared with each other run in turn, this number of times. */
const rounds = 4;
/** Pause after a phase, so that one phase does not affect the next. */
const pauseMs = 3_000;

/** Runs all phases. `report` is called with the name of each. */
export async function runPhases(setup: Setup, report: (name: string) => void): Promise<Results> {
  const { seconds } = setup;
  const short = Math.min(seconds, 40);
  const run = async (name: string, tenant: 'a' | 'b', load: Load, duration: number) => {
    report(name);
    return offer(setup, name, tenant, load, duration);
  };
  await run('warm-up', 'a', { clients: capacityClients }, 5);
  const atCapacity = await run('capacity', 'a', { clients: capacityClients }, short);
  const capacity = atCapacity.summary.accepted.length / short;
  await sleep(pauseMs);
  const normal = await run('0.8 × capacity', 'a', { rate: normalFactor * capacity }, seconds);
  await sleep(pauseMs);
  const [overload, recovery] = await runOverload(setup, capacity, report);
  await sleep(pauseMs);
  const modest = (seed: number) => ({ rate: modestFactor * capacity, seed });
  const slow = await alternate(
    (seed) => run('before slow sockets', 'a', modest(seed), short / rounds),
    (seed) => runBesideSlowSockets(setup, modest(seed), short / rounds, report),
  );
  const flooded = await alternate(
    (seed) => run('tenant B alone', 'b', modest(seed), short / rounds),
    (seed) => runBesideFlood(setup, capacity, modest(seed), short / rounds, report),
  );
  return {
    capacity,
    normal,
    overload,
    overloadFactor: overload.offeredRate / capacity,
    recovery,
    recoverySeconds: secondsUntilNormal(recovery.samples, 2 * percentile(normal.summary.accepted, 0.99)),
    beforeSlowSockets: merge(slow.before),
    withSlowSockets: merge(slow.beside.map(({ phase }) => phase)),
    reopenedSlowSockets: slow.beside.reduce((sum, { reopened }) => sum + reopened, 0),
    tenantAlone: merge(flooded.before),
    tenantBesideFlood: merge(flooded.beside.map(({ tenantBesideFlood }) => tenantBesideFlood)),
    flood: merge(flooded.beside.map(({ flood }) => flood)),
  };
}

/**
 * Runs two kinds of phases in turn, so that a change in the speed of the machine affects both equally. Both phases of a round get
 * the same seed, so that requests arrive at the same times: otherwise, the high percentiles would differ by chance.
 */
async function alternate<Before, Beside>(
  runBefore: (seed: number) => Promise<Before>,
  runBeside: (seed: number) => Promise<Beside>,
): Promise<{ readonly before: Before[]; readonly beside: Beside[] }> {
  const before: Before[] = [];
  const beside: Beside[] = [];
  for (let round = 0; round < rounds; round++) {
    const seed = nextSeed();
    before.push(await runBefore(seed));
    await sleep(pauseMs);
    beside.push(await runBeside(seed));
    await sleep(pauseMs);
  }
  return { before, beside };
}

/** Returns the rounds of a phase as one phase. */
function merge(parts: readonly Phase[]): Phase {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const samples = parts.flatMap((part) => part.samples);
  return {
    name: parts[0]?.name ?? '',
    samples,
    generatorCpu: mean(parts.map(({ generatorCpu }) => generatorCpu)),
    offeredRate: mean(parts.map(({ offeredRate }) => offeredRate)),
    summary: summarize(samples),
    observation: {
      healthTimes: parts.flatMap(({ observation }) => observation.healthTimes),
      healthFailures: parts.reduce((sum, { observation }) => sum + observation.healthFailures, 0),
      maxMemoryMb: Math.max(...parts.map(({ observation }) => observation.maxMemoryMb)),
    },
  };
}

/** What to offer. Requests arrive at random times, which depend on the seed. */
interface Load {
  readonly rate?: number;
  readonly clients?: number;
  readonly seed?: number;
}

async function offer(
  { url, keys, generators, serverPid }: Setup,
  name: string,
  tenant: 'a' | 'b',
  load: Load,
  seconds: number,
  pictures = 200 * seconds,
): Promise<Phase> {
  await generators[tenant].draw(pictures, nextSeed());
  const watch = watchServer(url, serverPid);
  const plan = { url, key: keys[tenant], seconds, seed: nextSeed(), ...load };
  const result = await generators[tenant].offer(plan);
  return { name, ...result, summary: summarize(result.samples), observation: await watch.stop() };
}

let lastSeed = 0;

/** Returns a new seed. Every phase sends different requests, but each run of the benchmark sends the same ones. */
function nextSeed(): number {
  return ++lastSeed;
}

/** Offers the overload, followed immediately by a normal load. */
async function runOverload(
  setup: Setup,
  capacity: number,
  report: (name: string) => void,
): Promise<[Phase, Phase]> {
  const { seconds, generators } = setup;
  report('overload');
  const recoverySeconds = 15;
  await generators.a.draw(150 * (seconds + recoverySeconds), nextSeed());
  const overload = await offer(setup, 'overload', 'a', { rate: overloadFactor * capacity }, seconds, 0);
  report('recovery');
  const recovery = await offer(setup, 'recovery', 'a', { rate: normalFactor * capacity }, recoverySeconds, 0);
  return [overload, recovery];
}

async function runBesideSlowSockets(
  setup: Setup,
  load: Load,
  seconds: number,
  report: (name: string) => void,
): Promise<{ readonly phase: Phase; readonly reopened: number }> {
  report(`beside ${slowSockets} slow sockets`);
  const openingSeconds = 3;
  await setup.generators.a.draw(200 * seconds, nextSeed());
  const slow = setup.generators.b.holdSlow({
    url: setup.url,
    key: setup.keys.b,
    seconds: seconds + openingSeconds,
    sockets: slowSockets,
    openingSeconds,
    localAddress: '127.0.0.2',
  });
  await sleep(openingSeconds * 1000);
  const phase = await offer(setup, 'beside slow sockets', 'a', load, seconds, 0);
  return { phase, ...(await slow) };
}

/** Tenant A offers 20 times its share, which is half of the capacity, while tenant B offers a modest load. */
async function runBesideFlood(
  setup: Setup,
  capacity: number,
  load: Load,
  seconds: number,
  report: (name: string) => void,
): Promise<Pick<Results, 'flood' | 'tenantBesideFlood'>> {
  report('tenant B beside a flood of tenant A');
  const openingSeconds = 2;
  const total = seconds + openingSeconds;
  await Promise.all([
    setup.generators.a.draw(150 * total, nextSeed()),
    setup.generators.b.draw(100 * seconds, nextSeed()),
  ]);
  const flood = offer(setup, 'flood', 'a', { rate: (20 * capacity) / 2 }, total, 0);
  await sleep(openingSeconds * 1000);
  const tenantBesideFlood = await offer(setup, 'tenant B beside a flood', 'b', load, seconds, 0);
  return { tenantBesideFlood, flood: await flood };
}
