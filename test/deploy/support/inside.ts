import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { forward } from './forward.ts';

/** A command to run inside a container. */
export interface Plan {
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly workingFolder: string;
  /** Whether the command runs as process 1 of its own PID namespace. */
  readonly isPid1: boolean;
  /** Addresses inside the container that are forwarded to sockets. */
  readonly hostMappings: readonly { readonly host: string; readonly port: number; readonly socket: string }[];
  /** Sockets that are forwarded to ports inside the container. */
  readonly publishedPorts: readonly { readonly port: number; readonly socket: string }[];
}

/** A request to a running container, sent as one line of JSON. */
export type ContainerRequest = { readonly signal: NodeJS.Signals } | { readonly run: readonly string[] };

const userPrefix = ['setpriv', '--reuid=1000', '--regid=1000', '--clear-groups'];
const pidNamespacePrefix = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc'];

async function main(plan: Plan): Promise<number> {
  for (const { host, port, socket } of plan.hostMappings) await forward({ host, port }, { path: socket });
  for (const { port, socket } of plan.publishedPorts)
    await forward({ path: socket }, { host: '127.0.0.1', port });
  const { workingFolder: cwd, environment: env } = plan;
  const [program = '', ...args] = [
    ...(plan.isPid1 ? pidNamespacePrefix : []),
    ...userPrefix,
    ...plan.command,
  ];
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'inherit', 'inherit'] });
  const requests = createInterface({ input: process.stdin });
  requests.on('line', (line) => handle(JSON.parse(line) as ContainerRequest, plan, child));
  requests.on('close', () => process.exit(99));
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  if (signal !== null) process.stdout.write(`ended by ${signal}\n`);
  return code ?? 98;
}

function handle(request: ContainerRequest, plan: Plan, child: ChildProcess): void {
  if ('signal' in request) {
    process.kill(plan.isPid1 ? findFirstChildPid(child.pid) : (child.pid ?? 0), request.signal);
    return;
  }
  void run(request.run, plan);
}

/** Runs a command and prints its exit code and output as one line. Connections are still forwarded while it runs. */
async function run(
  command: readonly string[],
  { workingFolder: cwd, environment: env }: Plan,
): Promise<void> {
  const [program = '', ...args] = [...userPrefix, ...command];
  const child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] });
  let stdout = '';
  child.stdout.on('data', (chunk) => (stdout += String(chunk)));
  const [status] = (await once(child, 'close')) as [number | null];
  process.stdout.write(`@ran ${JSON.stringify({ status, stdout })}\n`);
}

function findFirstChildPid(pid = 0): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]);
}

process.exit(await main(JSON.parse(process.argv[2] ?? '') as Plan));
