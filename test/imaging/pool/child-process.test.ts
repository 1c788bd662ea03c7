import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { makePictureFolder } from './setup.ts';

const execFileAsync = promisify(execFile);
const poolModule = pathToFileURL(join(import.meta.dirname, '../../../src/imaging/pool/decoder-pool.ts')).href;
const linuxOnly = process.platform === 'linux' ? test : test.skip;

/** Runs `body` in a separate process that has started a `pool`. Returns the output of the process. */
async function runInProcess(body: string): Promise<string> {
  const program = `
    import { makeDecoderPool } from ${JSON.stringify(poolModule)};
    const ignore = () => undefined;
    const logger = { debug: ignore, info: ignore, warn: ignore, error: ignore };
    const pool = makeDecoderPool({ size: 1, timeoutMs: 5000, probeTimeoutMs: 5000, memoryMb: 1024, maxTasksPerChild: 9, logger });
    const limits = { maxPixels: 50e6, maxAvifPixels: 24e6, maxFrames: 100, allowedFormats: ['jpeg'] };
    pool.start();
    ${body}`;
  const { stdout } = await execFileAsync(process.execPath, ['--input-type=module', '-e', program], {
    env: { SECRET_KEY: 'do-not-tell', HOME: '/nowhere' },
    timeout: 10_000,
  });
  return stdout;
}

test('allows the program to exit without closing the pool', async () => {
  const folder = await makePictureFolder('good.jpg');
  const path = JSON.stringify(join(folder, 'good.jpg'));
  const output = await runInProcess(`console.log((await pool.probe({ path: ${path}, limits })).width);`);
  expect(output.trim()).toBe('300');
});

linuxOnly(
  'does not load the native decoder in the parent, and hides the environment from children',
  async () => {
    const folder = await makePictureFolder('good.jpg');
    const output = await runInProcess(`
    await pool.probe({ path: ${JSON.stringify(join(folder, 'good.jpg'))}, limits });
    const { readFileSync } = await import('node:fs');
    const pids = readFileSync('/proc/self/task/' + process.pid + '/children', 'utf8').trim().split(' ');
    console.log(JSON.stringify({
      pids,
      parentLoadsDecoder: readFileSync('/proc/self/maps', 'utf8').includes('libvips'),
      childLoadsDecoder: readFileSync('/proc/' + pids[0] + '/maps', 'utf8').includes('libvips'),
      environment: pids.map((pid) => readFileSync('/proc/' + pid + '/environ', 'utf8')).join(),
    }));`);
    const report = JSON.parse(output) as Record<string, unknown> & { pids: string[]; environment: string };
    expect(report).toMatchObject({ parentLoadsDecoder: false, childLoadsDecoder: true });
    expect(report.environment).not.toContain('do-not-tell');
    await expect.poll(() => listRunningChildren(report.pids)).toEqual([]);
  },
);

linuxOnly('gives the children a lower priority than the parent', async () => {
  const folder = await makePictureFolder('good.jpg');
  const output = await runInProcess(`
    await pool.probe({ path: ${JSON.stringify(join(folder, 'good.jpg'))}, limits });
    const { readFileSync } = await import('node:fs');
    const { getPriority } = await import('node:os');
    const pids = readFileSync('/proc/self/task/' + process.pid + '/children', 'utf8').trim().split(' ');
    console.log(JSON.stringify([getPriority(), ...pids.map((pid) => getPriority(Number(pid)))]));`);
  const [parent = 0, ...children] = JSON.parse(output) as number[];
  expect(new Set(children)).toEqual(new Set([Math.min(parent + 5, 19)]));
});

/** Returns the command lines of the children that are still running. All children must exit with their parent. */
async function listRunningChildren(pids: readonly string[]): Promise<string[]> {
  const commands = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  );
  return commands.filter((command) => command.includes('child'));
}
