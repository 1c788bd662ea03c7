/** Thrown when work takes longer than its time limit. */
export class TimedOut extends Error {
  override readonly name = 'TimedOut';
}

/** Waits for `work` for at most `ms`. The work itself is not stopped. @throws {TimedOut} */
export async function withTimeout<T>(work: Promise<T>, ms: number): Promise<T> {
  const { promise: timeout, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new TimedOut(`no response within ${ms} ms`)), ms);
  try {
    return await Promise.race([work, timeout]);
  } finally {
    clearTimeout(timer);
  }
}
