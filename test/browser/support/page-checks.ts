import type { Page } from 'playwright-core';

/** Text with insufficient contrast. */
export interface LowContrastText {
  readonly text: string;
  readonly ratio: number;
}

/**
 * A script that finds visible text with less contrast than WCAG level AA requires. It is a string because tests are compiled
 * without DOM types.
 */
const lowContrastScript = `(() => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const parsedColors = new Map();
  const parse = (color) => {
    if (parsedColors.has(color)) return parsedColors.get(color);
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    parsedColors.set(color, [r, g, b, a / 255]);
    return [r, g, b, a / 255];
  };
  const blend = ([r, g, b, a], below) => [r, g, b].map((c, i) => c * a + below[i] * (1 - a)).concat(1);
  const luminance = (color) => {
    const [r, g, b] = color.slice(0, 3).map((c) => (c /= 255) <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const backdrop = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
    const base = parse(matchMedia('(prefers-color-scheme: dark)').matches ? '#121212' : '#fff');
    return layers.reduceRight((below, layer) => blend(layer, below), base);
  };
  const results = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.data.trim();
    const element = walker.currentNode.parentElement;
    if (text === '' || /^(script|style|option)$/i.test(element.tagName) || !element.checkVisibility({ visibilityProperty: true })) continue;
    const style = getComputedStyle(element);
    const below = backdrop(element);
    const [low, high] = [luminance(below), luminance(blend(parse(style.color), below))].sort((a, b) => a - b);
    const ratio = (high + 0.05) / (low + 0.05);
    const size = parseFloat(style.fontSize);
    const isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (ratio < (isLarge ? 3 : 4.5)) results.push({ text: text.slice(0, 60), ratio: Math.round(ratio * 100) / 100 });
  }
  return results;
})()`;

/** Returns a page’s visible texts that have insufficient contrast. */
export function findLowContrast(page: Page): Promise<readonly LowContrastText[]> {
  return page.evaluate(lowContrastScript);
}

/** Returns the number of pixels by which the page overflows its window horizontally. */
export function measureOverflow(page: Page): Promise<number> {
  return page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
}

/**
 * Presses Tab until an element that matches `selector` has focus. Returns the number of presses, or `undefined` if
 * more than `maxPresses` are necessary.
 */
export async function focusWithTab(
  page: Page,
  selector: string,
  maxPresses: number,
): Promise<number | undefined> {
  for (let presses = 1; presses <= maxPresses; presses += 1) {
    await page.keyboard.press('Tab');
    if (await page.evaluate(`document.activeElement.matches(${JSON.stringify(selector)})`)) return presses;
  }
  return undefined;
}
