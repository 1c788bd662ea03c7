import { GetObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { DirectAccess, DirectUpload, ReadUrlOptions, UploadUrl } from '../storage.ts';
import { type Bucket, objectName } from './client.ts';
import { openObject } from './read-object.ts';
import { withStorageErrors } from './s3-errors.ts';

/** Header with the client's file name, which is percent-encoded because headers are limited to ASCII. */
const filenameHeader = 'x-amz-meta-filename';

/**
 * Creates functions that presign URLs for `bucket`.
 * @param uploadSeconds how long upload URLs are valid, in seconds
 */
export function makeDirectAccess(bucket: Bucket, uploadSeconds: number): DirectAccess {
  return {
    presignRead: (key, options) => withStorageErrors(() => signRead(bucket, key, options)),
    presignUpload: (key, upload) => withStorageErrors(() => signUpload(bucket, key, upload, uploadSeconds)),
    async openUpload(key) {
      const { body, metadata } = await openObject(bucket, key);
      return { body, filename: decodeFilename(metadata['filename']) };
    },
  };
}

function signRead(bucket: Bucket, key: string, options: ReadUrlOptions): Promise<string> {
  const { seconds, method, contentType, contentDisposition } = options;
  const input = {
    ...objectName(bucket, key),
    ResponseContentType: contentType,
    ResponseContentDisposition: contentDisposition,
    ResponseCacheControl: options.cacheControl,
  };
  // The signature covers the HTTP method, so HEAD and GET need different commands.
  return method === 'HEAD'
    ? getSignedUrl(bucket.client, new HeadObjectCommand(input), { expiresIn: seconds })
    : getSignedUrl(bucket.client, new GetObjectCommand(input), { expiresIn: seconds });
}

/**
 * Signs the length and the file name as headers, so that the store rejects files of a different length and stores the
 * name.
 */
async function signUpload(
  bucket: Bucket,
  key: string,
  { bytes, filename }: DirectUpload,
  seconds: number,
): Promise<UploadUrl> {
  const encodedFilename = filename === undefined ? undefined : encodeURIComponent(filename);
  const command = new PutObjectCommand({
    ...objectName(bucket, key),
    ContentLength: bytes,
    ...(encodedFilename === undefined ? {} : { Metadata: { filename: encodedFilename } }),
  });
  const expiresAt = new Date(Date.now() + seconds * 1000);
  const url = await getSignedUrl(bucket.client, command, {
    expiresIn: seconds,
    signableHeaders: new Set(['host', 'content-length', filenameHeader]),
    unhoistableHeaders: new Set([filenameHeader]),
  });
  const headers = {
    'Content-Length': String(bytes),
    ...(encodedFilename === undefined ? {} : { [filenameHeader]: encodedFilename }),
  };
  return { url, headers, expiresAt };
}

/** Decodes a file name. Returns `undefined` if the encoding is invalid, because a client can send anything. */
function decodeFilename(encoded: string | undefined): string | undefined {
  try {
    return encoded === undefined ? undefined : decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}
