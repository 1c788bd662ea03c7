import { AppError } from '../errors.ts';
import type { PictureFormat } from '../model/picture.ts';
import { formatNames } from './format.ts';

const longestReason = 120;

/** The usual messages in words for people who never heard of decoders. */
const plainReasons: ReadonlyArray<readonly [RegExp, string]> = [
  [/unsupported image format/i, 'its content is not what its first bytes promise'],
  [/premature end of JPEG image|libpng read error|bad seek/i, 'the file ends too early'],
  [/corrupt JPEG data|bogus (huffman|marker)/i, 'its data is damaged'],
];

/**
 * The `picture_damaged` error for what the image library threw, with its message shortened to one clause. Errors that
 * already have a name pass through.
 */
export function asDamagedPicture(error: unknown, format: PictureFormat): AppError {
  if (error instanceof AppError) return error;
  const message = error instanceof Error ? error.message : String(error);
  const sentence = `The ${formatNames[format]} picture cannot be decoded: ${reasonOf(message)}.`;
  return new AppError('picture_damaged', sentence, { cause: error });
}

function reasonOf(message: string): string {
  const known = plainReasons.find(([pattern]) => pattern.test(message));
  if (known !== undefined) return known[1];
  const reason = message
    .replace(/^Input (buffer|file) (has corrupt header|contains [a-z ]+):\s*/i, '')
    .trim();
  const [line = ''] = reason.split('\n');
  const withoutPaths = line
    .replace(/^\w+: /, '')
    .replaceAll(/(\/[\w.-]+){2,}/g, '…')
    .trim();
  if (withoutPaths === '') return 'the data is damaged';
  return withoutPaths.slice(0, longestReason).replace(/[.\s]+$/, '');
}
