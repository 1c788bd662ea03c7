import { cp, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { generateSampleCatalog } from '../../../src/cli/seed/generate-sample-catalog.ts';
import { type ProcessResult, runProgram } from '../../support/process/command.ts';
import { makeFolder, removeFolder } from '../../support/process/data-folder.ts';
import { type Server, startServer } from '../../support/process/server.ts';
import { readFiles } from './transcript.ts';

/** Addresses in the documents. */
const documentedUrls = { server: 'http://127.0.0.1:8000', origin: 'http://127.0.0.1:9000' };

const launcher = fileURLToPath(new URL('../../../bin/vitrine.js', import.meta.url));
const vitrine = `${JSON.stringify(process.execPath)} ${JSON.stringify(launcher)}`;
const manifest = fileURLToPath(new URL('../../../package.json', import.meta.url));

/** An environment for a document's commands: a new server, a folder with the documented files, and a picture server. */
export interface Workspace {
  /** Runs a command with a server that has these settings, which is started if necessary. */
  run(command: string, settings?: Readonly<Record<string, string>>): Promise<ProcessResult>;
}

/** Creates a workspace for one test, with the files in `document` and, if given, the pictures in `samples`. */
export async function makeWorkspace(document: string, samples?: string): Promise<Workspace> {
  const folder = await makeFolder();
  onTestFinished(() => removeFolder(folder));
  const getServer = makeGetServer();
  const originUrl = await serveFolder(samples ?? folder);
  const { url: defaultUrl } = await getServer({});
  const makeReplacements = (serverUrl: string): Replacements => [
    [documentedUrls.server, serverUrl],
    [documentedUrls.origin, originUrl],
  ];
  if (samples !== undefined) await cp(samples, join(folder, 'samples'), { recursive: true });
  await cp(manifest, join(folder, 'package.json'));
  for (const [name, text] of readFiles(document))
    await writeFile(join(folder, name), replaceUrls(text, makeReplacements(defaultUrl)));
  return {
    async run(command, settings = {}) {
      const server = await getServer(settings);
      const replacements = makeReplacements(server.url);
      const script = replaceUrls(command, replacements).replace(/^npx vitrine\b/, vitrine);
      const result = await runProgram(
        'bash',
        ['-c', script],
        { ...settings, DATA_DIR: server.dataDir },
        folder,
      );
      const restoreUrls = (text: string) =>
        replacements.reduce(
          (restored, [documented, actual]) => restored.replaceAll(actual, documented),
          text,
        );
      return { ...result, stdout: restoreUrls(result.stdout), stderr: restoreUrls(result.stderr) };
    },
  };
}

/** Returns a function that starts one server for each combination of settings. */
function makeGetServer(): (settings: Readonly<Record<string, string>>) => Promise<Server> {
  const servers = new Map<string, Promise<Server>>();
  return (settings) => {
    const id = JSON.stringify(settings);
    const defaults = { IMPORT_ALLOWED_NETWORKS: '127.0.0.1/32', WORKER_CONCURRENCY: '2' };
    const server = servers.get(id) ?? startServer({ ...defaults, ...settings });
    servers.set(id, server);
    return server;
  };
}

/** Pairs of documented and actual addresses. */
type Replacements = readonly (readonly [documented: string, actual: string])[];

function replaceUrls(text: string, replacements: Replacements): string {
  return replacements.reduce(
    (replaced, [documented, actual]) => replaced.replaceAll(documented, actual),
    text,
  );
}

/** Draws the same pictures as `vitrine seed --products 2 --keep samples`, which the documents use. */
export async function drawSamples(directory: string): Promise<void> {
  await generateSampleCatalog({ directory, productCount: 2, seed: '1' });
}

/** Serves the files in a folder, as `python3 -m http.server` does. Returns the URL. */
async function serveFolder(folder: string): Promise<string> {
  const server = createServer((request, response) => {
    readFile(join(folder, basename(request.url ?? ''))).then(
      (bytes) => response.writeHead(200, { 'content-type': 'image/jpeg' }).end(bytes),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
