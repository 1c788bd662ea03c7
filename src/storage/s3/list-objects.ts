import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { isKey } from '../keys.ts';
import type { StoredFile } from '../storage.ts';
import type { Bucket } from './bucket.ts';
import { namingErrors } from './s3-errors.ts';

/**
 * Every object below the folder, a page at a time: a bucket may hold millions. What Vitrine cannot have put there is
 * left out.
 * @param folder with a slash at its end
 */
export async function* listObjects(bucket: Bucket, folder: string): AsyncGenerator<StoredFile> {
  let next: string | undefined;
  do {
    const page = await namingErrors(() => listPage(bucket, folder, next));
    for (const { Key = '', Size = 0, LastModified } of page.Contents ?? []) {
      const key = Key.slice(bucket.prefix.length);
      if (isKey(key)) yield { key, bytes: Size, modifiedAt: LastModified ?? new Date() };
    }
    next = page.NextContinuationToken;
  } while (next !== undefined);
}

function listPage({ calls, name, prefix }: Bucket, folder: string, from: string | undefined) {
  return calls.send(
    new ListObjectsV2Command({ Bucket: name, Prefix: `${prefix}${folder}`, ContinuationToken: from }),
  );
}
