import type { ErrorCode } from '../../errors.ts';
import type { PictureFacts, PictureLimits } from '../../model/picture.ts';
import type { Preset } from '../../model/preset.ts';

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
}

/** Every kind of work that a child does: its request and its result. Picture bytes travel by files, never in messages. */
export interface Work {
  readonly probe: { readonly request: ProbeRequest; readonly result: PictureFacts };
  readonly derive: { readonly request: DeriveRequest; readonly result: DerivedPicture };
}

/** Name of a kind of work. */
export type WorkKind = keyof Work;

/** Parent → child. A child has one task at a time, so that a crash has exactly one cause. */
export type TaskMessage = {
  [Kind in WorkKind]: { readonly id: number; readonly kind: Kind; readonly request: Work[Kind]['request'] };
}[WorkKind];

/** Child → parent. `failed` carries a named error; `cause` is for the log only. */
export type ChildMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'done'; readonly id: number; readonly result: Work[WorkKind]['result'] }
  | {
      readonly type: 'failed';
      readonly id: number;
      readonly code: ErrorCode;
      readonly message: string;
      readonly cause?: string;
    };
