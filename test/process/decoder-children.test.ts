import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { call, upload, uploadQueued } from '../support/process/client.ts';
import { jpeg } from '../support/process/pictures.ts';
import { startServer } from '../support/process/server.ts';

/** Returns the pids of the running processes in a process group. */
function findRunningPids(group: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const [, fields = ''] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ');
        const [state, , processGroup] = fields.split(' ');
        return Number(processGroup) === group && state !== 'Z' && state !== 'X';
      } catch {
        return false;
      }
    });
}

test.runIf(process.platform === 'linux')(
  'leaves no decoder children running when the server is killed',
  async () => {
    const server = await startServer({ WORKER_CONCURRENCY: '2' });
    const pictures = await Promise.all(Array.from({ length: 4 }, (_, i) => jpeg(`child ${i}`, 2400, 1600)));
    await Promise.all(pictures.map((bytes) => uploadQueued(server.url, bytes)));
    expect(findRunningPids(server.pid).length).toBeGreaterThan(2);
    await server.kill9('server');
    await expect.poll(() => findRunningPids(server.pid)).toEqual([]);
  },
);

test.runIf(process.platform === 'linux')(
  'leaves no processes running after the server is stopped',
  async () => {
    const server = await startServer({ WORKER_CONCURRENCY: '2' });
    expect((await upload(server.url, await jpeg('stop'))).status).toBe(201);
    expect(await server.stop()).toMatchObject({ code: 0 });
    expect(findRunningPids(server.pid)).toEqual([]);
  },
);

test.runIf(process.platform === 'linux')(
  'accepts a repeated upload of every picture after decoder children were killed',
  async () => {
    const pictureCount = 5;
    const server = await startServer({ WORKER_CONCURRENCY: '2' });
    const uploads = Array.from({ length: pictureCount }, async (_, i) =>
      upload(server.url, await jpeg(`kill ${i}`, 2000, 1500)),
    );
    for (let kills = 0; kills < 3; kills += 1) {
      const children = findRunningPids(server.pid).filter((pid) => pid !== server.pid);
      if (children[0] !== undefined)
        process.kill(children[kills % children.length] ?? children[0], 'SIGKILL');
      await new Promise((resolve) => setTimeout(resolve, 150));
    }
    // An upload is rejected if two children were killed while they decoded its picture, but the picture can be uploaded
    // again.
    for (const { status } of await Promise.all(uploads)) expect(status).toBeOneOf([201, 202, 400]);
    for (let i = 0; i < pictureCount; i += 1) {
      const repeatedUpload = await upload(server.url, await jpeg(`kill ${i}`, 2000, 1500));
      expect(repeatedUpload.status).toBeOneOf([200, 201]);
      expect(repeatedUpload.body.renditions).toHaveLength(3);
    }
    expect((await call(`${server.url}/v1/images`)).body).toMatchObject({ total: pictureCount });
  },
);
