import { GetObjectCommand, HeadObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import type { DirectAccess, DirectUpload, ReadAddressOptions, UploadAddress } from '../storage.ts';
import { type Bucket, objectName } from './client.ts';
import { openObject } from './read-object.ts';
import { namingErrors } from './s3-errors.ts';

/** What a client says of its file goes into this header, percent-encoded: a header is no place for every letter. */
const filenameHeader = 'x-amz-meta-filename';

/** @param uploadSeconds how long an address for an upload works */
export function makeDirectAccess(bucket: Bucket, uploadSeconds: number): DirectAccess {
  return {
    readAddress: (key, options) => namingErrors(() => signRead(bucket, key, options)),
    uploadAddress: (key, upload) => namingErrors(() => signUpload(bucket, key, upload, uploadSeconds)),
    async openUpload(key) {
      const { body, metadata } = await openObject(bucket, key);
      return { body, filename: decodeFilename(metadata['filename']) };
    },
  };
}

function signRead(bucket: Bucket, key: string, options: ReadAddressOptions): Promise<string> {
  const { seconds, method, contentType, contentDisposition } = options;
  const input = {
    ...objectName(bucket, key),
    ResponseContentType: contentType,
    ResponseContentDisposition: contentDisposition,
    ResponseCacheControl: options.cacheControl,
  };
  // The signature covers the method.
  return method === 'HEAD'
    ? getSignedUrl(bucket.calls, new HeadObjectCommand(input), { expiresIn: seconds })
    : getSignedUrl(bucket.calls, new GetObjectCommand(input), { expiresIn: seconds });
}

/** Length and name are signed as headers: the store refuses another length, and keeps the name. */
async function signUpload(
  bucket: Bucket,
  key: string,
  { bytes, filename }: DirectUpload,
  seconds: number,
): Promise<UploadAddress> {
  const name = filename === undefined ? undefined : encodeURIComponent(filename);
  const command = new PutObjectCommand({
    ...objectName(bucket, key),
    ContentLength: bytes,
    ...(name === undefined ? {} : { Metadata: { filename: name } }),
  });
  const expiresAt = new Date(Date.now() + seconds * 1000);
  const url = await getSignedUrl(bucket.calls, command, {
    expiresIn: seconds,
    signableHeaders: new Set(['host', 'content-length', filenameHeader]),
    unhoistableHeaders: new Set([filenameHeader]),
  });
  const headers = {
    'Content-Length': String(bytes),
    ...(name === undefined ? {} : { [filenameHeader]: name }),
  };
  return { url, headers, expiresAt };
}

/** A client may have sent what it likes. */
function decodeFilename(encoded: string | undefined): string | undefined {
  try {
    return encoded === undefined ? undefined : decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}
