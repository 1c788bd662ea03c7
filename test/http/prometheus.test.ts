import { expect, test } from 'vitest';
import { makeMetrics } from '../../src/telemetry/metrics.ts';
import type { MetricSources } from '../../src/telemetry/sampler.ts';
import { makeBareServer } from './support/bare-server.ts';

const usage = {
  images: 5,
  renditions: 12,
  originalBytes: 1_000,
  renditionBytes: 500,
  bytesByPreset: {},
  imagesByStatus: { pending: 1, processing: 0, completed: 4, failed: 0 },
  imagesByTenant: {},
};
const decoderStats = {
  size: 2,
  alive: 3,
  busy: 1,
  waiting: 4,
  recycled: 5,
  crashes: 6,
  timeouts: 7,
  memoryKills: 8,
};
const sources = {
  usage: { readOverall: () => Promise.resolve(usage) },
  reports: {
    readQueueDepth: () =>
      Promise.resolve([{ kind: 'import', pending: 3, processing: 2, oldestPendingSeconds: 9.5 }]),
  },
  decoders: { stats: () => ({ ...decoderStats, isBroken: false }) },
  storage: { freeBytes: () => Promise.resolve(77) },
  vectorIndexes: {
    list: () =>
      Promise.resolve([
        { tenant: 'shop', space: 'classic', recall: 0.98 },
        { tenant: 'new', space: 'classic', recall: null },
      ]),
  },
} as unknown as MetricSources;
const throwUnavailable = () => {
  throw new Error('unavailable');
};

