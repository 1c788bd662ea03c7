import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { call, upload, uploadQueued } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { startServer } from '../support/process/server.ts';

/** Returns the pids of the running processes in a process group. */
function runningInGroup(group: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const [, rest = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
        const [state, , processGroup] = rest.split(' ');
        return Number(processGroup) === group && state !== 'Z' && state !== 'X';
      } catch {
        return false;
      }
    });
}

test.runIf(process.platform === 'linux')(
  'ends the decoder children when their server is killed',
  async () => {
    const server = await startServer({ WORKER_CONCURRENCY: '2' });
    const pictures = await Promise.all(Array.from({ length: 4 }, (_, i) => jpeg(`child ${i}`, 2400, 1600)));
    await Promise.all(pictures.map((bytes) => uploadQueued(server.url, bytes)));
    expect(runningInGroup(server.pid).length).toBeGreaterThan(2);
    await server.kill9('server');
    await expect.poll(() => runningInGroup(server.pid)).toEqual([]);
  },
);

test.runIf(process.platform === 'linux')('leaves no process behind after a stop', async () => {
  const server = await startServer({ WORKER_CONCURRENCY: '2' });
  expect((await upload(server.url, await jpeg('stop'))).status).toBe(201);
  expect(await server.stop()).toMatchObject({ code: 0 });
  expect(runningInGroup(server.pid)).toEqual([]);
});

test.runIf(process.platform === 'linux')('loses no picture when a decoder child is killed', async () => {
  const pictures = 5;
  const server = await startServer({ WORKER_CONCURRENCY: '2' });
  const sent = Array.from({ length: pictures }, async (_, i) =>
    upload(server.url, await jpeg(`kill ${i}`, 2000, 1500)),
  );
  for (let kills = 0; kills < 3; kills += 1) {
    const children = runningInGroup(server.pid).filter((pid) => pid !== server.pid);
    if (children[0] !== undefined) process.kill(children[kills % children.length] ?? children[0], 'SIGKILL');
    await new Promise((resolve) => setTimeout(resolve, 150));
  }
  // A picture whose decoder dies twice is rejected as the cause; it can be uploaded again.
  for (const { status } of await Promise.all(sent)) expect(status).toBeOneOf([201, 202, 400]);
  for (let i = 0; i < pictures; i += 1) {
    const second = await upload(server.url, await jpeg(`kill ${i}`, 2000, 1500));
    expect(second.status).toBeOneOf([200, 201]);
    expect(second.body.renditions).toHaveLength(3);
  }
  expect((await call(`${server.url}/v1/images`)).body).toMatchObject({ total: pictures });
});
