import { cp, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { generateSampleCatalog } from '../../../src/cli/seed/generate-sample-catalog.ts';
import { type ProcessResult, runProgram } from '../../support/process/command.ts';
import { makeFolder, removeFolder } from '../../support/process/data-folder.ts';
import { startServer } from '../../support/process/server.ts';
import { readFiles } from './transcript.ts';

/** Addresses that documents write. */
const written = { server: 'http://127.0.0.1:8000', origin: 'http://127.0.0.1:9000' };

const launcher = fileURLToPath(new URL('../../../bin/vitrine.js', import.meta.url));
const vitrine = `${JSON.stringify(process.execPath)} ${JSON.stringify(launcher)}`;
const manifest = fileURLToPath(new URL('../../../package.json', import.meta.url));

/** Where the commands of one document run: a fresh server, a folder with the files they name, and an origin of pictures. */
export interface Stage {
  run(command: string): Promise<ProcessResult>;
}

/** A stage for one test, with the files that `document` writes out. `samples` is a folder of drawn pictures, if it needs any. */
export async function makeStage(document: string, samples?: string): Promise<Stage> {
  const folder = await makeFolder();
  onTestFinished(() => removeFolder(folder));
  const server = await startServer({ IMPORT_ALLOWED_NETWORKS: '127.0.0.1/32', WORKER_CONCURRENCY: '2' });
  const places: Places = [
    [written.server, server.url],
    [written.origin, await serveFolder(samples ?? folder)],
  ];
  if (samples !== undefined) await cp(samples, join(folder, 'samples'), { recursive: true });
  await cp(manifest, join(folder, 'package.json'));
  for (const [name, text] of readFiles(document)) await writeFile(join(folder, name), here(text, places));
  return {
    async run(command) {
      const script = here(command, places).replace(/^npx vitrine\b/, vitrine);
      const outcome = await runProgram('bash', ['-c', script], { DATA_DIR: server.dataDir }, folder);
      const back = (text: string) => places.reduce((seen, [name, real]) => seen.replaceAll(real, name), text);
      return { ...outcome, stdout: back(outcome.stdout), stderr: back(outcome.stderr) };
    },
  };
}

/** Addresses as documents write them, and as they are in this run. */
type Places = readonly (readonly [written: string, real: string])[];

function here(text: string, places: Places): string {
  return places.reduce((seen, [name, real]) => seen.replaceAll(name, real), text);
}

/** Draws the pictures that documents name: those of `vitrine seed --products 2 --keep samples`. */
export async function drawSamples(directory: string): Promise<void> {
  await generateSampleCatalog({ directory, products: 2, seed: '1' });
}

/** Serves the files of a folder, as `python3 -m http.server` does; answers its address. */
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
