import { parseEnv } from 'node:util';

/** A command in a document and the output shown below it. */
export interface Example {
  /** Line number in the document, from 1. */
  readonly line: number;
  readonly command: string;
  /** The documented output, which may be empty. */
  readonly output: string;
  /**
   * Settings of the server, from a line such as `$ AUTH=keys npm start &` in the same block, or from the last `.env` file
   * that the document shows with `$ cat .env`.
   */
  readonly settings: Readonly<Record<string, string>>;
}

/** Commands that the tests run. Other commands, such as `npm ci`, are only for readers. */
const runnablePattern = /^(?:curl|npx vitrine) /;

const startPattern = /^\$ (?<settings>(?:[A-Z_]+=\S+ )+)npm start\b/;

const showFile = '$ cat .env';

function parseSettings(text: string): Record<string, string> {
  return parseEnv(text) as Record<string, string>;
}

/** Returns the runnable commands in a document. A command is a line that starts with `$ ` in a `console` block. */
export function readExamples(document: string): Example[] {
  const examples: (Omit<Example, 'output'> & { command: string; output: string[] })[] = [];
  let inBlock = false;
  let settings: Example['settings'] = {};
  let fileSettings: Example['settings'] = {};
  let currentExample: (typeof examples)[number] | undefined;
  for (const [index, text] of document.split('\n').entries()) {
    if (text.startsWith('```')) {
      inBlock = text === '```console';
      currentExample = undefined;
      settings = fileSettings;
    } else if (inBlock && text.startsWith('$ ')) {
      const start = startPattern.exec(text)?.groups?.['settings'];
      if (start) settings = parseSettings(start.trim().replaceAll(' ', '\n'));
      if (text === showFile) fileSettings = {};
      currentExample = { line: index + 1, command: text.slice(2), output: [], settings };
      examples.push(currentExample);
    } else if (currentExample?.output.length === 0 && isIncomplete(currentExample.command)) {
      currentExample.command = `${currentExample.command}\n${text}`;
    } else if (inBlock && `$ ${currentExample?.command}` === showFile) {
      fileSettings = { ...fileSettings, ...parseSettings(text) };
      settings = fileSettings;
    } else currentExample?.output.push(text);
  }
  return examples
    .filter(({ command }) => runnablePattern.test(command))
    .map(({ output, ...example }) => ({ ...example, output: output.join('\n').trim() }));
}

/** Whether a command continues on the next line. */
function isIncomplete(command: string): boolean {
  return command.endsWith('\\') || command.split("'").length % 2 === 0;
}

/**
 * Returns the contents of the files in a document, by file name. A file is a code block with a file name after the
 * language.
 */
export function readFiles(document: string): Map<string, string> {
  const blocks = document.matchAll(/^```\w+ (?<name>[\w.-]+)\n(?<text>[\s\S]*?)^```$/gm);
  return new Map(Array.from(blocks, ({ groups }) => [groups?.['name'] ?? '', groups?.['text'] ?? '']));
}

/** Whether a command changes nothing, so that it can be repeated until a worker has completed a job. */
export function isReadOnly(command: string): boolean {
  return command.startsWith('curl ') && !/\s(?:-F|-d|-X|-T|--data(?:-\w+)?|--form|--request)\b/.test(command);
}
