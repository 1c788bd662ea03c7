import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { readDockerfile } from './dockerfile.ts';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** Copies the files that the Dockerfile copies into the image. */
export async function copyApplication(folder: string): Promise<void> {
  for (const { sources, target } of (await readDockerfile()).copies) {
    for (const source of sources) {
      const to = target === './' ? join(folder, source) : join(folder, target);
      await cp(join(root, source), to, { recursive: true });
    }
  }
  await mkdir(join(folder, 'node_modules'));
}

/** Returns a folder with the production packages. They are installed as in the Dockerfile and cached between runs. */
export async function installProductionPackages(): Promise<string> {
  const files = ['package.json', 'package-lock.json'];
  const hash = createHash('sha256');
  for (const name of files) hash.update(await readFile(join(root, name)));
  const cacheFolder = join(tmpdir(), `vitrine-test-packages-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(cacheFolder)) return cacheFolder;
  const draftFolder = await mkdtemp(join(tmpdir(), 'vitrine-test-packages-draft-'));
  for (const name of files) await cp(join(root, name), join(draftFolder, name));
  const [program = '', ...args] = (await readDockerfile()).installCommand;
  // The command uses the machine's npm configuration.
  await promisify(execFile)(program, args, { cwd: draftFolder });
  // If a concurrent test file has already installed the packages, use its folder.
  await rename(draftFolder, cacheFolder).catch(() => rm(draftFolder, { recursive: true, force: true }));
  return cacheFolder;
}
