/** The result of one check. */
export interface Finding {
  readonly subject: string;
  readonly state: string;
  /** What to do; set only if the check failed. */
  readonly remedy?: string | undefined;
  /** The problem does not count as a failure. */
  readonly isWarning?: boolean;
}

/** Runs a check. Returns `state` if it succeeds, else the reason of the failure with `remedy`. */
export async function attempt(
  subject: string,
  state: string,
  remedy: string,
  check: () => Promise<unknown>,
): Promise<Finding> {
  try {
    await check();
    return { subject, state };
  } catch (error) {
    return { subject, state: error instanceof Error ? error.message : String(error), remedy };
  }
}
