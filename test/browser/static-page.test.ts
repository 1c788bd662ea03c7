import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { upload } from '../support/process/client.ts';
import { makeFolder, removeFolder } from '../support/process/data-folder.ts';
import { jpeg } from '../support/process/pictures.ts';
import { useServer } from '../support/process/server.ts';
import { type Browser, chromiumPath, launchChromium } from './support/chromium.ts';

const run = promisify(execFile);
const script = fileURLToPath(new URL('../../examples/static-page/build.js', import.meta.url));

interface ShownImage {
  readonly currentSrc: string;
  readonly naturalWidth: number;
  readonly width: number;
  readonly height: number;
}

describe.runIf(chromiumPath)('the static page of the example', { timeout: 90_000 }, () => {
  const server = useServer({
    PRESETS:
      '{"card":{"width":200,"height":200,"densities":[1,2]},"clear":{"width":100,"height":100,"background":"transparent"}}',
  });
  let browser: Browser;
  let folder: string;
  const site = createServer((request, response) => {
    if (request.url === '/favicon.ico') {
      response.writeHead(204).end();
      return;
    }
    readFile(join(folder, (request.url ?? '').slice(1))).then(
      (page) => response.setHeader('content-type', 'text/html').end(page),
      () => response.writeHead(404).end(),
    );
  });
  beforeAll(async () => {
    folder = await makeFolder();
    browser = await launchChromium();
    await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
    for (const seed of ['one', 'two']) await upload(server().url, await jpeg(`page ${seed}`, 500, 400));
  });
  afterAll(async () => {
    await browser.close();
    site.close();
    await removeFolder(folder);
  });

  async function open(preset: string): Promise<{ images: ShownImage[]; problems: string[] }> {
    const file = `${preset}.html`;
    const { stdout } = await run(process.execPath, [
      script,
      '--server',
      server().url,
      '--preset',
      preset,
      '--output',
      join(folder, file),
    ]);
    expect(stdout).toContain('2 pictures');
    const page = await browser.context.newPage();
    const problems: string[] = [];
    page.on('console', (message) => {
      if (message.type() === 'error') problems.push(message.text());
    });
    page.on('requestfailed', (request) => problems.push(`failed: ${request.url()}`));
    // A different origin from that of the pictures, and not the same site either.
    await page.goto(`http://localhost:${(site.address() as AddressInfo).port}/${file}`);
    await page.waitForFunction(
      'document.images.length > 0 && [...document.images].every((image) => image.complete)',
    );
    const images = await page.evaluate<ShownImage[]>(
      '[...document.images].map(({ currentSrc, naturalWidth, width, height }) => ({ currentSrc, naturalWidth, width, height }))',
    );
    await page.close();
    return { images, problems };
  }

  test('shows the smallest format that the browser reads, in its real size', async () => {
    const { images, problems } = await open('card');
    expect(problems).toEqual([]);
    expect(images).toHaveLength(2);
    for (const { currentSrc, naturalWidth, width, height } of images) {
      expect(currentSrc).toMatch(/\/i\/[0-9a-f-]{36}\/card\.[0-9a-f]{10}\.avif$/);
      expect([naturalWidth, width, height]).toEqual([200, 200, 160]);
    }
  });

  test('also shows presets without a JPEG', async () => {
    const { images, problems } = await open('clear');
    expect(problems).toEqual([]);
    for (const { currentSrc, naturalWidth } of images) {
      expect(currentSrc).toMatch(/\/clear\.[0-9a-f]{10}\.avif$/);
      expect(naturalWidth).toBe(100);
    }
  });
});
