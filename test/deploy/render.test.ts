import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { hasRedisServer, privateRedis } from '../support/inner/redis-server.ts';
import { finishedImage, upload, uploadQueued } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { s3Keys } from '../support/process/s3.ts';
import { services } from '../support/services.ts';
import { databaseTarget, storeTarget, useBucket, useDatabase } from './support/backing-services.ts';
import { canRunContainers, type HostMapping, startContainer, waitUntilHealthy } from './support/container.ts';
import { readDockerfile } from './support/dockerfile.ts';

interface Variable {
  readonly key?: string;
  readonly value?: string;
  readonly sync?: false;
  readonly generateValue?: true;
  readonly fromGroup?: string;
  readonly fromDatabase?: { readonly name: string; readonly property: string };
  readonly fromService?: { readonly name: string; readonly type: string; readonly envVarKey?: string };
}

interface Service {
  readonly type: 'web' | 'worker' | 'keyvalue';
  readonly name: string;
  readonly buildCommand: string;
  readonly preDeployCommand?: string;
  readonly startCommand: string;
  readonly numInstances?: number;
  readonly maxShutdownDelaySeconds?: number;
  readonly healthCheckPath?: string;
  readonly envVars?: readonly Variable[];
  readonly maxmemoryPolicy?: string;
}

interface Blueprint {
  readonly envVarGroups: readonly { readonly name: string; readonly envVars: readonly Variable[] }[];
  readonly services: readonly Service[];
  readonly databases: readonly {
    readonly name: string;
    readonly databaseName: string;
    readonly user: string;
  }[];
}

const text = await readFile(new URL('../../render.yaml', import.meta.url), 'utf8');
const plain = parse(text) as Blueprint;
/** The blueprint with its optional lines uncommented, as the documentation describes. */
const withRedis = parse(text.replaceAll('#+', '')) as Blueprint;
const canRun = services.databaseUrl && services.s3Endpoint && canRunContainers();

/** The values that a user enters in Render. */
const entered: Record<string, string> = {
  S3_BUCKET: `vitrine-render-${randomUUID().slice(0, 8)}`,
  S3_REGION: 'us-east-1',
  S3_ENDPOINT: 'http://store:9000',
  ...s3Keys,
};

/** Returns the variables that Render sets for a service. Each has exactly one source. */
function environmentOf(blueprint: Blueprint, variables: readonly Variable[]): Record<string, string> {
  const pairs = variables.flatMap((variable): [string, string][] => {
    const { key = '', value, sync, generateValue, fromGroup, fromDatabase, fromService } = variable;
    if (fromGroup) {
      const group = blueprint.envVarGroups.find(({ name }) => name === fromGroup);
      return Object.entries(environmentOf(blueprint, group?.envVars ?? []));
    }
    if (value !== undefined) return [[key, value]];
    if (generateValue) return [[key, randomUUID()]];
    if (sync === false) return [[key, entered[key] ?? '']];
    if (fromDatabase?.property === 'connectionString') return [[key, connectionString(blueprint)]];
    if (fromService?.envVarKey) return [[key, entered[fromService.envVarKey] ?? '']];
    if (fromService?.type === 'keyvalue') return [[key, 'redis://red-test:6379']];
    throw new Error(`${key} has no source.`);
  });
  return Object.fromEntries(pairs);
}

/** Returns the connection string that Render sets in its private network, without a port. */
function connectionString({ databases: [database] }: Blueprint): string {
  return `postgresql://${database?.user}:password@dpg-test-a/${database?.databaseName}`;
}

async function startBlueprint(blueprint: Blueprint, more: readonly HostMapping[]) {
  const [database] = blueprint.databases;
  if (!database) throw new Error('There is no database.');
  await useDatabase({ user: database.user, password: 'password', database: database.databaseName }, 'owner');
  const hostMappings = [
    { name: 'dpg-test-a', port: 5432, target: databaseTarget() },
    { name: 'store', port: 9000, target: storeTarget() },
    ...more,
  ];
  const start = (service: Service, command: string) =>
    startContainer({
      command: command.split(' '),
      environment: environmentOf(blueprint, service.envVars ?? []),
      folder: '/opt/render/project/src',
      hostMappings,
      ports: [10_000],
    });
  const [web, worker] = blueprint.services;
  if (!web?.preDeployCommand || !worker?.numInstances) throw new Error('A service is missing.');
  const preDeploy = await start(web, web.preDeployCommand);
  expect(await preDeploy.ended, preDeploy.log()).toBe(0);
  const workers = Array.from({ length: worker.numInstances }, () => start(worker, worker.startCommand));
  return Promise.all([start(web, web.startCommand), ...workers]);
}

/** Starts a blueprint and ingests pictures. Expects that the API's workers are woken `wake`. */
async function exercise(blueprint: Blueprint, more: readonly HostMapping[], wake: string): Promise<void> {
  const [api, ...workers] = await startBlueprint(blueprint, more);
  expect(blueprint.services[0]?.healthCheckPath).toBe('/healthz');
  await waitUntilHealthy(api, 10_000);
  const base = api.url(10_000);
  expect((await upload(base, await jpeg(`render ${wake}`))).status).toBe(201);
  const queued = await uploadQueued(base, await jpeg(`render queued ${wake}`));
  expect((await finishedImage(base, queued.body.asset_id)).status).toBe('completed');
  // The log is read asynchronously from a pipe.
  await expect.poll(() => workers.some((worker) => worker.log().includes('completed in'))).toBe(true);
  expect(api.log()).toContain(`workers are woken ${wake}`);
  const codes = await Promise.all([api, ...workers].map((container) => container.stop()));
  expect(codes, api.log()).toEqual([0, 0, 0]);
}

describe.runIf(canRun)('render.yaml', () => {
  test('runs every start command with only its own environment', { tags: 'slow' }, async () => {
    await useBucket(entered['S3_BUCKET'] ?? '');
    await exercise(plain, [], 'by the database');
  });

  test.runIf(hasRedisServer())('runs every start command with Redis', { tags: 'slow' }, async () => {
    await useBucket(entered['S3_BUCKET'] ?? '');
    const keyvalue = withRedis.services.find(({ type }) => type === 'keyvalue');
    const redis = await privateRedis('--maxmemory-policy', keyvalue?.maxmemoryPolicy ?? '');
    await redis.start();
    const target = { host: '127.0.0.1', port: redis.port };
    await exercise(withRedis, [{ name: 'red-test', port: 6379, target }], 'by Redis on red-test');
  });
});

describe('the contents of render.yaml', () => {
  test('install packages like the image and allow Vitrine enough time to stop', async () => {
    const { install } = await readDockerfile();
    for (const { buildCommand, maxShutdownDelaySeconds } of plain.services) {
      expect(install.join(' ')).toContain(buildCommand);
      expect(maxShutdownDelaySeconds).toBeGreaterThan(15);
    }
  });

  test('refer only to existing databases, groups and services', () => {
    for (const blueprint of [plain, withRedis]) {
      const names = [...blueprint.services, ...blueprint.databases, ...blueprint.envVarGroups].map(
        ({ name }) => name,
      );
      const variables = blueprint.services.flatMap(({ envVars }) => envVars ?? []);
      for (const { fromGroup, fromDatabase, fromService } of variables) {
        const name = fromGroup ?? fromDatabase?.name ?? fromService?.name;
        if (name !== undefined) expect(names).toContain(name);
      }
    }
    expect(withRedis.services).toHaveLength(plain.services.length + 1);
  });
});
