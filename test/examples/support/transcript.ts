/** One command of a document, and the output that is written below it. */
export interface Example {
  /** Line of the document, from 1. */
  readonly line: number;
  readonly command: string;
  /** What the document shows; empty when it shows nothing. */
  readonly output: string;
}

/** Programs whose calls are run; lines of others, such as `npm ci`, are for people. */
const runnable = /^(?:curl|npx vitrine) /;

/** The commands of a document that can be run, in its order: lines with `$ ` in blocks marked `console`. */
export function readExamples(document: string): Example[] {
  const examples: { line: number; command: string; output: string[] }[] = [];
  let inBlock = false;
  let current: (typeof examples)[number] | undefined;
  for (const [index, text] of document.split('\n').entries()) {
    if (text.startsWith('```')) {
      inBlock = text === '```console';
      current = undefined;
    } else if (inBlock && text.startsWith('$ ')) {
      current = { line: index + 1, command: text.slice(2), output: [] };
      examples.push(current);
    } else if (current?.output.length === 0 && isOpen(current.command)) {
      current.command = `${current.command}\n${text}`;
    } else current?.output.push(text);
  }
  return examples
    .filter(({ command }) => runnable.test(command))
    .map(({ line, command, output }) => ({ line, command, output: output.join('\n').trim() }));
}

/** Whether a command goes on in the next line. */
function isOpen(command: string): boolean {
  return command.endsWith('\\') || command.split("'").length % 2 === 0;
}

/** Files that a document writes out, by name: blocks whose first line names a file after the language. */
export function readFiles(document: string): Map<string, string> {
  const blocks = document.matchAll(/^```\w+ (?<name>[\w.-]+)\n(?<text>[\s\S]*?)^```$/gm);
  return new Map(Array.from(blocks, ({ groups }) => [groups?.['name'] ?? '', groups?.['text'] ?? '']));
}

/** Whether a command only asks: it may be asked again until a worker is done. */
export function onlyReads(command: string): boolean {
  return command.startsWith('curl ') && !/\s(?:-F|-d|-X|-T|--data(?:-\w+)?|--form|--request)\b/.test(command);
}
