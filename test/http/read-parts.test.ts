import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { readParts } from '../../src/http/bodies/read-parts.ts';

test('reads a whole file if the handler starts reading after the form has arrived', async () => {
  const head = '--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n';
  const form = Buffer.concat([Buffer.from(head), Buffer.alloc(200_000), Buffer.from('\r\n--b--')]);
  async function* chunks() {
    yield form.subarray(0, 100_000);
    await setImmediate();
    yield form.subarray(100_000);
    await setImmediate();
  }
  const request = Object.assign(Readable.from(chunks(), { objectMode: false }), {
    headers: { 'content-type': 'multipart/form-data; boundary=b' },
    complete: true,
  }) as unknown as IncomingMessage;
  let bytes = 0;
  const limits = { parts: 1, bodyBytes: form.length, idleMs: 2_000 };
  const { ended } = readParts(request, limits, async (_head, body) => {
    await setTimeout(50);
    for await (const chunk of body as AsyncIterable<Buffer>) bytes += chunk.length;
  });
  await ended;
  expect(bytes).toBe(200_000);
});
