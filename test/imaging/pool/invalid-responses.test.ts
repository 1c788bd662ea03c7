import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parseChildMessage, validateResult } from '../../../src/imaging/pool/responses.ts';
import type { EncodedPicture, Task } from '../../../src/imaging/pool/messages.ts';
import { embeddingSpace, fingerprintVersion } from '../../../src/model/fingerprint.ts';
import { intakeFacts } from '../../support/inner/records.ts';
import { limits, presets } from '../fixtures/pictures.ts';
import { listedVariant } from '../../../src/model/preset.ts';
import { childModule, makeTestPool, makePictureFolder } from './setup.ts';

const facts = {
  format: 'jpeg',
  width: 300,
  height: 200,
  frames: 1,
  colorSpace: 'RGB',
  hasAlpha: false,
  bitDepth: 8,
};
const description = {
  facts,
  fingerprint: {
    version: fingerprintVersion,
    hash: '0f'.repeat(32),
    quality: 80,
    aspect: 1.5,
    thumbnail: 'ABCD'.repeat(1024),
    frameHashes: [{ frame: 'full', hash: '0f'.repeat(32) }],
    probes: [],
  },
  embedding: { space: embeddingSpace, vector: Array.from({ length: 512 }, () => 0.04) },
};
const sizes = [
  ['card', 300, 200],
  ['zoom', 300, 200],
  ['thumb', 100, 67],
] as const;
const jpegBytes = 100;
const requested = sizes.map(([name]) => listedVariant(presets.find((preset) => preset.name === name)!));
const renditions = sizes.map(([preset, width, height]) => ({
  preset,
  format: 'jpeg',
  density: 1,
  width,
  height,
  bytes: jpegBytes,
}));
const derivedResult = { ...description, renditions, keptMetadata: '', intakeFacts };

/** Returns the concatenated bytes of `count` minimal JPEGs, each of which has `jpegBytes` bytes. */
function jpegs(count: number): Buffer {
  const jpeg = Buffer.alloc(jpegBytes, 1);
  jpeg.writeUInt16BE(0xffd8, 0);
  jpeg.writeUInt16BE(0xffd9, jpegBytes - 2);
  return Buffer.concat(Array.from({ length: count }, () => jpeg));
}

const task: Task = { kind: 'derive', request: { path: 'a', limits, variants: requested } };
const readDerivedResult =
  (result: unknown, payload = jpegs(3)) =>
  () =>
    validateResult(task, result, payload);

test('accepts a valid response and assigns its bytes to the renditions', () => {
  const { renditions: encoded } = readDerivedResult(derivedResult)() as EncodedPicture;
  expect(encoded.map(({ preset, data }) => [preset.name, data.length])).toEqual(
    sizes.map(([name]) => [name, jpegBytes]),
  );
});

const [card, zoom, thumb] = renditions;
const withVector = (vector: unknown[]) => ({
  ...derivedResult,
  embedding: { space: embeddingSpace, vector },
});
const { vector } = description.embedding;
const withBackground = (change: object) => ({
  ...derivedResult,
  intakeFacts: { ...intakeFacts, background: { ...intakeFacts.background, ...change } },
});

