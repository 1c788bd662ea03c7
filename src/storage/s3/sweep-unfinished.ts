import { AbortMultipartUploadCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import type { Bucket } from './client.ts';
import { listObjects, removeObject } from './objects.ts';
import { withStorageErrors } from './s3-errors.ts';

/** Folders of finished files. Unfinished multipart uploads elsewhere in the bucket may not be Vitrine's. */
export const storedFolders = ['originals/', 'renditions/'] as const;

/** Folders of temporary files: direct uploads that are not ingested yet, and check files. */
const temporaryFolders = ['incoming/', 'checks/'] as const;

/** Removes unfinished multipart uploads and temporary files older than `olderThanMs`. Returns how many. */
export async function sweepUnfinished(bucket: Bucket, olderThanMs: number): Promise<number> {
  const before = new Date(Date.now() - olderThanMs);
  let removed = 0;
  for (const folder of temporaryFolders) removed += await removeOld(bucket, folder, before);
  // Last, because some stores do not support this call.
  for (const folder of storedFolders) removed += await abortUploads(bucket, folder, before);
  return removed;
}

async function removeOld(bucket: Bucket, folder: string, before: Date): Promise<number> {
  let removed = 0;
  for await (const { key, modifiedAt } of listObjects(bucket, folder)) {
    if (modifiedAt >= before) continue;
    await removeObject(bucket, key);
    removed++;
  }
  return removed;
}

async function abortUploads(bucket: Bucket, folder: string, before: Date): Promise<number> {
  let aborted = 0;
  let markers: Markers | undefined = {};
  while (markers) {
    const page = await listUploads(bucket, folder, markers);
    for (const { Key, UploadId, Initiated } of page.Uploads ?? []) {
      if (!Initiated || Initiated >= before) continue;
      await abortUpload(bucket, Key, UploadId);
      aborted++;
    }
    markers = page.IsTruncated
      ? { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker }
      : undefined;
  }
  return aborted;
}

/** Position of the next page of uploads. */
interface Markers {
  readonly KeyMarker?: string | undefined;
  readonly UploadIdMarker?: string | undefined;
}

function listUploads({ calls, name, prefix }: Bucket, folder: string, markers: Markers) {
  const command = new ListMultipartUploadsCommand({ Bucket: name, Prefix: `${prefix}${folder}`, ...markers });
  return withStorageErrors(() => calls.send(command));
}

function abortUpload({ calls, name }: Bucket, key: string | undefined, uploadId: string | undefined) {
  const command = new AbortMultipartUploadCommand({ Bucket: name, Key: key, UploadId: uploadId });
  return withStorageErrors(() => calls.send(command));
}
