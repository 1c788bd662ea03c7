import { readdirSync, readFileSync } from 'node:fs';

/** CPU time that a server has used so far, in milliseconds. */
export interface CpuUsage {
  /** By the name of the thread of the server's process. Threads of the same name are added up. */
  readonly threads: ReadonlyMap<string, number>;
  /** By the descendants of the server's process, including those that have exited. */
  readonly children: number;
}

/** Memory that a server occupies, in MiB. */
export interface MemoryUsage {
  readonly server: number;
  readonly children: number;
}

/** Linux counts CPU time in units of 10 ms on all platforms that Node supports. */
const msPerTick = 10;

/** Reads the CPU time of a process, of its threads and of its descendants from `/proc`. */
export function readCpuUsage(pid: number): CpuUsage {
  const threads = new Map<string, number>();
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const stat = readStat(`/proc/${pid}/task/${thread}/stat`);
    threads.set(stat.name, (threads.get(stat.name) ?? 0) + stat.ownTicks * msPerTick);
  }
  const childTicks = descendants(pid).map((child) => {
    const { ownTicks, exitedChildrenTicks } = readStat(`/proc/${child}/stat`);
    return ownTicks + exitedChildrenTicks;
  });
  const { exitedChildrenTicks } = readStat(`/proc/${pid}/stat`);
  const ticks = childTicks.reduce((total, value) => total + value, exitedChildrenTicks);
  return { threads, children: ticks * msPerTick };
}

/** Reads the resident memory of a process and of its descendants from `/proc`. */
export function readMemoryUsage(pid: number): MemoryUsage {
  const children = descendants(pid).map((child) => readStatus(String(child), 'VmRSS'));
  return {
    server: readStatus(String(pid), 'VmRSS') / 1024,
    children: children.reduce((total, kibibytes) => total + kibibytes, 0) / 1024,
  };
}

/** Reads the largest resident memory that a process has had, in MiB. */
export function readPeakMemory(pid: number): number {
  return readStatus(String(pid), 'VmHWM') / 1024;
}

interface Stat {
  readonly name: string;
  readonly ownTicks: number;
  readonly exitedChildrenTicks: number;
}

/** Parses `/proc/…/stat`. All numbers are 0 if the process or thread has exited. See `man 5 proc_pid_stat`. */
function readStat(path: string): Stat {
  const text = readText(path);
  const nameEnd = text.lastIndexOf(')');
  const fields = text.slice(nameEnd + 2).split(' ');
  // The first of these fields is the third of the line, the state.
  const field = (number: number) => Number(fields[number - 3] ?? 0);
  return {
    name: text.slice(text.indexOf('(') + 1, nameEnd),
    ownTicks: field(14) + field(15),
    exitedChildrenTicks: field(16) + field(17),
  };
}

/** Returns the ids of all processes that `root` or one of its descendants has started. */
function descendants(root: number): number[] {
  const parents = new Map(
    readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((name) => [Number(name), readStatus(name, 'PPid')]),
  );
  const isDescendant = (pid: number): boolean => {
    const parent = parents.get(pid) ?? 0;
    return parent === root || (parent > 1 && isDescendant(parent));
  };
  return [...parents.keys()].filter(isDescendant);
}

/** Returns a number from `/proc/<pid>/status`; 0 if the process has exited. */
function readStatus(pid: string, field: string): number {
  return Number(new RegExp(`^${field}:\\s*(\\d+)`, 'm').exec(readText(`/proc/${pid}/status`))?.[1] ?? 0);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
