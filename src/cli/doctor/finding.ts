/** The result of a check. */
export interface Finding {
  /** The component that was checked. */
  readonly subject: string;
  readonly state: string;
  /** How to fix the problem. Absent if the check found no problem. */
  readonly remedy?: string | undefined;
  /** Whether the problem is only a warning, which does not count as a failure. */
  readonly isWarning?: boolean;
}

/** Runs a check. The finding contains `passedState` if the check passes, otherwise the error message and `remedy`. */
export async function runCheck(
  subject: string,
  passedState: string,
  remedy: string,
  check: () => Promise<unknown>,
): Promise<Finding> {
  try {
    await check();
    return { subject, state: passedState };
  } catch (error) {
    return { subject, state: error instanceof Error ? error.message : String(error), remedy };
  }
}
