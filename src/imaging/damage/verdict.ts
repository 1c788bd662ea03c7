import { AppError } from '../../errors.ts';
import { formatNames, type PictureFormat } from '../../model/picture.ts';

/** Why a picture cannot be decoded. */
export interface Verdict {
  readonly code: 'picture_cut' | 'picture_corrupt' | 'picture_unsupported' | 'picture_unreadable';
  /** A clause that completes "The JPEG image is truncated: …". */
  readonly reason: string;
}

/** Result of checking the structure of a rejected file: a verdict, or `complete` if all pixels are present. */
export type Diagnosis = Verdict | 'complete';

/** Returns the verdict on a file that ends before the picture is complete. */
export function truncated(reason = 'the file ends too early'): Verdict {
  return { code: 'picture_cut', reason };
}

/** Returns the verdict on a complete file with damaged content. */
export function corrupt(reason: string): Verdict {
  return { code: 'picture_corrupt', reason };
}

/** Returns the verdict on a valid file with an unsupported feature. */
export function unsupported(reason: string): Verdict {
  return { code: 'picture_unsupported', reason };
}

/** Returns the verdict on a file that cannot be parsed beyond its signature. */
export function unreadable(reason = 'the data after its signature is not valid for this format'): Verdict {
  return { code: 'picture_unreadable', reason };
}

const summaries: Readonly<Record<Verdict['code'], string>> = {
  picture_cut: 'image is truncated',
  picture_corrupt: 'image is corrupt',
  picture_unsupported: 'image cannot be decoded',
  picture_unreadable: 'image cannot be read',
};

/** Turns a verdict into an error: "The JPEG image is truncated: the file ends too early." */
export function verdictError({ code, reason }: Verdict, format: PictureFormat, cause?: unknown): AppError {
  return new AppError(code, `The ${formatNames[format]} ${summaries[code]}: ${reason}.`, { cause });
}
