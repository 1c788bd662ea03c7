import { readdir, stat } from 'node:fs/promises';
import { extname, join, resolve } from 'node:path';

/** The result of scanning the given files and folders. */
export interface FoundPictures {
  /** Paths in upload order, without duplicates. */
  readonly files: readonly string[];
  /** Number of files in folders without a picture extension, and of symbolic links. */
  readonly skipped: number;
  readonly problems: readonly { readonly file: string; readonly reason: string }[];
}

const pictureExtensions = new Set(
  ['jpg', 'jpeg', 'jpe', 'jfif', 'png', 'gif', 'webp', 'avif', 'tif', 'tiff', 'bmp'].map(
    (name) => `.${name}`,
  ),
);

/** Finds the pictures to import: given files as they are, folders recursively. */
export async function findPictures(inputs: readonly string[]): Promise<FoundPictures> {
  const paths = new Map<string, string>();
  const problems: { file: string; reason: string }[] = [];
  let skipped = 0;

  async function visitInput(path: string): Promise<void> {
    const info = await stat(path);
    if (info.isDirectory()) await visitFolder(path);
    else if (info.isFile()) paths.set(resolve(path), path);
    else problems.push({ file: path, reason: 'Not a file or a folder.' });
  }

  async function visitFolder(folder: string): Promise<void> {
    const entries = await readdir(folder, { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.name.startsWith('.')) continue;
      const path = join(folder, entry.name);
      if (entry.isDirectory()) await visitOrNote(path, visitFolder);
      // A link leads out of the tree, into a loop, or to a file that is visited anyway.
      else if (entry.isFile() && hasPictureExtension(entry.name)) paths.set(resolve(path), path);
      else skipped += 1;
    }
  }

  /** Notes an error and continues, so that an unreadable folder does not stop the import. */
  async function visitOrNote(path: string, visit: (path: string) => Promise<void>): Promise<void> {
    try {
      await visit(path);
    } catch (error) {
      problems.push({ file: path, reason: describePathError(error) });
    }
  }

  for (const input of inputs) await visitOrNote(input, visitInput);
  return { files: [...paths.values()], skipped, problems };
}

function hasPictureExtension(name: string): boolean {
  return pictureExtensions.has(extname(name).toLowerCase());
}

const pathErrorMessages: Readonly<Record<string, string>> = {
  ENOENT: 'No such file or folder.',
  ENOTDIR: 'No such file or folder.',
  EACCES: 'Permission denied.',
  EPERM: 'Permission denied.',
};

/** Describes a file system error in a sentence. */
export function describePathError(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return (
    pathErrorMessages[code] ?? `Cannot be read (${error instanceof Error ? error.message : String(error)}).`
  );
}
