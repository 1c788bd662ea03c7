import { expect, onTestFinished, test, vi } from 'vitest';
import { loadConfig } from '../../../src/config.ts';
import {
  type AdmissionConfig,
  type AdmittedUpload,
  makeAdmission,
} from '../../../src/http/overload/admission.ts';
import type { JobKind } from '../../../src/model/job.ts';
import { makeRecordingLogger } from '../../support/inner/logger.ts';

const mebibyte = 2 ** 20;

function makeTestAdmission(
  config: Partial<AdmissionConfig>,
  load: { freeBytes?: number; eventLoopDelayMs?: number; queue?: readonly [number, number, number][] } = {},
) {
  const logger = makeRecordingLogger();
  const samples = {
    queueDepths: (kind: JobKind) =>
      (load.queue ?? []).map(([tenantId, pending, oldestPendingSeconds]) => ({
        kind,
        tenantId,
        pending,
        oldestPendingSeconds,
      })),
    freeBytes: () => load.freeBytes,
    eventLoopDelayMs: () => load.eventLoopDelayMs ?? 0,
  };
  const defaults = { ...loadConfig({}).overload, decoders: 2, minFreeBytes: 100 * mebibyte };
  const admission = makeAdmission({ ...defaults, ...config }, samples, logger);
  const admit = (bytes: number, caller = 'a'): AdmittedUpload => {
    const admitted = admission.admitUpload({
      caller,
      tenantId: null,
      bytes,
      isQueued: false,
      onSlot: () => undefined,
    });
    if (admitted instanceof Promise) throw new Error('The upload has to wait.');
    return admitted;
  };
  return { admission, admit, logger };
}

test('keeps free space for the uploads that are still arriving', () => {
  const { admit, admission } = makeTestAdmission({}, { freeBytes: 120 * mebibyte });
  const first = admit(15 * mebibyte);
  expect(() => admit(10 * mebibyte)).toThrow(/^The server is overloaded\. Its disk has 125829120 bytes free/);
  first.release();
  expect(() => admit(10 * mebibyte)).not.toThrow();
  expect(admission.counts().refused.get('upload')?.get('disk')).toBe(1);
});

test('leaves a full disk to the check that reports it as full', () => {
  const { admit } = makeTestAdmission({}, { freeBytes: 50 * mebibyte });
  expect(() => admit(mebibyte)).not.toThrow();
});

test('leaves half of the limits in flight to other callers', () => {
  const { admit } = makeTestAdmission({ maxUploadsInFlight: 4, maxUploadBytesInFlight: 100 });
  admit(30);
  expect(() => admit(30)).toThrow(/Uploads of 30 bytes from this caller.* limit per caller is 50 bytes/);
  admit(10);
  expect(() => admit(1)).toThrow(
    /2 uploads from this caller are .* limit per caller is 2 \(half of MAX_UPLOADS_IN_FLIGHT = 4\)/,
  );
  admit(40, 'b');
  expect(() => admit(30, 'c')).toThrow(
    /Uploads of 80 bytes are .*, and this one may have 30; the limit is 100 bytes \(MAX_UPLOAD_MB_IN_FLIGHT\)/,
  );
  admit(1, 'c');
  expect(() => admit(1, 'd')).toThrow(
    /4 uploads are being received or processed; the limit is 4 \(MAX_UPLOADS_IN_FLIGHT\)\. Try again in 2 s\.$/,
  );
});

test('always admits a single upload, however large it is', () => {
  expect(() => makeTestAdmission({ maxUploadBytesInFlight: 10 }).admit(1_000)).not.toThrow();
});

test('refuses uploads and uncached renditions before other requests', async () => {
  const load = { eventLoopDelayMs: 1_500 };
  const { admit, admission } = makeTestAdmission({}, load);
  expect(() => admit(1)).toThrow(/delay of 1500 ms; the limit is 1000 ms \(MAX_EVENT_LOOP_DELAY_MS\)/);
  await expect(admission.runColdRead('a', () => Promise.resolve('read'))).rejects.toThrow(/1500 ms/);
  expect(() => admission.assertQueueIsShort('import', null)).toThrow(/1500 ms/);
  admission.admitOther();
  load.eventLoopDelayMs = 5_000;
  expect(() => admission.admitOther()).toThrow(
    /5000 ms; the limit is 4000 ms \(4 times MAX_EVENT_LOOP_DELAY_MS\)/,
  );
});

