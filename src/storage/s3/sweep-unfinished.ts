import { AbortMultipartUploadCommand, ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import type { Bucket } from './client.ts';
import { listObjects, removeObject } from './objects.ts';
import { namingErrors } from './s3-errors.ts';

/** Folders of finished files. Others in the bucket may hold parts that are not ours. */
export const storedFolders = ['originals/', 'renditions/'] as const;

/** Folders of what is there for a while only: files that clients sent and nobody took in yet, and checks. */
const passingFolders = ['incoming/', 'checks/'] as const;

/** Removes parts of uploads that were never put together, and passing files, all older than `olderThanMs`. */
export async function sweepUnfinished(bucket: Bucket, olderThanMs: number): Promise<number> {
  const before = new Date(Date.now() - olderThanMs);
  let removed = 0;
  for (const folder of passingFolders) removed += await removeOld(bucket, folder, before);
  // Last, because some stores do not know this call.
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

/** Where the next page of uploads begins. */
interface Markers {
  readonly KeyMarker?: string | undefined;
  readonly UploadIdMarker?: string | undefined;
}

function listUploads({ calls, name, prefix }: Bucket, folder: string, markers: Markers) {
  const command = new ListMultipartUploadsCommand({ Bucket: name, Prefix: `${prefix}${folder}`, ...markers });
  return namingErrors(() => calls.send(command));
}

function abortUpload({ calls, name }: Bucket, key: string | undefined, uploadId: string | undefined) {
  const command = new AbortMultipartUploadCommand({ Bucket: name, Key: key, UploadId: uploadId });
  return namingErrors(() => calls.send(command));
}
