import { readFileSync } from 'node:fs';

// Linux counts in pages; 4 KiB everywhere but on some ARM kernels, where the figure is then too low, never too high.
const pageBytes = 4096;

/** Memory that a process holds, in MB (2^20 bytes), from Linux's /proc; `undefined` elsewhere and once it is gone. */
export function residentMemoryMb(pid: number): number | undefined {
  try {
    const pages = Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1]);
    return Number.isFinite(pages) ? (pages * pageBytes) / 2 ** 20 : undefined;
  } catch {
    return undefined;
  }
}
