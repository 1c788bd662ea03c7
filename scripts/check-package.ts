import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, posix } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/**
 * Packs Vitrine as npm would publish it and installs the package into an empty folder. Checks that the package contains
 * the right files and that its server starts and ingests a picture. Requires access to the npm registry.
 */

const root = fileURLToPath(new URL('../', import.meta.url));
/** The folder of the running Node is first in PATH. Otherwise, npm might use a Node that does not satisfy `engines`. */
const env = { ...process.env, PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter) };
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

const requiredFiles = [
  'package.json',
  'README.md',
  'LICENSE',
  'CHANGELOG.md',
  'bin/vitrine.js',
  'dist/main.js',
];
const allowedFilePattern =
  /^(?:package\.json|LICENSE|[A-Z_]+\.md|bin\/vitrine\.js|docs\/.+|dist\/.+\.(?:js|sql))$/;

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
  const output = run(root, 'npm', 'pack', '--json', '--pack-destination', folder);
  // The build may print lines before the JSON.
  const [summary] = JSON.parse(output.slice(output.search(/^\[/m))) as [
    { filename: string; files: { path: string }[] },
  ];
  return { tarball: join(folder, summary.filename), files: summary.files.map(({ path }) => path) };
}

/** Returns a sentence for each missing or unexpected file, and for each link to a file outside the package. */
function findFileProblems(files: readonly string[]): string[] {
  const links = files
    .filter((file) => file.endsWith('.md'))
    .flatMap((file) =>
      Array.from(
        readFileSync(join(root, file), 'utf8').matchAll(/\]\((?![a-z]+:|#)([^)\s#]+)/g),
        ([, target = '']) => ({ file, target: posix.join(posix.dirname(file), target) }),
      ),
    );
  return [
    ...requiredFiles.filter((file) => !files.includes(file)).map((file) => `${file} is missing`),
    ...files
      .filter((file) => !allowedFilePattern.test(file))
      .map((file) => `${file} does not belong in the package`),
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
  for (let attempt = 0; attempt < 1_200 && server.exitCode === null; attempt++) {
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

/**
 * Checks that a server is healthy and that an upload, which uses the decoder processes, succeeds. Returns the problems.
 */
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

/** Installs the package, starts its server and checks it. Returns the problems. */
async function checkInstalled(folder: string, tarball: string): Promise<string[]> {
  run(folder, 'npm', 'init', '--yes');
  run(folder, 'npm', 'install', '--no-audit', '--no-fund', tarball);
  const printedVersion = run(folder, 'npx', 'vitrine', '--version').trim();
  const { server, url } = await serve(folder);
  try {
    const problems = await checkServer(url);
    return printedVersion === version
      ? problems
      : [`vitrine --version prints ${printedVersion}`, ...problems];
  } finally {
    stop(server, 'SIGTERM');
    await once(server, 'close');
  }
}

const folder = mkdtempSync(join(tmpdir(), 'vitrine-package-'));
try {
  const { tarball, files } = pack(folder);
  const problems = [...findFileProblems(files), ...(await checkInstalled(folder, tarball))];
  for (const problem of problems) console.error(problem);
  console.log(`${files.length} files, ${problems.length} problems`);
  process.exitCode = problems.length === 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}
