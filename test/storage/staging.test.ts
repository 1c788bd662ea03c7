import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile, rm, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { AppError } from '../../src/errors.ts';
import { makeStaging } from '../../src/storage/staging.ts';
import { testFolder } from '../support/inner/folders.ts';

/** Yields `chunks` and then throws. */
function* yieldThenThrow(chunks: readonly Buffer[], error: Error): Generator<Buffer> {
  yield* chunks;
  throw error;
}

test('returns the path, size, hash and first bytes of a received file', async () => {
  const staging = makeStaging(await testFolder());
  const chunks = [randomBytes(3000), randomBytes(3000), randomBytes(100_000)];
  const bytes = Buffer.concat(chunks);
  const receivedFile = await staging.receive(Readable.from(chunks));
  expect(await readFile(receivedFile.path)).toEqual(bytes);
  expect(receivedFile.bytes).toBe(106_000);
  expect(receivedFile.contentHash).toBe(createHash('sha256').update(bytes).digest('hex'));
  expect(Buffer.from(receivedFile.head)).toEqual(bytes.subarray(0, 4100));
});

test('receives an empty file and a file of one byte', async () => {
  const staging = makeStaging(await testFolder());
  const emptyFile = await staging.receive(Readable.from([]));
  expect(emptyFile).toMatchObject({ bytes: 0, contentHash: createHash('sha256').digest('hex') });
  const oneByteFile = await staging.receive(Readable.from([Buffer.from('x')]));
  expect(Buffer.from(oneByteFile.head).toString()).toBe('x');
});

test('stores concurrently received files separately', async () => {
  const staging = makeStaging(await testFolder());
  const contents = Array.from({ length: 20 }, () => randomBytes(50_000));
  const receivedFiles = await Promise.all(contents.map((bytes) => staging.receive(Readable.from([bytes]))));
  expect(new Set(receivedFiles.map(({ path }) => path)).size).toBe(20);
  for (const [index, { path }] of receivedFiles.entries())
    expect(await readFile(path)).toEqual(contents[index]);
});

test('removes the file if the stream fails, and rethrows the error', async () => {
  const folder = await testFolder();
  const reason = new AppError('body_cut_short', 'The body ended too early.');
  const source = Readable.from(yieldThenThrow([randomBytes(5000)], reason));
  await expect(makeStaging(folder).receive(source)).rejects.toBe(reason);
  expect(await readdir(folder)).toEqual([]);
});

test('reports a missing staging folder as a storage failure', async () => {
  const folder = await testFolder();
  await rm(folder, { recursive: true });
  const receivePromise = makeStaging(folder).receive(Readable.from([Buffer.from('x')]));
  await expect(receivePromise).rejects.toMatchObject({ code: 'storage_failed', failureClass: 'transient' });
});

test('discards a file, and does nothing if the file does not exist', async () => {
  const folder = await testFolder();
  const staging = makeStaging(folder);
  const { path } = await staging.receive(Readable.from([Buffer.from('x')]));
  await staging.discard(path);
  await expect(staging.discard(path)).resolves.toBeUndefined();
  expect(await readdir(folder)).toEqual([]);
});

test('sweeps only files that are older than the given age', async () => {
  const folder = await testFolder();
  const staging = makeStaging(folder);
  const [oldFile, newFile] = [
    await staging.receive(Readable.from([Buffer.from('old')])),
    await staging.receive(Readable.from([Buffer.from('young')])),
  ];
  const hourAgo = new Date(Date.now() - 3_600_000);
  await utimes(oldFile.path, hourAgo, hourAgo);
  expect(await staging.sweep(1_800_000)).toBe(1);
  expect((await readdir(folder)).map((name) => join(folder, name))).toEqual([newFile.path]);
});
