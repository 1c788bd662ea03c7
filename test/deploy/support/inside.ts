import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { forward } from './forward.ts';

/** A command to run in its own root folder and network namespace. */
export interface Plan {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly folder: string;
  /** Whether it runs as process 1 of its own PID namespace. */
  readonly isFirst: boolean;
  /** Inner addresses that are forwarded to sockets. */
  readonly reached: readonly { readonly host: string; readonly port: number; readonly socket: string }[];
  /** Sockets that are forwarded to inner ports. */
  readonly published: readonly { readonly port: number; readonly socket: string }[];
}

/** Later requests, one per line. */
export type Order = { readonly signal: NodeJS.Signals } | { readonly run: readonly string[] };

const user = ['setpriv', '--reuid=1000', '--regid=1000', '--clear-groups'];
const alone = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];

async function main(plan: Plan): Promise<number> {
  for (const { host, port, socket } of plan.reached) await forward({ host, port }, { path: socket });
  for (const { port, socket } of plan.published) await forward({ path: socket }, { host: '127.0.0.1', port });
  const { folder: cwd, environment: env } = plan;
  const [program = '', ...args] = [...(plan.isFirst ? alone : []), ...user, ...plan.command];
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'inherit', 'inherit'] });
  const orders = createInterface({ input: process.stdin });
  orders.on('line', (line) => obey(JSON.parse(line) as Order, plan, child));
  orders.on('close', () => process.exit(99));
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  if (signal !== null) process.stdout.write(`ended by ${signal}\n`);
  return code ?? 98;
}

function obey(order: Order, plan: Plan, child: ChildProcess): void {
  if ('signal' in order) {
    process.kill(plan.isFirst ? childOf(child.pid) : (child.pid ?? 0), order.signal);
    return;
  }
  void run(order.run, plan);
}

/** Prints exit code and output as one line. This process keeps forwarding connections meanwhile. */
async function run(command: readonly string[], { folder: cwd, environment: env }: Plan): Promise<void> {
  const [program = '', ...args] = [...user, ...command];
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] });
  let stdout = '';
  child.stdout.on('data', (chunk) => (stdout += String(chunk)));
  const [status] = (await once(child, 'close')) as [number | null];
  process.stdout.write(`@ran ${JSON.stringify({ status, stdout })}\n`);
}

function childOf(pid = 0): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]);
}

process.exit(await main(JSON.parse(process.argv[2] ?? '') as Plan));
