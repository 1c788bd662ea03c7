import { describe, expect, test } from 'vitest';
import { hasRedisServer, makePrivateRedis } from '../support/inner/redis-server.ts';
import { call, waitForFinishedImage, upload, uploadQueued } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { services } from '../support/services.ts';
import {
  findDatabaseTarget,
  removeBucketAfterwards,
  findStoreTarget,
  useDatabase,
} from './support/backing-services.ts';
import { type ComposeService, makeEnvFile, readComposeFile, readExample } from './support/compose-file.ts';
import {
  canRunContainers,
  type Container,
  createKeyInside,
  type HostMapping,
  startContainer,
  waitUntilHealthy,
} from './support/container.ts';
import { readDockerfile } from './support/dockerfile.ts';

const example = await readExample();
const { variables, mode } = await makeEnvFile();
const file = await readComposeFile(variables);
const dockerfile = await readDockerfile();
const canRun =
  services.databaseUrl && services.redisUrl && services.s3Endpoint && canRunContainers() && hasRedisServer();

const builtServices = Object.entries(file.services).filter(([, { build }]) => build);
const backingServices = Object.entries(file.services).filter(([, { build }]) => !build);

function findService(name: string): ComposeService {
  const service = file.services[name];
  if (!service) throw new Error(`There is no service ${name}.`);
  return service;
}

/** Returns a container's environment. The service's variables override the image's variables. */
function makeServiceEnvironment({ environment = {} }: ComposeService): Record<string, string> {
  const serviceVariables = Object.entries(environment).map(([name, value]) => [name, String(value)]);
  return { ...dockerfile.environment, ...(Object.fromEntries(serviceVariables) as Record<string, string>) };
}

function startService(name: string, hostMappings: readonly HostMapping[]): Promise<Container> {
  const service = findService(name);
  return startContainer({
    command: service.command ?? [],
    environment: makeServiceEnvironment(service),
    workingFolder: dockerfile.workingFolder,
    writableFolder: dockerfile.volume,
    hostMappings,
    ports: [8000, 8001],
  });
}

describe.runIf(canRun)('the services in compose.yaml', () => {
  test('start and process uploads with only the variables in compose.yaml', {
    tags: 'scenario',
  }, async () => {
    const {
      POSTGRES_USER: user = '',
      POSTGRES_PASSWORD: password = '',
      POSTGRES_DB: database = '',
    } = makeServiceEnvironment(findService('postgres'));
    await useDatabase({ user, password, database }, 'superuser');
    const [program, ...options] = findService('redis').command ?? [];
    expect(program).toBe('redis-server');
    const redis = await makePrivateRedis(...options);
    await redis.start();
    const hostMappings = [
      { name: 'postgres', port: 5432, target: findDatabaseTarget() },
      { name: 'redis', port: 6379, target: { host: '127.0.0.1', port: redis.port } },
      { name: 's3', port: 8333, target: findStoreTarget() },
    ];

    removeBucketAfterwards('vitrine');
    const bucket = await startService('bucket', hostMappings);
    expect(await bucket.exitCode, bucket.log()).toBe(0);
    expect(bucket.log()).toContain('The bucket vitrine was created.');
    const secondBucketRun = await startService('bucket', hostMappings);
    expect(await secondBucketRun.exitCode, secondBucketRun.log()).toBe(0);
    expect(secondBucketRun.log()).toContain('The bucket vitrine exists.');

    const [api, ...workers] = await Promise.all(
      ['api', 'worker-1', 'worker-2'].map((name) => startService(name, hostMappings)),
    );
    if (!api) throw new Error('There is no API.');
    await waitUntilHealthy(api, 8000);
    for (const worker of workers) await waitUntilHealthy(worker, 8001);
    // `docker compose up --wait` waits for the same health checks.
    for (const container of [api, ...workers])
      expect(await container.run(...dockerfile.healthcheck)).toEqual({ status: 0, stdout: '' });

    const base = api.url(8000);
    expect((await call(`${base}/v1/images`)).status).toBe(401);
    const key = await createKeyInside(api, '--role', 'admin');
    const headers = { authorization: `Bearer ${key}` };
    const inlineUpload = await upload(base, await jpeg('compose inline'), 'shop', '', key);
    expect(inlineUpload.status).toBe(201);
    const queuedUpload = await uploadQueued(base, await jpeg('compose queued'), 'shop', key);
    expect((await waitForFinishedImage(base, queuedUpload.body.asset_id, key)).status).toBe('completed');
    const completedLine = `(image ${queuedUpload.body.asset_id}) completed`;
    // The log is read asynchronously from a pipe.
    await expect.poll(() => workers.some((worker) => worker.log().includes(completedLine))).toBe(true);
    expect(await call(`${base}${inlineUpload.body.renditions[0]?.url}`, { headers })).toMatchObject({
      status: 200,
    });

    for (const worker of workers) {
      expect((await call(`${worker.url(8001)}/metrics`)).status).toBe(401);
      const metrics = await call(`${worker.url(8001)}/metrics`, { headers });
      expect(metrics.bytes.toString()).toContain('vitrine_build_info');
      expect((await call(`${worker.url(8001)}/v1/images`)).status).toBe(404);
    }
    const codes = await Promise.all([api, ...workers].map((container) => container.stop()));
    expect(codes, api.log()).toEqual([0, 0, 0]);
    for (const container of [api, ...workers]) expect(container.log()).toContain('"msg":"stopped"');
  });
});

