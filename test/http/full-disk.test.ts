import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { AppError, asAppError } from '../../src/errors.ts';
import { makeReceiveUploadForm } from '../../src/http/bodies/upload-form.ts';
import { makeStaging } from '../../src/storage/staging.ts';
import { makeTestFolder } from '../support/inner/folders.ts';
import { form } from '../support/process/client.ts';

/** Creates a staging area on a disk that fills up while a file is received. Removing the partial file takes a moment. */
async function makeFullStaging() {
  return {
    ...makeStaging(await makeTestFolder()),
    async receive(source: AsyncIterable<Buffer>): Promise<never> {
      for await (const chunk of source) if (chunk.length > 0) break;
      await sleep(20);
      throw new AppError('storage_full', 'The storage disk is full.');
    },
  };
}

test('reports a full disk instead of a truncated form if the disk fills up while a file is received', async () => {
  const receive = makeReceiveUploadForm({
    staging: await makeFullStaging(),
    assertFreeSpace: () => Promise.resolve(),
    maxBytes: 2 ** 20,
    idleMs: 5_000,
  });
  const server = createServer((request, response) => {
    void receive(request).catch((error: unknown) => response.end(asAppError(error).code));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const body = form(['file', new Uint8Array(400_000).fill(1)]);
  const result = await fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body });
  expect(await result.text()).toBe('storage_full');
});
