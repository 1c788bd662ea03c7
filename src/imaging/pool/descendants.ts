import { readFileSync } from 'node:fs';

/**
 * The processes below `pid`, each followed by those below it, from Linux's /proc. Empty elsewhere and on kernels that
 * list no children (CONFIG_PROC_CHILDREN).
 */
export function descendantsOf(pid: number): number[] {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').split(' ').filter(Boolean);
    return children.map(Number).flatMap((child) => [child, ...descendantsOf(child)]);
  } catch {
    return [];
  }
}