describe('compose.yaml', () => {
  test('requires every secret', async () => {
    const secrets = ['POSTGRES_PASSWORD', 'REDIS_PASSWORD', 'S3_ACCESS_KEY', 'S3_SECRET_KEY', 'SECRET_KEY'];
    expect(Object.keys(example).filter((name) => example[name] === '')).toEqual(secrets);
    for (const secret of secrets) {
      await expect(readComposeFile({ ...variables, [secret]: '' })).rejects.toThrow(secret);
    }
  });

  test('requires keys in every process that can be reached, with the same secret', () => {
    for (const name of ['api', 'worker-1', 'worker-2'])
      expect(makeServiceEnvironment(findService(name)), name).toMatchObject({
        AUTH: 'keys',
        SECRET_KEY: variables['SECRET_KEY'],
      });
  });

  test('gets different, long secrets from the documented commands, in a file that only its owner can read', () => {
    expect(mode).toBe(0o600);
    const secrets = Object.keys(example).flatMap((name) => (example[name] === '' ? variables[name] : []));
    expect(new Set(secrets).size).toBe(5);
    for (const secret of secrets) expect(secret).toMatch(/^[\da-f]{64}$/);
  });

  test('publishes only the API port, and only on loopback', () => {
    const publishedPorts = Object.entries(file.services).flatMap(([name, { ports = [] }]) =>
      ports.map((port) => `${name} ${port}`),
    );
    expect(publishedPorts).toEqual(['api 127.0.0.1:8000:8000']);
  });

  test('allows only local names as hosts', () => {
    expect(makeServiceEnvironment(findService('api'))['ALLOWED_HOSTS']).toBe('localhost,api');
  });

  test('places the database, Redis and the store in an internal network', () => {
    expect(file.networks['inside']?.internal).toBe(true);
    for (const [name, { networks }] of backingServices) expect(networks, name).toEqual(['inside']);
  });

  test('pins the images of the backing services, and sets health checks, memory limits and restart policies', () => {
    for (const [name, service] of backingServices) {
      expect(service.image, name).toMatch(/:\d+\.\d+/);
      expect(service.healthcheck?.test, name).toBeDefined();
    }
    for (const [name, service] of [
      ...backingServices,
      ...builtServices.filter(([name]) => name !== 'bucket'),
    ]) {
      expect(service.restart, name).toBe('unless-stopped');
      expect(service.deploy?.resources?.limits?.memory, name).toMatch(/^\d+[MG]$/);
    }
  });

  test('makes services wait for their dependencies, and refers only to existing services, volumes and networks', () => {
    for (const [name, { depends_on = {}, networks = [], volumes = [] }] of Object.entries(file.services)) {
      for (const dependency of Object.keys(depends_on))
        expect(file.services, name).toHaveProperty(dependency);
      for (const network of networks) expect(file.networks, name).toHaveProperty(network);
      for (const volume of volumes.filter((entry) => !entry.startsWith('/')))
        expect(file.volumes, name).toHaveProperty(volume.split(':')[0] ?? '');
    }
    for (const name of ['api', 'worker-1', 'worker-2'])
      expect(file.services[name]?.depends_on, name).toEqual({
        postgres: { condition: 'service_healthy' },
        redis: { condition: 'service_healthy' },
        bucket: { condition: 'service_completed_successfully' },
      });
  });

  test('gives the store the credentials that the other services use', () => {
    const { identities } = JSON.parse(file.configs['s3-keys']?.content ?? '') as {
      identities: { credentials: { accessKey: string; secretKey: string }[] }[];
    };
    const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = makeServiceEnvironment(findService('api'));
    expect(identities[0]?.credentials).toEqual([
      { accessKey: AWS_ACCESS_KEY_ID, secretKey: AWS_SECRET_ACCESS_KEY },
    ]);
  });
});
