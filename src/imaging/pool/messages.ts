import type { ErrorCode } from '../../errors.ts';
import type { Embedding, Fingerprint } from '../../model/fingerprint.ts';
import type { PictureFacts, PictureLimits } from '../../model/picture.ts';
import type { Preset } from '../../model/preset.ts';
import type { PictureComparison, PresetTrial } from '../../model/quality.ts';
import type { RenditionMatch } from '../../model/sameness.ts';

/** Asks a child for a picture's facts, by its header alone. */
export interface ProbeRequest {
  readonly path: string;
  readonly limits: PictureLimits;
}

/** Asks a child to derive renditions into files. */
export interface DeriveRequest {
  readonly path: string;
  readonly limits: PictureLimits;
  readonly presets: readonly Preset[];
  readonly outputDirectory: string;
  /** Start of every file name that this request writes; unique, so that the parent can sweep up after a crash. */
  readonly outputPrefix: string;
}

/** A rendition that lies as a file (not synced to the disk yet) in the output directory. */
export interface RenditionFile {
  /** Name of the preset. */
  readonly preset: string;
  readonly recipe: string;
  readonly path: string;
  readonly width: number;
  readonly height: number;
  /** Length of the file. */
  readonly bytes: number;
  /** SHA-256 of the file, in hex. */
  readonly sha256: string;
}

/** What deriving a picture gave. */
export interface DerivedPicture {
  readonly facts: PictureFacts;
  readonly renditions: readonly RenditionFile[];
  readonly fingerprint: Fingerprint;
  readonly embedding: Embedding;
}

/** Asks a child what a picture is recognised by. */
export interface DescribeRequest {
  readonly path: string;
  readonly limits: PictureLimits;
}

/** What a picture is recognised by. */
export interface DescribedPicture {
  readonly facts: PictureFacts;
  readonly fingerprint: Fingerprint;
  readonly embedding: Embedding;
}

/** Asks a child how close other pictures come to the one at `path`. */
export interface CompareRequest {
  readonly path: string;
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
export interface TryPresetsRequest {
  readonly path: string;
  readonly limits: PictureLimits;
  readonly presets: readonly Preset[];
}

/** What each preset would make of a picture, in the order of the presets. */
export interface TriedPresets {
  readonly facts: PictureFacts;
  readonly results: readonly PresetTrial[];
}

/** Two renditions of one preset, as files of this machine. */
export interface RenditionPair {
  readonly preset: string;
  /** The rendition that was just made, and its size. */
  readonly path: string;
  readonly width: number;
  readonly height: number;
  /** A stored rendition of another image, and the SHA-256 that it was recorded with. */
  readonly storedPath: string;
  readonly storedSha256: string;
}

/** Asks a child whether the renditions of two images show the same pixels. */
export interface MatchRenditionsRequest {
  readonly pairs: readonly RenditionPair[];
}

/** Every kind of work that a child does: its request and its result. Picture bytes travel by files, never in messages. */
export interface Work {
  readonly probe: { readonly request: ProbeRequest; readonly result: PictureFacts };
  readonly derive: { readonly request: DeriveRequest; readonly result: DerivedPicture };
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

/** Child → parent. `failed` carries a named error; `cause` is for the log only. */
export type ChildMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'done'; readonly id: number; readonly result: Outcome }
  | {
      readonly type: 'failed';
      readonly id: number;
      readonly code: ErrorCode;
      readonly message: string;
      readonly cause?: string;
    };
