/** Why a picture cannot be decoded. */
export interface Verdict {
  readonly code: 'picture_cut' | 'picture_corrupt' | 'picture_unsupported' | 'picture_unreadable';
  /** A clause that completes "The JPEG picture is cut: …". */
  readonly reason: string;
}

/** The file ends before the picture does. */
export function cut(reason = 'the file ends too early'): Verdict {
  return { code: 'picture_cut', reason };
}

/** The file is as long as it should be, and its content is damaged. */
export function corrupt(reason: string): Verdict {
  return { code: 'picture_corrupt', reason };
}

/** The file is sound; `reason` names what is not decoded here. */
export function unsupported(reason: string): Verdict {
  return { code: 'picture_unsupported', reason };
}

/** What follows the signature makes no sense. */
export function unreadable(reason = 'what follows its first bytes is not valid in this format'): Verdict {
  return { code: 'picture_unreadable', reason };
}

/** What a look at a file's structure says after a decoder refused it: a reason, or that all pixels are there. */
export type Finding = Verdict | 'complete';
