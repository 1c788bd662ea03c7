import { AppError } from '../../errors.ts';
import { formatNames, type PictureFormat } from '../../model/picture.ts';
import type { Verdict } from './verdict.ts';

const openings: Readonly<Record<Verdict['code'], string>> = {
  picture_cut: 'picture is cut',
  picture_corrupt: 'picture is corrupt',
  picture_unsupported: 'picture cannot be decoded here',
  picture_unreadable: 'picture cannot be read',
};

/** A verdict as an error: "The JPEG picture is cut: the file ends too early." */
export function verdictError({ code, reason }: Verdict, format: PictureFormat, cause?: unknown): AppError {
  return new AppError(code, `The ${formatNames[format]} ${openings[code]}: ${reason}.`, { cause });
}
