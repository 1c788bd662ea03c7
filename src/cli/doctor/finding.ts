/** Result of one check. */
export interface Finding {
  readonly subject: string;
  readonly state: string;
  /** What to do; only when something is wrong. */
  readonly remedy?: string | undefined;
  /** Information, not a failure. */
  readonly isWarning?: boolean;
}

/** `state` when the work succeeds; else why it failed, and `remedy`. */
export async function attempt(
  subject: string,
  state: string,
  remedy: string,
  work: () => Promise<unknown>,
): Promise<Finding> {
  try {
    await work();
    return { subject, state };
  } catch (error) {
    return { subject, state: error instanceof Error ? error.message : String(error), remedy };
  }
}
