/** Why a picture cannot be decoded. */
export interface Verdict {
  readonly code: 'picture_cut' | 'picture_corrupt' | 'picture_unsupported' | 'picture_unreadable';
  /** A clause that completes "The JPEG picture is cut: …". */
  readonly reason: string;
}

/** The file ends before the picture is complete. */
export function cut(reason = 'the file ends too early'): Verdict {
  return { code: 'picture_cut', reason };
}

/** The file is complete, but its content is damaged. */
export function corrupt(reason: string): Verdict {
  return { code: 'picture_corrupt', reason };
}

/** The file is valid; `reason` names the unsupported feature. */
export function unsupported(reason: string): Verdict {
  return { code: 'picture_unsupported', reason };
}

/** The data after the signature cannot be parsed. */
export function unreadable(reason = 'what follows its first bytes is not valid in this format'): Verdict {
  return { code: 'picture_unreadable', reason };
}

/** Result of checking the structure of a rejected file: a reason, or that all pixels are present. */
export type Finding = Verdict | 'complete';
