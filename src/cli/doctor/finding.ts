/** Result of one check. */
export interface Finding {
  readonly subject: string;
  readonly state: string;
  /** What to do; only when something is wrong. */
  readonly remedy?: string | undefined;
}
