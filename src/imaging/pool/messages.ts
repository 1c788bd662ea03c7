import type { ErrorCode } from '../../errors.ts';
import type { Embedding, Fingerprint } from '../../model/fingerprint.ts';
import type { IntakeFacts } from '../../model/intake-facts.ts';
import type { PictureFacts, PictureLimits } from '../../model/picture.ts';
import type { FocalPoint, Preset, Variant } from '../../model/preset.ts';
import type { PictureComparison, PresetTrial } from '../../model/quality.ts';
import type { Relation } from '../../model/relation.ts';
import type { RenditionMatch } from '../../model/rendition.ts';
import type { EncodedRendition, RenderedPicture } from '../renditions/derive-renditions.ts';

/**
 * Input files of a request. Before the parent sends a request, it replaces all paths, including those of a
 * `RenditionPair`, with paths in the child's own folder (`work-folder.ts`), because the child cannot read other files.
 */
export interface InputFiles {
  readonly path: string;
  readonly others?: readonly { readonly name: string; readonly path: string }[];
}

/** Requests the facts of a picture, which are read from its header. */
export interface ProbeRequest extends InputFiles {
  readonly limits: PictureLimits;
}

/** Requests renditions of a picture. */
export interface RenderRequest extends InputFiles {
  readonly limits: PictureLimits;
  readonly variants: readonly Variant[];
  /** The point of the picture that presets with `cover` keep in view, if the image has one. */
  readonly focalPoint?: FocalPoint | null | undefined;
}

/** Requests the renditions and the description of a picture. */
export type DeriveRequest = RenderRequest;

/** Renditions in memory, in the order of the request, with the description of their picture. */
export interface EncodedPicture extends DescribedPicture {
  readonly renditions: readonly EncodedRendition[];
  /** SHA-256 of the metadata that renditions may keep, hexadecimal; an empty string if there is none. */
  readonly keptMetadata: string;
  readonly intakeFacts: IntakeFacts;
}

/** Requests the fingerprint and the embedding of a picture. */
export interface DescribeRequest extends InputFiles {
  readonly limits: PictureLimits;
}

/** The facts of a picture, and the data used to recognise it. */
export interface DescribedPicture {
  readonly facts: PictureFacts;
  readonly fingerprint: Fingerprint;
  readonly embedding: Embedding;
}

/** Requests the quality of other pictures, compared with the picture at `path`. */
export interface CompareRequest extends InputFiles {
  readonly limits: PictureLimits;
  /** Originals or renditions, as local files. */
  readonly others: readonly { readonly name: string; readonly path: string }[];
}

/** The facts of a picture, and the quality of each of the other pictures, in the order of the request. */
export interface ComparedPicture {
  readonly facts: PictureFacts;
  readonly comparisons: readonly PictureComparison[];
}

/** Requests the size and the quality that each preset would yield for a picture. */
export interface TryPresetsRequest extends InputFiles {
  readonly limits: PictureLimits;
  readonly presets: readonly Preset[];
}

/** The facts of a picture, and one result per preset, in the order of the request. */
export interface TriedPresets {
  readonly facts: PictureFacts;
  readonly results: readonly PresetTrial[];
}

/** Requests how the picture at `path`, the newer one, is related to other pictures. */
export interface RelateRequest extends InputFiles {
  readonly limits: PictureLimits;
  /** Stored originals, as local files. They may have any supported format. */
  readonly others: readonly { readonly name: string; readonly path: string }[];
}

/** How a picture is related to each of the others, in the order of the request; `null` if they do not show the same. */
export interface RelatedPictures {
  readonly relations: readonly (Relation | null)[];
}

/** Two renditions made with the same preset, as local files. */
export interface RenditionPair {
  readonly preset: string;
  /** The new rendition, and its size. */
  readonly path: string;
  readonly width: number;
  readonly height: number;
  /** A stored rendition of a different image, and its recorded SHA-256. */
  readonly storedPath: string;
  readonly storedSha256: string;
}

/** Requests a comparison of the pixels of two images' renditions. */
export interface MatchRenditionsRequest {
  readonly pairs: readonly RenditionPair[];
}

/** The request and the result of each kind of task. Input pictures are passed as files, never in messages. */
export interface TaskTypes {
  readonly probe: { readonly request: ProbeRequest; readonly result: PictureFacts };
  readonly derive: { readonly request: DeriveRequest; readonly result: EncodedPicture };
  readonly render: { readonly request: RenderRequest; readonly result: RenderedPicture };
  readonly describe: { readonly request: DescribeRequest; readonly result: DescribedPicture };
  readonly compare: { readonly request: CompareRequest; readonly result: ComparedPicture };
  readonly tryPresets: { readonly request: TryPresetsRequest; readonly result: TriedPresets };
  readonly relate: { readonly request: RelateRequest; readonly result: RelatedPictures };
  readonly matchRenditions: { readonly request: MatchRenditionsRequest; readonly result: RenditionMatch };
}

/** The kind of a task. */
export type TaskKind = keyof TaskTypes;

/** A task for a child. */
export type Task<Kind extends TaskKind = TaskKind> = {
  [K in Kind]: { readonly kind: K; readonly request: TaskTypes[K]['request'] };
}[Kind];

/** Result of a task. */
export type TaskResult<Kind extends TaskKind = TaskKind> = TaskTypes[Kind]['result'];

/** Message from the parent to a child. A child has only one task at a time, so that the cause of a crash is clear. */
export interface TaskMessage {
  readonly id: number;
  readonly task: Task;
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

/** Maximum length of an error message, in UTF-16 code units. */
export const maxErrorLength = 500;

/** Reports a failed task. `cause` is only for the log. */
export interface FailureMessage {
  readonly type: 'failed';
  readonly id: number;
  readonly code: ReportableCode;
  readonly message: string;
  readonly cause?: string;
}

/** Message from a child to the parent. `result` has not been validated. Renditions are sent as the frame's payload. */
export type ChildMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'done'; readonly id: number; readonly result: unknown }
  | FailureMessage;