test.each<[string, unknown, Buffer?]>([
  ['a path', { ...derivedResult, renditions: [{ ...card, path: '/etc/passwd' }, zoom, thumb] }],
  ['an extra field', { ...derivedResult, tenant: 1 }],
  ['an unknown preset', { ...derivedResult, renditions: [card, { ...zoom, preset: 'huge' }, thumb] }],
  ['a repeated preset', { ...derivedResult, renditions: [card, card, thumb] }],
  ['a missing preset', { ...derivedResult, renditions: [card, zoom] }, jpegs(2)],
  ['another format', { ...derivedResult, renditions: [card, zoom, { ...thumb, format: 'webp' }] }],
  ['another density', { ...derivedResult, renditions: [card, zoom, { ...thumb, density: 2 }] }],
  ['a hash of metadata that is not a hash', { ...derivedResult, keptMetadata: 'none' }],
  ['a share above 1', { ...derivedResult, intakeFacts: { ...intakeFacts, fill: 1.1 } }],
  ['a colour that is not a colour', withBackground({ color: 'red' })],
  ['facts that are not numbers', { ...derivedResult, intakeFacts: { ...intakeFacts, sharpness: 'high' } }],
  ['a wrong size', { ...derivedResult, renditions: [card, zoom, { ...thumb, width: 101 }] }],
  ['fewer bytes than declared', derivedResult, jpegs(2)],
  ['more bytes than declared', derivedResult, jpegs(4)],
  ['a negative length', { ...derivedResult, renditions: [card, zoom, { ...thumb, bytes: -100 }] }],
  ['a file that is not a JPEG', derivedResult, Buffer.alloc(300, 1)],
  ['more pixels than allowed', { ...derivedResult, facts: { ...facts, width: 16_000, height: 16_000 } }],
  ['a width that is not a number', { ...derivedResult, facts: { ...facts, width: '300' } }],
  ['an unsupported format', { ...derivedResult, facts: { ...facts, format: 'svg' } }],
  [
    'an upper-case hash',
    { ...derivedResult, fingerprint: { ...description.fingerprint, hash: '0F'.repeat(32) } },
  ],
  ['a short thumbnail', { ...derivedResult, fingerprint: { ...description.fingerprint, thumbnail: 'AAAA' } }],
  ['an embedding with too few numbers', withVector(vector.slice(1))],
  ['null in the embedding', withVector([null, ...vector.slice(1)])],
  ['an embedding that is not normalised', withVector(vector.map(() => 1))],
])('rejects a result with %s', (_, result, payload = jpegs(3)) => {
  expect(readDerivedResult(result, payload)).toThrow(expect.objectContaining({ name: 'InvalidResponse' }));
});

test.each([
  ['a code that a decoder may not report', { type: 'failed', id: 1, code: 'purge_refused', message: 'No.' }],
  ['a line break in the text', { type: 'failed', id: 1, code: 'picture_damaged', message: 'a\nb' }],
  ['text that is too long', { type: 'failed', id: 1, code: 'picture_damaged', message: 'a'.repeat(501) }],
  ['an unknown type', { type: 'hello' }],
  ['a number instead of an object', 7],
])('rejects a message with %s', (_, message) => {
  expect(() => parseChildMessage(message)).toThrow(expect.objectContaining({ name: 'InvalidResponse' }));
});

const frameHeader = (messageBytes: number, payloadBytes: number) => {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(messageBytes, 0);
  header.writeUInt32BE(payloadBytes, 4);
  return header.toString('base64');
};
const doneMessage = { type: 'done', id: 'ID', result: facts };

test.each<[string, readonly (object | string)[]]>([
  ['facts with an extra field', [{ ...doneMessage, result: { ...facts, path: '/etc/passwd' } }]],
  ['a response to a different request', [{ ...doneMessage, id: 999 }]],
  ['a ready message during a task', [{ type: 'ready' }]],
  ['bytes without a rendition', [frameHeader(2, 1)]],
  ['a message that is too long', [frameHeader(2 ** 31, 0)]],
  ['a frame that is not JSON', [frameHeader(3, 0), Buffer.from('???').toString('base64')]],
  ['a second response', [doneMessage, doneMessage]],
])('kills a child that sends %s, and decodes the next picture', async (problem, messages) => {
  const pool = makeTestPool({ childModule: childModule('invalid-response-child') });
  const folder = await makePictureFolder('good.jpg');
  const [invalidPath, goodPath] = [join(folder, 'invalid'), join(folder, 'good.jpg')];
  await writeFile(invalidPath, JSON.stringify(messages));
  const response = pool.probe({ path: invalidPath, limits });
  if (problem === 'a second response') await response;
  else
    await expect(response).rejects.toMatchObject({
      code: 'decoder_crashed',
      message: 'The decoder sent an invalid response and was stopped.',
    });
  await expect.poll(() => pool.stats().crashes).toBe(1);
  await expect(pool.probe({ path: goodPath, limits })).resolves.toMatchObject({ width: 300 });
});
