import type { Config } from '../config.ts';
import type { ImportQueries } from '../db/imports.ts';
import type { ImageQueries } from '../db/images/images.ts';
import type { TenantQueries } from '../db/tenants.ts';
import type { EnqueuedUrl, UrlLine } from '../db/jobs/enqueue-urls.ts';
import type { JobQueries } from '../db/jobs/job-queries.ts';
import { AppError, asAppError } from '../errors.ts';
import { maxUrlLength, parseImportUrl } from '../fetcher/import-url.ts';
import type { ImageWithRenditions } from '../model/image.ts';
import type { ImportLine, ImportRef, ImportReport } from '../model/import.ts';
import { type DueJob, priorities } from '../model/job.ts';
import type { Principal } from '../model/principal.ts';
import { redactSecrets } from '../model/redact-url.ts';
import type { WorkQueue } from '../queue/queue.ts';
import type { AssertFreeSpace } from '../storage/free-space.ts';
import { imageDeleted } from './image-errors.ts';
import { parseNewReference } from './references.ts';
import type { FindQuotas } from './settings-cache.ts';
import { ensureTenant } from './tenants.ts';

interface Dependencies {
  readonly tenants: TenantQueries;
  readonly images: Pick<ImageQueries, 'find'>;
  readonly jobs: Pick<JobQueries, 'enqueueUrls'>;
  readonly imports: Pick<ImportQueries, 'record'>;
  readonly queue: Pick<WorkQueue, 'wake'>;
  readonly assertFreeSpace: AssertFreeSpace;
  readonly findQuotas: FindQuotas;
  readonly config: Pick<Config['imports'], 'allowedNetworks' | 'duplicateHandling'>;
}

/** A line of an import, with its URL and its tenant. */
export interface UrlToImport {
  readonly url: string;
  /** Default: the caller's tenant, or else the tenant `default`. */
  readonly tenantName?: string | undefined;
  /** Reference to add to the image. */
  readonly reference?: string | undefined;
  /** Why the line cannot be parsed, as a clause. If this is set, the line is rejected. */
  readonly parseError?: string | undefined;
}

/** The recorded lines of an import. */
export interface ImportReceipt {
  readonly id: number;
  readonly uuid: string;
  readonly createdAt: Date;
  readonly lines: readonly ImportLine[];
}

/** Records an image and a job for each URL. A worker downloads the pictures later. */
export interface IngestUrls {
  /**
   * Imports one URL. The outcome is `known` if the image is already completed, `active` if its import is in progress,
   * and `new` if a job was queued.
   * @throws {AppError} `invalid_url`, `address_not_allowed`, `invalid_tenant`, `tenant_not_found`, `import_active`,
   *   `storage_full`, `quota_exceeded`, `import_quota_exceeded`.
   */
  one(
    principal: Principal,
    line: UrlToImport,
  ): Promise<{ readonly outcome: 'new' | 'known' | 'active'; readonly image: ImageWithRenditions }>;
  /**
   * Imports up to 1,000 URLs. Invalid lines are rejected, with the reason in the receipt, and the other lines are
   * imported.
   */
  many(principal: Principal, lines: readonly UrlToImport[]): Promise<ImportReceipt>;
}

/** @see IngestUrls */
export function makeIngestUrls(deps: Dependencies): IngestUrls {
  const { images, jobs, imports, queue, assertFreeSpace } = deps;
  const { duplicateHandling } = deps.config;

  async function enqueue(
    principal: Principal,
    lines: readonly UrlLine[],
    priority: number,
  ): Promise<EnqueuedUrl[]> {
    if (lines.length === 0) return [];
    const tenantIds = [...new Set(lines.map(({ tenantId }) => tenantId))];
    const quotas = await Promise.all(tenantIds.map(async (id) => [id, await deps.findQuotas(id)] as const));
    return jobs.enqueueUrls(principal, lines, duplicateHandling, priority, new Map(quotas));
  }

  return {
    async one(principal, urlToImport) {
      // If the disk is full, neither the picture nor the rows of an embedded database can be stored.
      await assertFreeSpace();
      const line = await parseLine(deps, principal, urlToImport);
      const [enqueuedUrl] = await enqueue(principal, [line], priorities.single);
      if (!enqueuedUrl) throw new Error('Expected one image for each URL.');
      const { outcome, imageId, quotaError } = enqueuedUrl;
      if (quotaError) throw quotaError;
      if (outcome === 'refused') throw importAlreadyActive(imageId);
      queue.wake(collectJobs([enqueuedUrl]));
      const image = await images.find(principal, { id: imageId });
      if (!image) throw imageDeleted(imageId);
      return { outcome, image };
    },

    async many(principal, urlsToImport) {
      await assertFreeSpace();
      const parsedLines = await Promise.all(urlsToImport.map((line) => tryParseLine(deps, principal, line)));
      const acceptedLines = parsedLines.filter((line): line is UrlLine => !(line instanceof AppError));
      const enqueuedUrls = await enqueue(principal, acceptedLines, priorities.batch);
      const outcomes = new Map(acceptedLines.map((line, index) => [line, enqueuedUrls[index]]));
      const lines = parsedLines.map((line, index) =>
        toReceiptLine(index + 1, urlsToImport[index], line instanceof AppError ? line : outcomes.get(line)),
      );
      queue.wake(collectJobs(enqueuedUrls));
      return { ...(await imports.record(principal, lines)), lines };
    },
  };
}

