/** What a URL that was imported before leads to. */
export const duplicateHandlings = ['reuse-completed', 'allow-retry', 'reject-active'] as const;

/**
 * What a URL that was imported before leads to:
 * - `reuse-completed`: its image when that is completed or in work; after a failure, a new run.
 * - `allow-retry`: always a new run.
 * - `reject-active`: a refusal while a run is in work, else a new run.
 */
export type DuplicateHandling = (typeof duplicateHandlings)[number];

/** What near-duplicates lead to: shared renditions, a mention only, or nothing. */
export const nearDuplicateHandlings = ['reuse', 'flag', 'off'] as const;

/** What near-duplicates lead to. */
export type NearDuplicateHandling = (typeof nearDuplicateHandlings)[number];