test('writes every metric, and omits metrics whose source fails or is slow', async () => {
  const { text, contentType } = await makeMetrics(sources).render();
  expect(contentType).toMatch(/^text\/plain; version=0\.0\.4/);
  for (const line of [
    'vitrine_jobs{kind="import",state="pending"} 3',
    'vitrine_jobs{kind="derive",state="pending"} 0',
    'vitrine_oldest_pending_job_seconds{kind="import"} 9.5',
    'vitrine_decoders{state="busy"} 1',
    'vitrine_decoder_ends_total{reason="memory"} 8',
    'vitrine_images{status="completed"} 4',
    'vitrine_storage_bytes{kind="rendition"} 500',
    'vitrine_storage_free_bytes{volume="pictures"} 77',
    'vitrine_similarity_recall{tenant="shop",space="classic"} 0.98',
  ])
    expect(text.split('\n')).toContain(line);
  expect(text).toMatch(/^vitrine_build_info\{version="\d.*",node="v\d.*"\} 1$/m);
  expect(text).toMatch(/^nodejs_eventloop_lag_p99_seconds /m);
  expect(text).toMatch(/^process_resident_memory_bytes /m);

  const brokenMetrics = makeMetrics({
    ...sources,
    usage: { readOverall: throwUnavailable },
    decoders: { stats: throwUnavailable },
    storage: { freeBytes: () => new Promise<number>(() => undefined) },
  });
  const brokenText = (await brokenMetrics.render()).text;
  expect(brokenText).toContain('vitrine_jobs{kind="import",state="pending"} 3');
  expect(brokenText).not.toMatch(
    /^vitrine_(images|storage_bytes|storage_free_bytes|decoders|decoder_ends_total)[{ ]/m,
  );
});

test('updates a metric from its source, and removes the metric when the source fails', async () => {
  let readFreeBytes: () => Promise<number> = () => Promise.resolve(1);
  const metrics = makeMetrics({ ...sources, storage: { freeBytes: () => readFreeBytes() } });
  const findLine = async () => /^vitrine_storage_free_bytes\{.*$/m.exec((await metrics.render()).text)?.[0];
  expect(await findLine()).toMatch(/ 1$/);
  readFreeBytes = () => Promise.resolve(2);
  expect(await findLine()).toMatch(/ 2$/);
  readFreeBytes = throwUnavailable;
  expect(await findLine()).toBeUndefined();
  readFreeBytes = () => Promise.resolve(Number.POSITIVE_INFINITY);
  expect(await findLine()).toBeUndefined();
});

test('does not count decoder events twice when the metrics are read concurrently', async () => {
  const metrics = makeMetrics(sources);
  const texts = await Promise.all(Array.from({ length: 5 }, () => metrics.render()));
  for (const { text } of texts) expect(text).toContain('vitrine_decoder_ends_total{reason="crash"} 6');
});

test('counts requests and records their durations by route, method and status', async () => {
  const metrics = makeMetrics(sources);
  const app = await makeBareServer(
    {},
    { metrics, services: { usage: { tenants: () => Promise.resolve([]) } } },
  );
  for (const url of ['/info', '/info/', '/v1/images/abc', '/v1/images/def', '/nothing', '/nothing/else'])
    await app.inject(url);
  await app.inject({ method: 'PATCH', url: '/info' });
  const { body } = await app.inject({ url: '/metrics', headers: { accept: 'text/plain' } });
  for (const line of [
    'vitrine_http_requests_total{method="GET",route="/info",status="200"} 2',
    'vitrine_http_requests_total{method="GET",route="/v1/images/:id",status="400"} 2',
    'vitrine_http_requests_total{method="GET",route="none",status="404"} 2',
    'vitrine_http_requests_total{method="PATCH",route="none",status="405"} 1',
    'vitrine_http_request_duration_seconds_bucket{le="+Inf",method="GET",route="/info",status="200"} 2',
    'vitrine_http_request_duration_seconds_count{method="GET",route="/info",status="200"} 2',
  ])
    expect(body.split('\n')).toContain(line);
  expect(body).not.toContain('abc');
});

test('counts a duration in the bucket whose upper bound equals the duration', async () => {
  const metrics = makeMetrics(sources);
  for (const seconds of [0, 0.001, 0.0011, 0.3, 31])
    metrics.recordRequest({ method: 'GET', route: '/x', status: 200, seconds });
  metrics.recordJob({ kind: 'derive', outcome: 'completed', seconds: 0.2 });
  const { text } = await metrics.render();
  const makeSeriesName = (le: string) =>
    `vitrine_http_request_duration_seconds_bucket{le="${le}",method="GET",route="/x",status="200"}`;
  for (const [le, count] of Object.entries({
    '0.001': 2,
    '0.0025': 3,
    '0.25': 3,
    '0.5': 4,
    '30': 4,
    '+Inf': 5,
  }))
    expect(text.split('\n')).toContain(`${makeSeriesName(le)} ${count}`);
  expect(text).toMatch(/^vitrine_http_request_duration_seconds_sum\{.*\} 31\.302/m);
  expect(text).toContain('vitrine_job_runs_total{kind="derive",outcome="completed"} 1');
});

test('sends Prometheus text to scrapers, and JSON to other clients', async () => {
  const app = await makeBareServer(
    {},
    { metrics: makeMetrics(sources), services: { usage: { tenants: () => Promise.resolve([]) } } },
  );
  const scraperAccept =
    'application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1';
  const newScraperAccept = `application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,${scraperAccept}`;
  for (const accept of [
    scraperAccept,
    newScraperAccept,
    'text/plain',
    'text/plain;version=0.0.4',
    'TEXT/PLAIN',
    'application/json;q=0.5, text/plain',
  ]) {
    const response = await app.inject({ url: '/metrics', headers: { accept } });
    expect(response.headers['content-type'], accept).toMatch(/^text\/plain; version=0\.0\.4/);
    expect(response.body).toMatch(/^# HELP /m);
  }
  const browserAccept = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8';
  for (const accept of [
    undefined,
    '*/*',
    'application/json',
    browserAccept,
    'text/plain;q=0.5, application/json',
    'text/plain;q=0',
    '',
    'nonsense',
    ';;,,q=',
  ]) {
    const response = await app.inject({ url: '/metrics', headers: accept === undefined ? {} : { accept } });
    expect(response.json(), accept).toEqual({ tenants: [] });
    expect(response.headers['vary']).toBe('Origin, Accept');
  }
});
