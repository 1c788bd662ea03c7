import { mkdir } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
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

  /** Opens a page. When the test ends, expects that there were no errors and no requests to other hosts. */
  async function openPage(
    path: string,
    readySelector: string,
    width = 1440,
    scheme: 'light' | 'dark' = 'light',
  ) {
    const page = await browser.context.newPage();
    const problems: string[] = [];
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') problems.push(message.text());
    });
    page.on('pageerror', (error) => problems.push(String(error)));
    page.on('requestfailed', (request) => problems.push(`failed: ${request.url()}`));
    page.on('request', (request) => {
      if (!request.url().startsWith('data:') && new URL(request.url()).origin !== server().url)
        problems.push(`other host: ${request.url()}`);
    });
    onTestFinished(async () => {
      await page.close();
      expect(problems).toEqual([]);
    });
    await page.emulateMedia({ colorScheme: scheme });
    await page.setViewportSize({ width, height: 900 });
    await page.goto(`${server().url}${path}`);
    await page.locator(readySelector).first().waitFor();
    return page;
  }

  const screenshot = (page: Page, name: string) =>
    page.screenshot({ path: `${screenshotFolder}${name}.png` });

  describe('/redoc', () => {
    test.each(schemes.flatMap((scheme) => widths.map((width) => [scheme, width] as const)))(
      'is readable in %s at %i px',
      async (scheme, width) => {
        const page = await openPage('/redoc', 'main', width, scheme);
        await screenshot(page, `redoc-${scheme}-${width}`);
        expect(await measureOverflow(page)).toBeLessThanOrEqual(0);
        expect(await findLowContrast(page)).toEqual([]);
        expect(await page.title()).toBe('Vitrine API');
        expect(await page.locator('header .brand').innerText()).toBe('Vitrine');
        await page.locator('#post-v1-images').scrollIntoViewIfNeeded();
        await screenshot(page, `redoc-call-${scheme}-${width}`);
        await page.evaluate(
          "document.querySelectorAll('details').forEach((details) => (details.open = true))",
        );
        expect(await measureOverflow(page)).toBeLessThanOrEqual(0);
        expect(await findLowContrast(page)).toEqual([]);
      },
    );

    test.each(widths)('keeps status codes on one line at %i px', async (width) => {
      const page = await openPage('/redoc', 'main', width);
      const statuses = await page.locator('.status').all();
      expect(statuses.length).toBeGreaterThan(100);
      const maxHeight: number = await page.evaluate(
        "Math.max(...[...document.querySelectorAll('.status')].map((status) => { const range = document.createRange(); range.selectNodeContents(status); return range.getBoundingClientRect().height; }))",
      );
      expect(maxHeight).toBeLessThan(30);
    });

    test('makes the content and the navigation reachable by keyboard', async () => {
      const page = await openPage('/redoc', 'main');
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
    test.each(schemes.flatMap((scheme) => widths.map((width) => [scheme, width] as const)))(
      'is readable and shows the product name in %s at %i px',
      async (scheme, width) => {
        const page = await openPage('/docs', '.opblock', width, scheme);
        const logo = page.locator('.topbar a.link img');
        await logo.waitFor();
        await screenshot(page, `docs-${scheme}-${width}`);
        expect(await page.title()).toBe('Vitrine API');
        expect(await logo.getAttribute('alt')).toBe('Vitrine');
        expect(await page.locator('.topbar a.link svg').count()).toBe(0);
        expect(await page.locator('link[rel=icon]').getAttribute('href')).toContain('favicon.svg');
        expect(await page.locator('meta[name=viewport]').count()).toBe(1);
        expect(await measureOverflow(page)).toBeLessThanOrEqual(0);
        expect(await findLowContrast(page)).toEqual([]);
        await page.locator('.opblock-summary-control').first().click();
        await page.locator('.opblock-body').first().waitFor();
        await screenshot(page, `docs-call-${scheme}-${width}`);
        expect(await measureOverflow(page)).toBeLessThanOrEqual(0);
        expect(await findLowContrast(page)).toEqual([]);
      },
    );

    test('makes the operations reachable by keyboard', async () => {
      const page = await openPage('/docs', '.opblock');
      expect(await focusWithTab(page, '.opblock-summary-control', 12)).toBeDefined();
    });
  });
});