test('limits the renditions that are loaded at the same time', async () => {
  const { admission } = makeTestAdmission({ maxColdReads: 1 });
  const { promise, resolve } = Promise.withResolvers<string>();
  const first = admission.runColdRead('a', () => promise);
  await expect(admission.runColdRead('a', () => Promise.resolve('second'))).rejects.toMatchObject({
    code: 'overloaded',
    retryAfterSeconds: 1,
  });
  resolve('first');
  await expect(first).resolves.toBe('first');
  await expect(admission.runColdRead('a', () => Promise.resolve('third'))).resolves.toBe('third');
});

test('asks a refused caller to wait for about as long as a rendition takes', async () => {
  const { admission } = makeTestAdmission({ maxColdReads: 1 });
  const read = () => admission.runColdRead('a', () => promise);
  let { promise, resolve } = Promise.withResolvers<void>();
  vi.useFakeTimers({ toFake: ['performance'] });
  onTestFinished(() => void vi.useRealTimers());
  for (let count = 0; count < 30; count++) {
    const running = read();
    vi.advanceTimersByTime(4_500);
    resolve();
    await running;
    ({ promise, resolve } = Promise.withResolvers<void>());
  }
  const running = read();
  await expect(read()).rejects.toMatchObject({ code: 'overloaded', retryAfterSeconds: 5 });
  resolve();
  await running;
});

test('names the settings if no upload may wait', () => {
  const full = makeTestAdmission({ maxActiveUploads: 1, maxWaitingUploads: 0 });
  full.admit(1);
  expect(() => full.admit(1, 'b')).toThrow(
    'The server is overloaded. 1 upload is being processed (MAX_ACTIVE_UPLOADS = 1) and 0 are waiting (MAX_WAITING_UPLOADS = 0). Try again in 2 s.',
  );
});

test('logs refusals at most once in ten seconds for each reason', () => {
  const { admit, logger } = makeTestAdmission({ maxUploadsInFlight: 1 });
  admit(1);
  for (let count = 0; count < 50; count += 1) expect(() => admit(1)).toThrow('overloaded');
  expect(logger.messages()).toHaveLength(1);
  expect(logger.messages('warn')[0]).toMatch(/^overloaded, refusing requests: 1 upload is being received/);
});

test.each(['import', 'derive'] as const)(
  'a long queue of %s jobs locks out only the tenant that fills it',
  (kind) => {
    const limits = { maxQueuedJobs: 100, maxQueueAgeMs: 60_000 };
    const queue: [number, number, number][] = [
      [1, 150, 50],
      [2, 20, 5],
    ];
    const { admission } = makeTestAdmission(limits, { queue });
    expect(() => admission.assertQueueIsShort(kind, 1)).toThrow(/contains 170 .* jobs; the limit is 100/);
    expect(() => admission.assertQueueIsShort(kind, null)).toThrow(/contains 170 .* jobs; the limit is 100/);
    expect(() => admission.assertQueueIsShort(kind, 2)).not.toThrow();
    expect(() => admission.assertQueueIsShort(kind, 3)).not.toThrow();
    queue[1] = [2, 51, 5];
    expect(() => admission.assertQueueIsShort(kind, 2)).toThrow(/contains 201/);
  },
);

test('jobs of a different tenant may wait for as long as they like', () => {
  const { admission } = makeTestAdmission({ maxQueueAgeMs: 60_000 }, { queue: [[1, 5, 90]] });
  expect(() => admission.assertQueueIsShort('import', 1)).toThrow(/waiting for 90 s; the limit is 60 s/);
  expect(() => admission.assertQueueIsShort('import', null)).toThrow(/waiting for 90 s; the limit is 60 s/);
  expect(() => admission.assertQueueIsShort('import', 2)).not.toThrow();
});

test('one caller cannot lock the others out of the renditions that are not cached', async () => {
  const { admission } = makeTestAdmission({ maxColdReads: 4 });
  const { promise, resolve } = Promise.withResolvers<string>();
  const read = (caller: string) => admission.runColdRead(caller, () => promise);
  const reads = [read('a'), read('a'), read('a'), read('a')];
  await expect(read('a')).rejects.toThrow(
    /4 renditions are being loaded from storage, 4 of them for this caller; the limit is 4 \(MAX_COLD_READS\)/,
  );
  reads.push(read('b'), read('b'));
  await expect(read('b')).rejects.toThrow(/6 renditions are being loaded from storage, 2 of them/);
  reads.push(read('c'));
  await expect(read('c')).rejects.toThrow(/1 of them/);
  resolve('read');
  await expect(Promise.all(reads)).resolves.toHaveLength(7);
  await expect(read('a')).resolves.toBe('read');
});
