import type { ErrorCode } from '../../errors.ts';
import type { Embedding, Fingerprint } from '../../model/fingerprint.ts';
import type { PictureFacts, PictureLimits } from '../../model/picture.ts';
import type { Preset } from '../../model/preset.ts';
import type { PictureComparison, PresetTrial } from '../../model/quality.ts';
import type { RenditionMatch } from '../../model/rendition.ts';
import type { EncodedRendition } from '../renditions/derive-renditions.ts';

/**
 * Files that a request reads. Before it sends the request, the parent replaces every path here, and those of a
 * `RenditionPair`, with one in the child's own folder (`work-folder.ts`): the child can read no others.
 */
export interface InputFiles {
  readonly path: string;
  readonly others?: readonly { readonly name: string; readonly path: string }[];
}

/** Asks a child for a picture's facts, by its header alone. */
export interface ProbeRequest extends InputFiles {
  readonly limits: PictureLimits;
}

/** Requests renditions from a child. */
export interface DeriveRequest extends InputFiles {
  readonly limits: PictureLimits;
  readonly presets: readonly Preset[];
}

/** Renditions in memory, largest first, with fingerprint data. */
export interface EncodedPicture extends DescribedPicture {
  readonly renditions: readonly EncodedRendition[];
}

/** Asks a child what a picture is recognised by. */
export interface DescribeRequest extends InputFiles {
  readonly limits: PictureLimits;
}

/** What a picture is recognised by. */
export interface DescribedPicture {
  readonly facts: PictureFacts;
  readonly fingerprint: Fingerprint;
  readonly embedding: Embedding;
}

/** Asks a child how close other pictures come to the one at `path`. */
export interface CompareRequest extends InputFiles {
  readonly limits: PictureLimits;
  /** Originals or renditions, as files of this machine. */
  readonly others: readonly { readonly name: string; readonly path: string }[];
}

/** How close other pictures come to one, in their order. */
export interface ComparedPicture {
  readonly facts: PictureFacts;
  readonly comparisons: readonly PictureComparison[];
}

/** Asks a child what each preset would make of a picture. */
export interface TryPresetsRequest extends InputFiles {
  readonly limits: PictureLimits;
  readonly presets: readonly Preset[];
}

/** What each preset would make of a picture, in the order of the presets. */
export interface TriedPresets {
  readonly facts: PictureFacts;
  readonly results: readonly PresetTrial[];
}

/** Two renditions of one preset, as local files. */
export interface RenditionPair {
  readonly preset: string;
  /** The new rendition, and its size. */
  readonly path: string;
  readonly width: number;
  readonly height: number;
  /** A stored rendition of another image, and its recorded SHA-256. */
  readonly storedPath: string;
  readonly storedSha256: string;
}

/** Asks a child to compare the pixels of two images' renditions. */
export interface MatchRenditionsRequest {
  readonly pairs: readonly RenditionPair[];
}

/** Every kind of work of a child: its request and its result. Originals are passed as files, never in messages. */
export interface Work {
  readonly probe: { readonly request: ProbeRequest; readonly result: PictureFacts };
  readonly derive: { readonly request: DeriveRequest; readonly result: EncodedPicture };
  readonly describe: { readonly request: DescribeRequest; readonly result: DescribedPicture };
  readonly compare: { readonly request: CompareRequest; readonly result: ComparedPicture };
  readonly tryPresets: { readonly request: TryPresetsRequest; readonly result: TriedPresets };
  readonly matchRenditions: { readonly request: MatchRenditionsRequest; readonly result: RenditionMatch };
}

/** Name of a kind of work. */
export type WorkKind = keyof Work;

/** A piece of work that a child is asked for. */
export type Order<Kind extends WorkKind = WorkKind> = {
  [K in Kind]: { readonly kind: K; readonly request: Work[K]['request'] };
}[Kind];

/** What a piece of work gives. */
export type Outcome<Kind extends WorkKind = WorkKind> = Work[Kind]['result'];

/** Parent → child. A child has one task at a time, so that a crash has exactly one cause. */
export interface TaskMessage {
  readonly id: number;
  readonly order: Order;
}

/** Errors that a child may report. The parent treats any other code as an invalid response. */
export const reportableCodes = [
  'empty_file',
  'not_a_picture',
  'format_not_allowed',
  'picture_too_large',
  'picture_cut',
  'picture_corrupt',
  'picture_unsupported',
  'picture_unreadable',
  'picture_damaged',
  'storage_failed',
  'internal_error',
] as const satisfies readonly ErrorCode[];

/** One of the errors that a child may report. */
export type ReportableCode = (typeof reportableCodes)[number];

/** Maximum length of a named error's message, in UTF-16 code units. */
export const maxSentence = 500;

/** A named error; `cause` is for the log only. */
export interface FailureMessage {
  readonly type: 'failed';
  readonly id: number;
  readonly code: ReportableCode;
  readonly message: string;
  readonly cause?: string;
}

/** Child → parent. `result` is JSON; the bytes of renditions follow as the payload (`packResult`). */
export type ChildMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'done'; readonly id: number; readonly result: unknown }
  | FailureMessage;
