import { allScopes, roleNames, roles, type Scope, scopes } from '../src/model/access.ts';
import { listRequiredScopes, type UseCase } from '../src/services/access/required-scopes.ts';
import { writeOrCheck } from './generated-file.ts';
import { generateOpenApiDocument } from './openapi-document.ts';

/**
 * Generates the tables in `docs/access.md` from the table of required scopes and from the routes. With `--check`, only checks
 * that the tables are up to date.
 */

/** Common tasks, with the use cases that each of them calls, or a scope if it calls none. */
const tasks: readonly { readonly task: string; readonly calls: readonly (UseCase | Scope)[] }[] = [
  {
    task: 'Read renditions from your own back end, without [signed links](#signed-links)',
    calls: ['retrieve.rendition', 'retrieve.cached', 'deliver.load', 'deliver.negotiate'],
  },
  { task: 'Sign links to renditions', calls: ['links.toRendition'] },
  { task: 'Sign links to originals', calls: ['links.toOriginal'] },
  { task: 'Download originals', calls: ['retrieve.original'] },
  { task: 'List images and follow their status', calls: ['listImages', 'retrieve.find'] },
  { task: 'Upload images', calls: ['ingestUpload'] },
  {
    task: 'Upload images directly to the bucket (presigned uploads)',
    calls: ['presignUpload', 'ingestPresigned'],
  },
  {
    task: 'Import a catalog by URL and follow the progress',
    calls: ['ingestUrls.one', 'ingestUrls.many', 'findImport'],
  },
  {
    task: 'Keep references in step with a shop system',
    calls: ['references.list', 'references.add', 'references.remove'],
  },
  { task: 'Find duplicates and similar images', calls: ['findDuplicates', 'findSimilar', 'searchByPicture'] },
  {
    task: 'Decide about duplicates, and resolve groups of them',
    calls: ['duplicateGroups.list', 'judgePairs.set', 'judgePairs.remove', 'duplicateGroups.resolve'],
  },
  { task: 'Compare images and preview presets', calls: ['compareWithImage', 'tryPresets'] },
  { task: 'Delete and restore images', calls: ['deleteImage', 'restoreImage'] },
  { task: 'Purge on a schedule', calls: ['purgeUnused', 'purgeDeleted'] },
  { task: 'Inspect and retry jobs', calls: ['jobs.list', 'jobs.find', 'jobs.retry', 'jobs.retryAll'] },
  { task: 'Report usage', calls: ['usage.tenants', 'usage.tenant', 'usage.overall'] },
  {
    task: 'Manage API keys',
    calls: ['apiKeys.create', 'apiKeys.list', 'apiKeys.find', 'apiKeys.rotate', 'apiKeys.revoke'],
  },
  { task: 'Scrape metrics and read the detailed health', calls: ['metrics.read'] },
  { task: 'Read the audit log', calls: ['audit.list', 'audit.export'] },
];

interface Operation {
  readonly 'x-required-scopes'?: readonly Scope[];
  readonly 'x-requires-all-scopes'?: boolean;
  readonly 'x-accepts-signed-links'?: boolean;
  readonly 'x-needs-signature'?: boolean;
}
type Paths = Readonly<Record<string, Readonly<Record<string, Operation>>>>;

function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const divider = header.map(() => '---');
  return [header, divider, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function formatScopes(names: readonly string[], separator: string): string {
  return names.length === 0 ? 'none' : names.map((name) => `\`${name}\``).join(separator);
}

function formatRoles(): string {
  const sortedRoles = roleNames.toReversed();
  return formatTable(
    ['Scope', 'Allows', ...sortedRoles],
    allScopes.map((scope) => [
      `\`${scope}\``,
      scopes[scope],
      ...sortedRoles.map((role) => ((roles[role] as readonly Scope[]).includes(scope) ? '✓' : '')),
    ]),
  );
}

function formatTasks(): string {
  return formatTable(
    ['Task', 'Scopes'],
    tasks.map(({ task, calls }) => {
      const needed = new Set<string>(
        calls.flatMap((name): readonly string[] => listRequiredScopes(name) ?? [name]),
      );
      return [
        task,
        formatScopes(
          allScopes.filter((scope) => needed.has(scope)),
          ', ',
        ),
      ];
    }),
  );
}

/** Lists every request with the scopes of which it needs one, or all. */
async function formatRequests(): Promise<string> {
  const { paths } = (await generateOpenApiDocument()) as { readonly paths: Paths };
  const rows = Object.entries(paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => [
      `\`${method.toUpperCase()} ${path}\``,
      formatAccess(operation),
    ]),
  );
  return formatTable(['Request', 'Scope'], rows);
}

function formatAccess(operation: Operation): string {
  if (operation['x-needs-signature']) return 'a [signed URL](delivery.md#signed-urls)';
  const separator = operation['x-requires-all-scopes'] ? ' and ' : ' or ';
  const scopesText = formatScopes(operation['x-required-scopes'] ?? [], separator);
  return operation['x-accepts-signed-links'] ? `${scopesText}, or a signed link` : scopesText;
}

/** Replaces the text between the two comments that name a table. */
function replaceTable(text: string, name: string, table: string): string {
  const [begin, end] = [`<!-- ${name}: generated by \`npm run docs\` -->\n`, `\n<!-- end of ${name} -->`];
  const [before, rest] = splitOnce(text, begin);
  const [, after] = splitOnce(rest, end);
  return `${before}${begin}\n${table}\n${end}${after}`;
}

function splitOnce(text: string, separator: string): [string, string] {
  const index = text.indexOf(separator);
  if (index < 0) throw new Error(`docs/access.md does not contain ${JSON.stringify(separator)}.`);
  return [text.slice(0, index), text.slice(index + separator.length)];
}

await writeOrCheck(
  'docs/access.md',
  'the routes and src/services/access/required-scopes.ts',
  async (text) => {
    const withRoles = replaceTable(text, 'roles', formatRoles());
    const withTasks = replaceTable(withRoles, 'tasks', formatTasks());
    return replaceTable(withTasks, 'requests', await formatRequests());
  },
);
