import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Setting } from '../src/config/setting.ts';
import { settings } from '../src/config/settings.ts';

/** Prints `docs/configuration.md` from the table of settings, or checks with `--check` that the file is up to date. */

const file = fileURLToPath(new URL('../docs/configuration.md', import.meta.url));

/** The headings, in the order of the document. */
const sectionTitles: Readonly<Record<keyof typeof settings, string>> = {
  server: 'Server',
  data: 'Data',
  database: 'Database',
  queue: 'Queue',
  storage: 'Storage',
  worker: 'Worker',
  decoder: 'Decoder',
  uploads: 'Uploads',
  imports: 'Imports by URL',
  renditions: 'Renditions',
  similarity: 'Duplicates and similarity',
  purge: 'Purge',
  retention: 'Retention',
  log: 'Log',
};

const introduction = `<!-- Made by \`npm run docs\` from src/config/settings.ts. Change the settings there, not here. -->

# Configuration

Every setting is an environment variable. None has to be set.

- **Precedence.** A variable of the environment wins. Then comes the same variable in a file \`.env\` of the working
  folder. Then comes the default. An empty value, or one of spaces only, means the default; set in the environment, it
  also hides the line of the \`.env\` file.
- **Older names.** Some settings have further names from older services. The first name in the table that is set counts.
- **\`.env\`.** One \`NAME=value\` in each line; \`#\` starts a comment. The file is read once, when the program starts.
- **Mistakes.** A value that is not understood stops the start with exit code 2. The message names each such variable
  and what it accepts, all of them at once. A variable that Vitrine does not know is ignored.
- **Numbers** may be written as \`10485760\`, \`10_485_760\` or \`50e6\`. **Words** such as \`true\` or \`info\` may have any case.

For example, a \`.env\` for larger pictures and another port:

\`\`\`sh
PORT=8080
MAX_UPLOAD_BYTES=52_428_800
MAX_PIXELS=100e6
PRESETS={"thumb":[100,100],"card":[400,400],"zoom":{"width":2000,"height":2000,"quality":80}}
\`\`\`

The limits that are no settings are in [limits.md](limits.md).
`;

function row({ name, aliases, fallback, fallbackWords, reader, about }: Setting<unknown>): string {
  const names = [name, ...aliases].map((word) => `\`${word}\``).join(', ');
  const standard = fallbackWords ?? (fallback === undefined ? 'not set' : `\`${fallback}\``);
  const cells = [names, standard, reader.accepts, about];
  return `| ${cells.map((cell) => cell.replaceAll('|', String.raw`\|`)).join(' | ')} |`;
}

function section(key: keyof typeof settings): string {
  const rows = Object.values<Setting<unknown>>(settings[key]).map(row);
  return `\n## ${sectionTitles[key]}\n\n| Variable | Default | Accepts | What it does |\n|---|---|---|---|\n${rows.join('\n')}\n`;
}

const sectionKeys = Object.keys(sectionTitles) as (keyof typeof settings)[];

function main(checkOnly: boolean): number {
  const wanted = introduction + sectionKeys.map(section).join('');
  if (!checkOnly) {
    writeFileSync(file, wanted);
    return 0;
  }
  if (existsSync(file) && readFileSync(file, 'utf8') === wanted) return 0;
  console.error('docs/configuration.md is not what src/config/settings.ts gives. Run: npm run docs');
  return 1;
}

process.exitCode = main(process.argv.includes('--check'));
