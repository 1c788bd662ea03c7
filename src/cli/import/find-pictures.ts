import { readdir, stat } from 'node:fs/promises';
import { extname, join, resolve } from 'node:path';

/** The result of scanning files and folders. */
export interface FoundPictures {
  /** Paths in upload order, without duplicates. */
  readonly files: readonly string[];
  /** Number of skipped files in folders: symbolic links, and files without an image extension. */
  readonly skipped: number;
  readonly problems: readonly { readonly file: string; readonly reason: string }[];
}

const pictureExtensions = new Set(
  ['jpg', 'jpeg', 'jpe', 'jfif', 'png', 'gif', 'webp', 'avif', 'tif', 'tiff', 'bmp'].map(
    (name) => `.${name}`,
  ),
);

/**
 * Finds the files to import: every file in `inputs`, and every file with an image extension in the folders in `inputs`
 * and in their subfolders.
 */
export async function findPictures(inputs: readonly string[]): Promise<FoundPictures> {
  const paths = new Map<string, string>();
  const problems: { file: string; reason: string }[] = [];
  let skipped = 0;

  async function visitInput(path: string): Promise<void> {
    const stats = await stat(path);
    if (stats.isDirectory()) await visitFolder(path);
    else if (stats.isFile()) paths.set(resolve(path), path);
    else problems.push({ file: path, reason: 'This is neither a file nor a folder.' });
  }

  async function visitFolder(folder: string): Promise<void> {
    const entries = await readdir(folder, { withFileTypes: true });
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (entry.name.startsWith('.')) continue;
      const path = join(folder, entry.name);
      if (entry.isDirectory()) await visitOrRecordError(path, visitFolder);
      // Symbolic links are skipped, because they may lead out of the folder, into a loop, or to a file that is visited
      // anyway.
      else if (entry.isFile() && hasPictureExtension(entry.name)) paths.set(resolve(path), path);
      else skipped += 1;
    }
  }

  /** Records an error instead of throwing, so that an unreadable folder does not stop the import. */
  async function visitOrRecordError(path: string, visit: (path: string) => Promise<void>): Promise<void> {
    try {
      await visit(path);
    } catch (error) {
      problems.push({ file: path, reason: describePathError(error) });
    }
  }

  for (const input of inputs) await visitOrRecordError(input, visitInput);
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

/** Returns a sentence that describes a file system error. */
export function describePathError(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return (
    pathErrorMessages[code] ?? `Cannot be read (${error instanceof Error ? error.message : String(error)}).`
  );
}
