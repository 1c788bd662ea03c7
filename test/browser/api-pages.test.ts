import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Locator, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { useServer } from '../support/process/server.ts';
import { type Browser, chromiumPath, launchChromium } from './support/chromium.ts';
import { findLowContrast, measureOverflow, focusWithTab } from './support/page-checks.ts';

const screenshotFolder = fileURLToPath(new URL('../../test-output/api-pages/', import.meta.url));
const widths = [390, 768, 1440];
const schemes = ['light', 'dark'] as const;

describe.runIf(chromiumPath)('API pages in a browser', { timeout: 90_000 }, () => {
  const server = useServer();
  let browser: Browser;
  beforeAll(async () => {
    await mkdir(screenshotFolder, { recursive: true });
    browser = await launchChromium();
  });
  afterAll(() => browser.close());

  /**
   * Opens `path` once for all tests in a `describe` block, because loading the page takes longer than a test.
   * After each test, expects that there were no errors and no requests to other hosts.
   */
  function usePage(path: string, readySelector: string): () => Page {
    let page: Page;
    const problems: string[] = [];
    beforeAll(async () => {
      page = await browser.context.newPage();
      page.on('console', (message) => {
        if (message.type() === 'error' || message.type() === 'warning') problems.push(message.text());
      });
      page.on('pageerror', (error) => problems.push(String(error)));
      page.on('requestfailed', (request) => problems.push(`failed: ${request.url()}`));
      page.on('request', (request) => {
        if (!request.url().startsWith('data:') && new URL(request.url()).origin !== server().url)
          problems.push(`other host: ${request.url()}`);
      });
      await page.goto(`${server().url}${path}`);
      await page.locator(readySelector).first().waitFor();
    });
    afterAll(() => page.close());
    afterEach(() => expect(problems.splice(0)).toEqual([]));
    return () => page;
  }

  async function resize(page: Page, width: number, colorScheme: 'light' | 'dark' = 'light'): Promise<void> {
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 900 });
  }

  const takeScreenshot = (page: Page, name: string) =>
    page.screenshot({ path: `${screenshotFolder}${name}.png` });

  describe('/redoc', () => {
    const redoc = usePage('/redoc', 'main');
    const setDetailsOpen = (isOpen: boolean) =>
      redoc().evaluate(
        `document.querySelectorAll('details').forEach((details) => (details.open = ${isOpen}))`,
      );

    test.each(schemes.flatMap((scheme) => widths.map((width) => [scheme, width] as const)))(
      'is readable in %s mode at a width of %i px',
      async (scheme, width) => {
        const page = redoc();
        await setDetailsOpen(false);
        await resize(page, width, scheme);
        await takeScreenshot(page, `redoc-${scheme}-${width}`);
        expect(await measureOverflow(page)).toBeLessThanOrEqual(0);
        expect(await findLowContrast(page)).toEqual([]);
        expect(await page.title()).toBe('Vitrine API');
        expect(await page.locator('header .brand').innerText()).toBe('Vitrine');
        await page.locator('#post-v1-images').scrollIntoViewIfNeeded();
        await takeScreenshot(page, `redoc-call-${scheme}-${width}`);
        await setDetailsOpen(true);
        expect(await measureOverflow(page)).toBeLessThanOrEqual(0);
        expect(await findLowContrast(page)).toEqual([]);
      },
    );

    test.each(widths)('keeps status codes on one line at a width of %i px', async (width) => {
      const page = redoc();
      await resize(page, width);
      const statuses = await page.locator('.status').all();
      expect(statuses.length).toBeGreaterThan(100);
      const maxHeight: number = await page.evaluate(
        "Math.max(...[...document.querySelectorAll('.status')].map((status) => { const range = document.createRange(); range.selectNodeContents(status); return range.getBoundingClientRect().height; }))",
      );
      expect(maxHeight).toBeLessThan(30);
    });

    test('makes the content and the navigation reachable by keyboard', async () => {
      const page = redoc();
      await page.reload();
      expect(await focusWithTab(page, '.skip', 1)).toBe(1);
      await page.keyboard.press('Enter');
      expect(await page.evaluate('document.activeElement.id')).toBe('content');
      await page.reload();
      expect(await focusWithTab(page, 'nav a', 8)).toBeDefined();
      await page.keyboard.press('Enter');
      expect(new URL(page.url()).hash).not.toBe('');
    });
  });

  describe('/docs', () => {
    const docs = usePage('/docs', '.opblock');

    async function openKeyForm(page: Page): Promise<Locator> {
      await page.locator('.auth-wrapper .btn.authorize').first().click();
      const dialog = page.locator('.modal-ux');
      await dialog.waitFor();
      return dialog;
    }

    test.each(schemes.flatMap((scheme) => widths.map((width) => [scheme, width] as const)))(
      'is readable and shows the product name in %s mode at a width of %i px',
      async (scheme, width) => {
        const page = docs();
        await resize(page, width, scheme);
        const logo = page.locator('.topbar a.link img');
        await logo.waitFor();
        await takeScreenshot(page, `docs-${scheme}-${width}`);
        expect(await page.title()).toBe('Vitrine API');
        expect(await logo.getAttribute('alt')).toBe('Vitrine');
        expect(await page.locator('.topbar a.link svg').count()).toBe(0);
        expect(await page.locator('link[rel=icon]').getAttribute('href')).toContain('favicon.svg');
        expect(await page.locator('meta[name=viewport]').count()).toBe(1);
        expect(await measureOverflow(page)).toBeLessThanOrEqual(0);
        expect(await findLowContrast(page)).toEqual([]);
        const firstOperation = page.locator('.opblock-summary-control').first();
        await firstOperation.click();
        await page.locator('.opblock-body').first().waitFor();
        await takeScreenshot(page, `docs-call-${scheme}-${width}`);
        expect(await measureOverflow(page)).toBeLessThanOrEqual(0);
        expect(await findLowContrast(page)).toEqual([]);
        await firstOperation.click();
        await page.locator('.opblock-body').first().waitFor({ state: 'detached' });
      },
    );

    test.each(schemes)('shows a readable form for a key in %s mode', async (scheme) => {
      const page = docs();
      await resize(page, 1440, scheme);
      // Swagger UI selects its colour scheme when it is loaded.
      await page.reload();
      await page.locator('.opblock').first().waitFor();
      const dialog = await openKeyForm(page);
      await takeScreenshot(page, `docs-key-${scheme}`);
      expect(await findLowContrast(page)).toEqual([]);
      await dialog.locator('.btn-done').first().click();
      await dialog.waitFor({ state: 'detached' });
    });

    test('makes the operations reachable by keyboard', async () => {
      const page = docs();
      await page.reload();
      await page.locator('.opblock').first().waitFor();
      expect(await focusWithTab(page, '.opblock-summary-control', 12)).toBeDefined();
    });

    test('sends the key that the reader enters, and stores it nowhere', async () => {
      const page = docs();
      const key = 'key-of-the-reader-0123456789';
      const dialog = await openKeyForm(page);
      await dialog.locator('input').first().fill(key);
      await dialog.locator('.btn.authorize').first().click();
      await dialog.locator('.btn-done').first().click();
      const operation = page.locator('#operations-Images-get_v1_images');
      await operation.locator('.opblock-summary-control').click();
      const sent = page.waitForRequest((request) => new URL(request.url()).pathname === '/v1/images');
      await operation.locator('.btn.execute').click();
      const request = await sent;
      expect(await request.headerValue('authorization')).toBe(`Bearer ${key}`);
      expect(request.url() + page.url()).not.toContain(key);
      const stored = 'JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])';
      expect(await page.evaluate(stored)).not.toContain(key);
    });
  });
});
