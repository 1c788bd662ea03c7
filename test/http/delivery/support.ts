import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import type { ApiResponse } from '../../support/process/client.ts';
import { waitTimeoutMs } from '../../support/time-scale.ts';

/** Presets with every kind of format and density. */
export const presets = {
  thumb: [100, 100],
  card: [400, 400],
  square: { width: 200, height: 200, fit: 'pad', densities: [1, 2, 3] },
  tile: { width: 150, height: 100, fit: 'cover', formats: ['webp', 'jpeg'] },
  cutout: { width: 120, height: 120, fit: 'pad', background: 'transparent' },
  modern: { width: 90, height: 90, formats: ['webp'], eager: false },
};

/** Settings with these presets. */
export const presetSettings = { PRESETS: JSON.stringify(presets) };

export const cacheControls = {
  immutable: 'public, max-age=31536000, immutable',
  current: 'public, max-age=300, stale-while-revalidate=86400',
  interim: 'public, max-age=10',
};

/** What a current Chrome sends for pictures. */
export const chrome = 'image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8';

/** Returns the format of a picture, from its first bytes. */
export function formatOf(bytes: Buffer): string {
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return 'jpeg';
  if (bytes.toString('latin1', 1, 4) === 'PNG') return 'png';
  if (bytes.toString('latin1', 8, 12) === 'WEBP') return 'webp';
  return bytes.toString('latin1', 4, 12) === 'ftypavif' ? 'avif' : 'unknown';
}

/** Returns the width and height of a picture. */
export async function sizeOf(bytes: Buffer): Promise<[number, number]> {
  const { width, height } = await sharp(bytes).metadata();
  return [width, height];
}

/** Returns the value of a header; empty if it is missing. */
export function headerOf({ headers }: Pick<ApiResponse, 'headers'>, name: string): string {
  return headers.get(name) ?? '';
}

/** Repeats a request until the response passes. @throws if it does not within the time limit. */
export async function waitFor<T>(send: () => Promise<T>, passes: (response: T) => boolean): Promise<T> {
  const deadline = performance.now() + waitTimeoutMs;
  for (;;) {
    const response = await send();
    if (passes(response)) return response;
    if (performance.now() > deadline) throw new Error('No response has passed within the time limit.');
    await sleep(100);
  }
}
