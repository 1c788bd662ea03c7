import type { ImportQueries } from '../db/imports.ts';
import type { ImageQueries } from '../db/images/images.ts';
import type { TenantQueries } from '../db/tenants.ts';
import type { EnqueuedUrl, UrlLine } from '../db/jobs/enqueue-urls.ts';
import type { JobQueries } from '../db/jobs/job-queries.ts';
import { AppError, asAppError } from '../errors.ts';
import type { AddressRules } from '../fetcher/address-rules.ts';
import { maxUrlLength, parseImportUrl } from '../fetcher/import-url.ts';
import type { DuplicateHandling } from '../model/duplicates.ts';
import type { ImageWithRenditions } from '../model/image.ts';
import type { ImportLine } from '../model/import.ts';
import type { DueJob } from '../model/job.ts';
import type { Principal } from '../model/principal.ts';
import { redactSecrets } from '../model/redact-url.ts';
import type { WorkQueue } from '../queue/queue.ts';
import type { AssertFreeSpace } from '../storage/free-space.ts';
import { ensureTenant } from './find-tenant.ts';
import { priorities } from './priorities.ts';
import { imageDeleted } from './wait-for-image.ts';
import { newReference } from './reference-name.ts';

interface Dependencies {
  readonly tenants: TenantQueries;
  readonly images: Pick<ImageQueries, 'find'>;
  readonly jobs: Pick<JobQueries, 'enqueueUrls'>;
  readonly imports: Pick<ImportQueries, 'record'>;
  readonly queue: Pick<WorkQueue, 'wake'>;
  readonly assertFreeSpace: AssertFreeSpace;
  readonly addressRules: AddressRules;
  readonly handling: DuplicateHandling;
}

/** A URL to import, and for whom. */
export interface UrlToImport {
  readonly url: string;
  readonly tenantName: string;
  /** Who uses the image: becomes a reference of it. */
  readonly reference?: string | undefined;
  /** Why the line cannot be read, as a clause: it is refused with this reason. */
  readonly fault?: string | undefined;
}

/** What an import of many URLs led to, line by line. */
export interface ImportReceipt {
  readonly id: number;
  readonly uuid: string;
  readonly createdAt: Date;
  readonly lines: readonly ImportLine[];
}

/** Takes URLs in: image and job are there when this answers; a worker fetches the pictures. */
export interface IngestUrls {
  /**
   * `known`: the image is completed. `active`: it is in work already. `new`: a run has begun.
   * @throws {AppError} `invalid_url`, `address_not_allowed`, `invalid_tenant`, `tenant_not_found`, `import_active`,
   *   `storage_full`.
   */
  one(
    principal: Principal,
    line: UrlToImport,
  ): Promise<{ readonly outcome: 'new' | 'known' | 'active'; readonly image: ImageWithRenditions }>;
  /** Up to 1,000 lines. A bad line is refused by itself, with its sentence in the answer. */
  many(principal: Principal, lines: readonly UrlToImport[]): Promise<ImportReceipt>;
}

/** @see IngestUrls */
export function makeIngestUrls(deps: Dependencies): IngestUrls {
  // What is full already could not keep the picture; the rows of the embedded database lie there, too.
  const { images, jobs, imports, queue, handling, assertFreeSpace } = deps;
  return {
    async one(principal, toImport) {
      await assertFreeSpace();
      const line = await readLine(deps, principal, toImport);
      const [recorded] = await jobs.enqueueUrls([line], handling, priorities.single);
      if (!recorded) throw new Error('One URL leads to one image.');
      const { outcome, imageId } = recorded;
      if (outcome === 'refused') throw alreadyActive(imageId);
      queue.wake(jobsOf([recorded]));
      const image = await images.find(principal, { id: imageId });
      if (!image) throw imageDeleted(imageId);
      return { outcome, image };
    },

    async many(principal, toImport) {
      await assertFreeSpace();
      const read = await Promise.all(toImport.map((line) => tryLine(deps, principal, line)));
      const good = read.filter((line): line is UrlLine => !(line instanceof AppError));
      const recorded = good.length > 0 ? await jobs.enqueueUrls(good, handling, priorities.batch) : [];
      const outcomes = new Map(good.map((line, index) => [line, recorded[index]]));
      const lines = read.map((line, index) =>
        receiptLine(index + 1, toImport[index], line instanceof AppError ? line : outcomes.get(line)),
      );
      queue.wake(jobsOf(recorded));
      return { ...(await imports.record(principal, lines)), lines };
    },
  };
}

async function readLine(
  { tenants, addressRules }: Dependencies,
  principal: Principal,
  { url, tenantName, reference, fault }: UrlToImport,
): Promise<UrlLine> {
  if (fault !== undefined) throw new AppError('invalid_request', `This line cannot be read: ${fault}.`);
  const { href, hash } = parseImportUrl(url, addressRules);
  const name = reference === undefined ? undefined : newReference(reference);
  const tenant = await ensureTenant(tenants, principal, tenantName);
  return { tenantId: tenant.id, url: href, urlHash: hash, reference: name };
}

/** A bad line is no reason to refuse the others; a database that is away is. */
async function tryLine(
  deps: Dependencies,
  principal: Principal,
  line: UrlToImport,
): Promise<UrlLine | AppError> {
  try {
    return await readLine(deps, principal, line);
  } catch (error) {
    const named = asAppError(error);
    if (named.status >= 500) throw error;
    return named;
  }
}

/** The jobs that these lines have begun. */
function jobsOf(recorded: readonly EnqueuedUrl[]): DueJob[] {
  return recorded.flatMap(({ job }) => job ?? []);
}

function receiptLine(
  line: number,
  source: UrlToImport | undefined,
  result: EnqueuedUrl | AppError | undefined,
): ImportLine {
  const error = result instanceof AppError ? result : refusalOf(result);
  return {
    line,
    // The image stores the fetched URL; a report needs no signatures.
    url: redactSecrets(excerpt(source?.url ?? '', maxUrlLength)),
    tenant: excerpt(source?.tenantName ?? '', longestEcho),
    reference: source?.reference === undefined ? null : excerpt(source.reference, longestEcho),
    outcome: error ? 'refused' : (result as EnqueuedUrl).outcome,
    imageId: result instanceof AppError ? null : (result?.imageId ?? null),
    code: error?.code ?? null,
    error: error?.message ?? null,
  };
}

/** Maximum stored length of a refused line's tenant and reference, in characters; longer values are cut. */
const longestEcho = 200;

/**
 * The beginning of a text, without bidirectional control characters: a refused line is limited in size and cannot
 * garble its surroundings.
 */
function excerpt(whole: string, longest: number): string {
  const text = whole.replaceAll(/[\u202A-\u202E\u2066-\u2069]/g, '');
  if (text.length <= longest) return text;
  const characters = Array.from(text.slice(0, 2 * longest + 2));
  return characters.length <= longest ? text : `${characters.slice(0, longest - 1).join('')}…`;
}

function refusalOf(recorded: EnqueuedUrl | undefined): AppError | undefined {
  return recorded?.outcome === 'refused' ? alreadyActive(recorded.imageId) : undefined;
}

function alreadyActive(imageId: number): AppError {
  return new AppError(
    'import_active',
    `This URL is being imported as image ${imageId}; try again when that has ended.`,
    { details: { image_id: imageId } },
  );
}
