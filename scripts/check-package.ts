import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, posix } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/**
 * Packs Vitrine as npm would publish it and installs the package into an empty folder. The package must contain the right
 * files, start a server, and ingest a picture. Needs the npm registry.
 */

const root = fileURLToPath(new URL('../', import.meta.url));
/** Puts this Node first in PATH, because npm might otherwise run on one that does not satisfy `engines`. */
const env = { ...process.env, PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter) };
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

const required = ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'bin/vitrine.js', 'dist/main.js'];
const allowed = /^(?:package\.json|LICENSE|[A-Z_]+\.md|bin\/vitrine\.js|docs\/.+|dist\/.+\.(?:js|sql))$/;

function run(folder: string, command: string, ...args: string[]): string {
  return execFileSync(command, args, {
    cwd: folder,
    env,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** Packs Vitrine into `folder`. */
function pack(folder: string): { readonly tarball: string; readonly files: readonly string[] } {
  const printed = run(root, 'npm', 'pack', '--json', '--pack-destination', folder);
  // The build may print lines before the JSON.
  const [packed] = JSON.parse(printed.slice(printed.search(/^\[/m))) as [
    { filename: string; files: { path: string }[] },
  ];
  return { tarball: join(folder, packed.filename), files: packed.files.map(({ path }) => path) };
}

/** Returns problems: missing and unexpected files, and relative links to files outside the package. */
function fileProblems(files: readonly string[]): string[] {
  const links = files
    .filter((file) => file.endsWith('.md'))
    .flatMap((file) =>
      Array.from(
        readFileSync(join(root, file), 'utf8').matchAll(/\]\((?![a-z]+:|#)([^)\s#]+)/g),
        ([, target = '']) => ({ file, target: posix.join(posix.dirname(file), target) }),
      ),
    );
  return [
    ...required.filter((file) => !files.includes(file)).map((file) => `${file} is missing`),
    ...files.filter((file) => !allowed.test(file)).map((file) => `${file} does not belong in the package`),
    ...links
      .filter(({ target }) => !files.includes(target))
      .map(({ file, target }) => `${file} links to ${target}, which is not in the package`),
  ];
}

/** Starts the installed server. Resolves with its URL once it listens. */
async function serve(folder: string): Promise<{ readonly server: ChildProcess; readonly url: string }> {
  const server = spawn('npx', ['vitrine', 'serve'], {
    cwd: folder,
    env: { ...env, HOST: '127.0.0.1', PORT: '0', DATA_DIR: join(folder, 'data') },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let log = '';
  for (const stream of [server.stdout, server.stderr]) stream.on('data', (chunk) => (log += String(chunk)));
  for (let tries = 0; tries < 1_200 && server.exitCode === null; tries++) {
    const url = /listens on (http:\/\/[\w.:]+)/.exec(log)?.[1];
    if (url !== undefined) return { server, url };
    await sleep(100);
  }
  stop(server, 'SIGKILL');
  throw new Error(`The server did not start:\n${log}`);
}

/** Sends a signal to npx and the server that it started. */
function stop({ pid = 0 }: ChildProcess, signal: NodeJS.Signals): void {
  process.kill(-pid, signal);
}

/** Checks the health of a server and uploads a picture, whose renditions need the decoder processes. Returns problems. */
async function checkServer(url: string): Promise<string[]> {
  const health = await fetch(`${url}/healthz`);
  const form = new FormData();
  form.set('file', new Blob([readFileSync(join(root, 'docs/images/sample-products.jpg'))]), 'sample.jpg');
  const upload = await fetch(`${url}/v1/images`, { method: 'POST', body: form });
  const body = await upload.text();
  return [
    ...(health.ok ? [] : [`GET /healthz returns ${health.status}: ${await health.text()}`]),
    ...(upload.status === 201 && body.includes('"status":"completed"')
      ? []
      : [`An upload returns ${upload.status}: ${body}`]),
  ];
}

/** Installs the package, starts it and checks it. Returns problems. */
async function checkInstalled(folder: string, tarball: string): Promise<string[]> {
  run(folder, 'npm', 'init', '--yes');
  run(folder, 'npm', 'install', '--no-audit', '--no-fund', tarball);
  const printed = run(folder, 'npx', 'vitrine', '--version').trim();
  const { server, url } = await serve(folder);
  try {
    const problems = await checkServer(url);
    return printed === version ? problems : [`vitrine --version prints ${printed}`, ...problems];
  } finally {
    stop(server, 'SIGTERM');
    await once(server, 'close');
  }
}

const folder = mkdtempSync(join(tmpdir(), 'vitrine-package-'));
try {
  const { tarball, files } = pack(folder);
  const problems = [...fileProblems(files), ...(await checkInstalled(folder, tarball))];
  for (const problem of problems) console.error(problem);
  console.log(`${files.length} files, ${problems.length} problems`);
  process.exitCode = problems.length === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}
