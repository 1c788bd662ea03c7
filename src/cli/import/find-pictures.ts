import { readdir, stat } from 'node:fs/promises';
import { extname, join, resolve } from 'node:path';

/** What was found under the files and folders that the caller named. */
export interface FoundPictures {
  /** Paths in the order in which they are to be uploaded, each once. */
  readonly files: readonly string[];
  /** Files in folders that are no pictures by their name, and symbolic links. */
  readonly skipped: number;
  readonly problems: readonly { readonly file: string; readonly reason: string }[];
}

const pictureExtensions = new Set(
  ['jpg', 'jpeg', 'jpe', 'jfif', 'png', 'gif', 'webp', 'avif', 'tif', 'tiff', 'bmp'].map(
    (name) => `.${name}`,
  ),
);

/** Finds the pictures to import: files as named, folders with everything below them. */
export async function findPictures(inputs: readonly string[]): Promise<FoundPictures> {
  const files = new Map<string, string>();
  const problems: { file: string; reason: string }[] = [];
  let skipped = 0;

  async function visitInput(path: string): Promise<void> {
    const info = await stat(path);
    if (info.isDirectory()) await visitFolder(path);
    else if (info.isFile()) files.set(resolve(path), path);
    else problems.push({ file: path, reason: 'This is neither a file nor a folder.' });
  }

  async function visitFolder(folder: string): Promise<void> {
    const entries = await readdir(folder, { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.name.startsWith('.')) continue;
      const path = join(folder, entry.name);
      if (entry.isDirectory()) await noting(path, visitFolder);
      // A link leads out of the tree, into a loop, or to a file of the tree that is visited anyway.
      else if (entry.isFile() && isPictureName(entry.name)) files.set(resolve(path), path);
      else skipped += 1;
    }
  }

  /** One folder that cannot be read must not stop the others. */
  async function noting(path: string, visit: (path: string) => Promise<void>): Promise<void> {
    try {
      await visit(path);
    } catch (error) {
      problems.push({ file: path, reason: pathProblem(error) });
    }
  }

  for (const input of inputs) await noting(input, visitInput);
  return { files: [...files.values()], skipped, problems };
}

function isPictureName(name: string): boolean {
  return pictureExtensions.has(extname(name).toLowerCase());
}

const pathSentences: Readonly<Record<string, string>> = {
  ENOENT: 'There is no such file or folder.',
  ENOTDIR: 'There is no such file or folder.',
  EACCES: 'It may not be read by this user.',
  EPERM: 'It may not be read by this user.',
};

/** A sentence for an error of the file system. */
export function pathProblem(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return (
    pathSentences[code] ?? `It cannot be read (${error instanceof Error ? error.message : String(error)}).`
  );
}
