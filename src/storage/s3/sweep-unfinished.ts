import { AbortMultipartUploadCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import type { Bucket } from './client.ts';
import { listObjects, removeObject } from './objects.ts';
import { withStorageErrors } from './s3-errors.ts';

/** Folders with stored files. Multipart uploads in other folders may belong to other applications. */
export const storedFolders = ['originals/', 'renditions/'] as const;

/**
 * Folders with temporary files: direct uploads that have not been ingested yet, and the test files of storage checks.
 */
const temporaryFolders = ['incoming/', 'checks/'] as const;

/** Removes unfinished multipart uploads and temporary files older than `olderThanMs`. Returns the number removed. */
export async function sweepUnfinished(bucket: Bucket, olderThanMs: number): Promise<number> {
  const cutoff = new Date(Date.now() - olderThanMs);
  let removedCount = 0;
  for (const folder of temporaryFolders) removedCount += await removeOldFiles(bucket, folder, cutoff);
  // Multipart uploads are processed last, because the sweep fails here if the store cannot list them.
  for (const folder of storedFolders) removedCount += await abortOldUploads(bucket, folder, cutoff);
  return removedCount;
}

async function removeOldFiles(bucket: Bucket, folder: string, cutoff: Date): Promise<number> {
  let removedCount = 0;
  for await (const { key, modifiedAt } of listObjects(bucket, folder)) {
    if (modifiedAt >= cutoff) continue;
    await removeObject(bucket, key);
    removedCount++;
  }
  return removedCount;
}

async function abortOldUploads(bucket: Bucket, folder: string, cutoff: Date): Promise<number> {
  let abortedCount = 0;
  let markers: PageMarkers | undefined = {};
  while (markers) {
    const page = await listUploads(bucket, folder, markers);
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      if (!Initiated || Initiated >= cutoff) continue;
      await abortUpload(bucket, Key, UploadId);
      abortedCount++;
    }
    markers = page.IsTruncated
      ? { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker }
      : undefined;
  }
  return abortedCount;
}

/** Position of the next page in the list of uploads. */
interface PageMarkers {
  readonly KeyMarker?: string | undefined;
  readonly UploadIdMarker?: string | undefined;
}

function listUploads({ client, name, prefix }: Bucket, folder: string, markers: PageMarkers) {
  const command = new ListMultipartUploadsCommand({ Bucket: name, Prefix: `${prefix}${folder}`, ...markers });
  return withStorageErrors(() => client.send(command));
}

function abortUpload({ client, name }: Bucket, key: string | undefined, uploadId: string | undefined) {
  const command = new AbortMultipartUploadCommand({ Bucket: name, Key: key, UploadId: uploadId });
  return withStorageErrors(() => client.send(command));
}