async function parseLine(
  { tenants, config }: Dependencies,
  principal: Principal,
  { url, tenantName, reference, parseError }: UrlToImport,
): Promise<UrlLine> {
  if (parseError !== undefined)
    throw new AppError('invalid_request', `This line cannot be parsed: ${parseError}.`);
  const { href, hash } = parseImportUrl(url, config);
  const newReference = reference === undefined ? undefined : parseNewReference(reference);
  const tenant = await ensureTenant(tenants, principal, tenantName);
  return { tenantId: tenant.id, url: href, urlHash: hash, reference: newReference };
}

/**
 * Parses a line. Returns the error if the line is invalid. Other errors, such as a lost database connection, make the
 * whole import fail.
 */
async function tryParseLine(
  deps: Dependencies,
  principal: Principal,
  line: UrlToImport,
): Promise<UrlLine | AppError> {
  try {
    return await parseLine(deps, principal, line);
  } catch (error) {
    const appError = asAppError(error);
    if (appError.status >= 500) throw error;
    return appError;
  }
}

function collectJobs(enqueuedUrls: readonly EnqueuedUrl[]): DueJob[] {
  return enqueuedUrls.flatMap(({ job }) => job ?? []);
}

function toReceiptLine(
  lineNumber: number,
  source: UrlToImport | undefined,
  result: EnqueuedUrl | AppError | undefined,
): ImportLine {
  const error = result instanceof AppError ? result : toRefusal(result);
  return {
    line: lineNumber,
    // Signatures are removed from this copy of the URL. The image's row still contains them, because the download needs
    // them.
    url: redactSecrets(makeExcerpt(source?.url ?? '', maxUrlLength)),
    tenant: makeExcerpt(source?.tenantName ?? '', maxReportedLength),
    reference: source?.reference === undefined ? null : makeExcerpt(source.reference, maxReportedLength),
    outcome: error ? 'refused' : (result as EnqueuedUrl).outcome,
    imageId: result instanceof AppError || result?.quotaError ? null : (result?.imageId ?? null),
    code: error?.code ?? null,
    error: error?.message ?? null,
  };
}

/** Maximum length of a line's tenant name and of its reference in a report, in characters. */
const maxReportedLength = 200;

/**
 * Truncates text and removes bidirectional control characters, which could garble the surrounding text. Rejected lines
 * are stored as well, and they may contain any text.
 */
function makeExcerpt(input: string, maxLength: number): string {
  const text = input.replaceAll(/[\u202A-\u202E\u2066-\u2069]/g, '');
  if (text.length <= maxLength) return text;
  const characters = Array.from(text.slice(0, 2 * maxLength + 2));
  return characters.length <= maxLength ? text : `${characters.slice(0, maxLength - 1).join('')}…`;
}

function toRefusal(enqueuedUrl: EnqueuedUrl | undefined): AppError | undefined {
  if (enqueuedUrl?.outcome !== 'refused') return undefined;
  return enqueuedUrl.quotaError ?? importAlreadyActive(enqueuedUrl.imageId);
}

function importAlreadyActive(imageId: number): AppError {
  return new AppError(
    'import_active',
    `This URL is already being imported as image ${imageId}. Try again when that import has finished.`,
    { details: { image_id: imageId } },
  );
}

/** Returns the progress of an import and a page of its failures. @throws {AppError} `import_not_found`. */
export type FindImport = (
  principal: Principal,
  importRef: ImportRef,
  page: { readonly limit: number; readonly offset: number },
) => Promise<ImportReport>;

/** @see FindImport */
export function makeFindImport({ imports }: { readonly imports: Pick<ImportQueries, 'find'> }): FindImport {
  return async (principal, importRef, page) => {
    const report = await imports.find(principal, importRef, page);
    if (report) return report;
    const id = 'id' in importRef ? importRef.id : importRef.uuid;
    throw new AppError('import_not_found', `There is no import ${id}.`);
  };
}
