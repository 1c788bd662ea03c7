/** Order of work, for jobs in the table and for pictures that wait for a decoder: lower goes first. */
export const priorities = {
  /** Somebody waits for the answer. */
  inline: 10,
  /** A single upload: somebody may be looking at it. */
  single: 50,
  /** One of many: imports and manifests. */
  batch: 100,
} as const;
