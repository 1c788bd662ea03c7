import { randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { hasRedisServer, makePrivateRedis } from '../support/inner/redis-server.ts';
import { call, waitForFinishedImage, upload, uploadQueued } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { s3Keys } from '../support/process/s3.ts';
import { services } from '../support/services.ts';
import { findDatabaseTarget, findStoreTarget, useBucket, useDatabase } from './support/backing-services.ts';
import {
  canRunContainers,
  createKeyInside,
  type HostMapping,
  startContainer,
  waitUntilHealthy,
} from './support/container.ts';
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
const defaultBlueprint = parse(text) as Blueprint;
/** The blueprint with its optional lines uncommented, as the documentation describes. */
const redisBlueprint = parse(text.replaceAll('#+', '')) as Blueprint;
const canRun = services.databaseUrl && services.s3Endpoint && canRunContainers();

/** A value like those that Render generates: 256 random bits in base64. */
const generatedSecret = randomBytes(32).toString('base64');

/** The values that a user enters in Render. */
const enteredValues: Record<string, string> = {
  S3_BUCKET: `vitrine-render-${randomUUID().slice(0, 8)}`,
  S3_REGION: 'us-east-1',
  S3_ENDPOINT: 'http://store:9000',
  ...s3Keys,
};

/** Returns the variables that Render sets for a service. Each variable has exactly one source. */
function makeServiceEnvironment(
  blueprint: Blueprint,
  variables: readonly Variable[],
): Record<string, string> {
  const pairs = variables.flatMap((variable): [string, string][] => {
    const { key = '', value, sync, generateValue, fromGroup, fromDatabase, fromService } = variable;
    if (fromGroup) {
      const group = blueprint.envVarGroups.find(({ name }) => name === fromGroup);
      return Object.entries(makeServiceEnvironment(blueprint, group?.envVars ?? []));
    }
    // Render generates the value of a group once, for all services that use the group.
    if (generateValue && key === 'SECRET_KEY') return [[key, generatedSecret]];
    if (value !== undefined) return [[key, value]];
    if (sync === false) return [[key, enteredValues[key] ?? '']];
    if (fromDatabase?.property === 'connectionString') return [[key, makeConnectionString(blueprint)]];
    if (fromService?.envVarKey) return [[key, enteredValues[fromService.envVarKey] ?? '']];
    if (fromService?.type === 'keyvalue') return [[key, 'redis://red-test:6379']];
    throw new Error(`${key} has no source.`);
  });
  return Object.fromEntries(pairs);
}

/** Returns a connection string with a private host and without a port, like the strings that Render sets. */
function makeConnectionString({ databases: [database] }: Blueprint): string {
  return `postgresql://${database?.user}:password@dpg-test-a/${database?.databaseName}`;
}

async function startBlueprint(blueprint: Blueprint, extraMappings: readonly HostMapping[]) {
  const [database] = blueprint.databases;
  if (!database) throw new Error('There is no database.');
  await useDatabase({ user: database.user, password: 'password', database: database.databaseName }, 'owner');
  const hostMappings = [
    { name: 'dpg-test-a', port: 5432, target: findDatabaseTarget() },
    { name: 'store', port: 9000, target: findStoreTarget() },
    ...extraMappings,
  ];
  const startService = (service: Service, command: string) =>
    startContainer({
      command: command.split(' '),
      environment: makeServiceEnvironment(blueprint, service.envVars ?? []),
      workingFolder: '/opt/render/project/src',
      hostMappings,
      ports: [10_000],
    });
  const [web, worker] = blueprint.services;
  if (!web?.preDeployCommand || !worker?.numInstances) throw new Error('A service is missing.');
  const preDeploy = await startService(web, web.preDeployCommand);
  expect(await preDeploy.exitCode, preDeploy.log()).toBe(0);
  const workers = Array.from({ length: worker.numInstances }, () =>
    startService(worker, worker.startCommand),
  );
  return Promise.all([startService(web, web.startCommand), ...workers]);
}

/** Starts a blueprint and uploads pictures. Expects that `wakeSource` wakes the workers. */
async function expectWorkingBlueprint(
  blueprint: Blueprint,
  extraMappings: readonly HostMapping[],
  wakeSource: string,
): Promise<void> {
  const [api, ...workers] = await startBlueprint(blueprint, extraMappings);
  expect(blueprint.services[0]?.healthCheckPath).toBe('/healthz');
  await waitUntilHealthy(api, 10_000);
  const base = api.url(10_000);
  expect((await call(`${base}/v1/images`)).status).toBe(401);
  const key = await createKeyInside(api, '--role', 'admin');
  expect((await upload(base, await jpeg(`render ${wakeSource}`), 'shop', '', key)).status).toBe(201);
  const queuedUpload = await uploadQueued(base, await jpeg(`render queued ${wakeSource}`), 'shop', key);
  expect((await waitForFinishedImage(base, queuedUpload.body.asset_id, key)).status).toBe('completed');
  // The log is read asynchronously from a pipe.
  await expect.poll(() => workers.some((worker) => worker.log().includes('completed in'))).toBe(true);
  expect(api.log()).toContain(`workers are woken by ${wakeSource}`);
  const codes = await Promise.all([api, ...workers].map((container) => container.stop()));
  expect(codes, api.log()).toEqual([0, 0, 0]);
}

describe.runIf(canRun)('the services in render.yaml', () => {
  test('start and process uploads with only the variables that Render sets', { tags: 'slow' }, async () => {
    await useBucket(enteredValues['S3_BUCKET'] ?? '');
    await expectWorkingBlueprint(defaultBlueprint, [], 'the database');
  });

  test.runIf(hasRedisServer())(
    'start and process uploads if the optional lines for Redis are uncommented',
    { tags: 'slow' },
    async () => {
      await useBucket(enteredValues['S3_BUCKET'] ?? '');
      const keyvalue = redisBlueprint.services.find(({ type }) => type === 'keyvalue');
      const redis = await makePrivateRedis('--maxmemory-policy', keyvalue?.maxmemoryPolicy ?? '');
      await redis.start();
      const target = { host: '127.0.0.1', port: redis.port };
      await expectWorkingBlueprint(
        redisBlueprint,
        [{ name: 'red-test', port: 6379, target }],
        'Redis on red-test',
      );
    },
  );
});

describe('render.yaml', () => {
  test('installs packages with the same command as the Dockerfile, and allows Vitrine enough time to stop', async () => {
    const { installCommand } = await readDockerfile();
    for (const { buildCommand, maxShutdownDelaySeconds } of defaultBlueprint.services) {
      expect(installCommand.join(' ')).toContain(buildCommand);
      expect(maxShutdownDelaySeconds).toBeGreaterThan(15);
    }
  });

  test('requires keys in every service, with one generated secret', () => {
    for (const { type, name, envVars = [] } of defaultBlueprint.services) {
      const environment = makeServiceEnvironment(defaultBlueprint, envVars);
      expect([type, environment['AUTH'], environment['SECRET_KEY']], name).toEqual([
        type,
        'keys',
        generatedSecret,
      ]);
      // A value of the service itself would replace that of the group.
      const ownNames = envVars.map(({ key }) => key);
      expect(ownNames).not.toContain('AUTH');
      expect(ownNames).not.toContain('SECRET_KEY');
    }
    const secrets = defaultBlueprint.envVarGroups.flatMap(({ envVars }) =>
      envVars.filter(({ key }) => key === 'SECRET_KEY'),
    );
    expect(secrets).toEqual([{ key: 'SECRET_KEY', generateValue: true }]);
  });

  test('refers only to existing databases, groups and services', () => {
    for (const blueprint of [defaultBlueprint, redisBlueprint]) {
      const names = [...blueprint.services, ...blueprint.databases, ...blueprint.envVarGroups].map(
        ({ name }) => name,
      );
      const variables = blueprint.services.flatMap(({ envVars }) => envVars ?? []);
      for (const { fromGroup, fromDatabase, fromService } of variables) {
        const name = fromGroup ?? fromDatabase?.name ?? fromService?.name;
        if (name !== undefined) expect(names).toContain(name);
      }
    }
    expect(redisBlueprint.services).toHaveLength(defaultBlueprint.services.length + 1);
  });
});
