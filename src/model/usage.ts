import type { JobState } from './job.ts';

/**
 * What living images use. Every image and every rendition counts; the bytes of a file that several images share count
 * once, with the image that owns it: originals of exact copies, renditions of copies and of near-duplicates.
 */
interface Usage {
  readonly images: number;
  readonly renditions: number;
  readonly originalBytes: number;
  readonly renditionBytes: number;
  readonly bytesByPreset: Readonly<Record<string, number>>;
  readonly imagesByStatus: Readonly<Record<JobState, number>>;
}

/** What a tenant uses. */
export interface TenantUsage extends Usage {
  readonly tenantId: number;
  readonly tenant: string;
}

/** What all tenants together use. */
export interface OverallUsage extends Usage {
  readonly imagesByTenant: Readonly<Record<string, number>>;
}
