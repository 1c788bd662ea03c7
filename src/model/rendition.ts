/** A standard version of an image, made by a recipe. */
export interface Rendition {
  readonly id: number;
  readonly preset: string;
  /** Version of the recipe that made it: the same bytes and the same recipe give the same rendition. */
  readonly recipe: string;
  readonly storageKey: string;
  /** SHA-256 of the rendition's file, hexadecimal. */
  readonly contentHash: string;
  readonly bytes: number;
  readonly width: number;
  readonly height: number;
  readonly quality: number;
  readonly format: 'jpeg';
}

/** A rendition that lies in storage and is not in the database yet. */
export type NewRendition = Omit<Rendition, 'id'>;
