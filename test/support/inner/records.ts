import { systemPrincipal } from '../../../src/model/principal.ts';
import { createHash } from 'node:crypto';
import type { DerivedFacts } from '../../../src/db/jobs/complete.ts';
import type { NewUpload } from '../../../src/db/jobs/enqueue.ts';
import type { FetchedContent } from '../../../src/db/jobs/attach-content.ts';
import { embeddingSpace, fingerprintVersion } from '../../../src/model/fingerprint.ts';
import type { IntakeFacts } from '../../../src/model/intake-facts.ts';
import type { NearDuplicate } from '../../../src/model/image.ts';
import type { PictureFacts } from '../../../src/model/picture.ts';
import type { NewRendition } from '../../../src/model/rendition.ts';
import { originalKey, renditionKey } from '../../../src/storage/keys.ts';

/** Returns the hexadecimal SHA-256 of a string or of bytes. */
export function sha256Hex(content: string | Uint8Array): string {
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

/** Facts of a crisp picture of a product on white. */
export const intakeFacts: IntakeFacts = {
  sharpness: 90,
  exposure: { lightness: 50, clippedShadows: 0, clippedHighlights: 0 },
  background: { kind: 'white', color: '#ffffff', whiteShare: 1, plainShare: 1 },
  fill: 0.4,
  product: { left: 0.2, top: 0.2, width: 0.6, height: 0.7 },
  borders: { left: 0, top: 0, right: 0, bottom: 0 },
  upscaled: false,
  compression: { jpegQuality: 85, blockiness: 0.1, heavy: false },
  grey: false,
};

/** Returns an upload record. No file is stored. */
export function makeUpload(tenantId: number, content: string, overrides: Partial<NewUpload> = {}): NewUpload {
  const contentHash = sha256Hex(content);
  return {
    actor: systemPrincipal,
    tenantId,
    contentHash,
    filename: `${content}.jpg`,
    originalKey: originalKey(tenantId, contentHash),
    bytes: 1000,
    facts,
    priority: 50,
    ...overrides,
  };
}

/** Returns a record of downloaded content. Its hash and key are the same as those of an upload of this content. */
export function makeFetchedContent(tenantId: number, content: string): FetchedContent {
  const { contentHash, originalKey: key, bytes, filename } = makeUpload(tenantId, content);
  return { contentHash, originalKey: key, bytes, filename, facts };
}

/** Returns a rendition record for this content. */
export function makeRendition(tenantId: number, content: string, preset: string, bytes = 100): NewRendition {
  const recipe = '0123456789';
  return {
    preset,
    recipe,
    storageKey: renditionKey(tenantId, sha256Hex(content), preset, recipe),
    contentHash: sha256Hex(`${content} ${preset}`),
    bytes,
    width: 100,
    height: 67,
    quality: 85,
    format: 'jpeg',
    density: 1,
    isListed: true,
    isOnRequest: false,
  };
}

/** Returns what processing derives from a picture. The fingerprint and the embedding are unique to this content. */
export function makeDerivedFacts(content: string, overrides: Partial<DerivedFacts> = {}): DerivedFacts {
  const bytes = createHash('sha256').update(content).digest();
  return {
    fingerprint: {
      version: fingerprintVersion,
      hash: bytes.toString('hex'),
      quality: 100,
      aspect: 1.5,
      thumbnail: Buffer.alloc(32 * 32 * 3, bytes).toString('base64'),
      frameHashes: [{ frame: 'full', hash: bytes.toString('hex') }],
      probes: [],
    },
    keptMetadata: '',
    intakeFacts,
    warnings: [],
    embedding: { space: embeddingSpace, vector: [...bytes].map((byte) => byte / 255) },
    nearDuplicates: [],
    ...overrides,
  };
}

/** Returns a pair with another image, as a search finds it. */
export function makePair(id: number, overrides: Partial<NearDuplicate> = {}): NearDuplicate {
  return {
    id,
    uuid: '',
    tier: 'reencoded',
    verdict: null,
    edit: null,
    box: null,
    distance: 1,
    difference: 1,
    reason: 'alike',
    ...overrides,
  };
}
