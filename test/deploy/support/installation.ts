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

/** Returns a folder with the production packages, installed as in the Dockerfile and kept between runs. */
export async function productionPackages(): Promise<string> {
  const files = ['package.json', 'package-lock.json'];
  const hash = createHash('sha256');
  for (const name of files) hash.update(await readFile(join(root, name)));
  const cached = join(tmpdir(), `vitrine-test-packages-${hash.digest('hex').slice(0, 16)}`);
  if (existsSync(cached)) return cached;
  const draft = await mkdtemp(join(tmpdir(), 'vitrine-test-packages-draft-'));
  for (const name of files) await cp(join(root, name), join(draft, name));
  const [program = '', ...args] = (await readDockerfile()).install;
  // Uses the npm configuration of this machine.
  await promisify(execFile)(program, args, { cwd: draft });
  // If another test file has installed them meanwhile, use that folder.
  await rename(draft, cached).catch(() => rm(draft, { recursive: true, force: true }));
  return cached;
}
