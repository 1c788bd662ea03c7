import { installedVersion } from './installed-version.ts';

/** Oldest image library that may decode other people's files. */
export const decoderFloor = {
  version: '0.35.4',
  reason:
    'older versions of sharp carry decoders with known memory errors (GHSA-f88m-g3jw-g9cj, GHSA-rgj7-g3m4-5g8c).',
};

/** Version of the image library that is installed. */
export function installedDecoder(): string {
  return installedVersion('sharp');
}
