/** How much may look wrong before a sweep stops: a share of all, between 0 and 1, and a number. */
export interface Brake {
  readonly share: number;
  readonly count: number;
}

/** Below this number a share says nothing: one of two is half. */
const few = 20;

/**
 * Whether so much looks wrong that the cause is more likely elsewhere: an older database was restored, or the storage is
 * not mounted. Acting on each finding would then destroy what is merely out of sight.
 */
export function isSuspicious(found: number, total: number, { share, count }: Brake): boolean {
  return found > count || (found > few && found / total > share);
}
