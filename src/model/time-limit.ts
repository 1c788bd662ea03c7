/** Something took longer than it may. */
export class OutOfTime extends Error {
  override readonly name = 'OutOfTime';
}

/** What `work` answers. The work itself goes on. @throws {OutOfTime} when that takes longer than `ms`. */
export async function inTime<T>(work: Promise<T>, ms: number): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new OutOfTime(`no answer within ${ms} ms`)), ms);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
