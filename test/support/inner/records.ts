import { createHash } from 'node:crypto';
import type { NewUpload } from '../../../src/db/intake.ts';
import type { PictureFacts } from '../../../src/model/picture.ts';
import type { NewRendition } from '../../../src/model/rendition.ts';
import { originalKey, renditionKey } from '../../../src/storage/keys.ts';

/** SHA-256 of a text, hexadecimal. */
export function hashOf(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex');
}

const facts: PictureFacts = {
  format: 'jpeg',
  width: 300,
  height: 200,
  frames: 1,
  colorSpace: 'RGB',
  hasAlpha: false,
  bitDepth: 8,
};

/** An upload of some content, as it is recorded; nothing of it lies in storage. */
export function uploadOf(tenantId: number, content: string, more: Partial<NewUpload> = {}): NewUpload {
  const contentHash = hashOf(content);
  return {
    tenantId,
    contentHash,
    filename: `${content}.jpg`,
    originalKey: originalKey(tenantId, contentHash),
    bytes: 1000,
    facts,
    priority: 50,
    ...more,
  };
}

/** A rendition of that content, as it is recorded. */
export function renditionOf(tenantId: number, content: string, preset: string, bytes = 100): NewRendition {
  const recipe = '0123456789';
  return {
    preset,
    recipe,
    storageKey: renditionKey(tenantId, hashOf(content), preset, recipe),
    contentHash: hashOf(`${content} ${preset}`),
    bytes,
    width: 100,
    height: 67,
    quality: 85,
    format: 'jpeg',
  };
}
