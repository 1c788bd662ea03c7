import { readFileSync } from 'node:fs';

/**
 * The descendants of `pid`, each followed by its own descendants, from Linux's /proc. Empty on other systems and on
 * kernels without CONFIG_PROC_CHILDREN.
 */
export function descendantsOf(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean);
    return children.map(Number).flatMap((child) => [child, ...descendantsOf(child)]);
  } catch {
    return [];
  }
}
