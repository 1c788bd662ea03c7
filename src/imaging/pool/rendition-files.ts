import { rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Where a child writes the rendition of a preset. Names of presets come from the configuration, hence the encoding. */
export function renditionPath(outputDirectory: string, outputPrefix: string, preset: string): string {
  return join(outputDirectory, `${outputPrefix}-${encodeURIComponent(preset)}.jpg`);
}

/** Removes what a request may have written. Never throws: what stays behind is swept with the folder later. */
export async function removeRenditions(request: {
  readonly outputDirectory: string;
  readonly outputPrefix: string;
  readonly presets: readonly { readonly name: string }[];
}): Promise<void> {
  const paths = request.presets.map(({ name }) =>
    renditionPath(request.outputDirectory, request.outputPrefix, name),
  );
  await Promise.allSettled(paths.map((path) => rm(path, { force: true })));
}
