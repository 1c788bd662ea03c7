import type { JobState } from './job.ts';
import type { Quotas } from './quota.ts';

/** A customer of the installation. Each tenant has separate images, usage and duplicates. */
export interface Tenant {
  readonly id: number;
  readonly name: string;
}

/** The tenant of uploads that do not specify a tenant. */
export const defaultTenant = 'default';

/** Pattern of a tenant name: 1–64 letters, digits, dots, underscores or hyphens. */
export const tenantNamePattern = /^[A-Za-z0-9._-]{1,64}$/;

/** Whether `name` is a valid tenant name. */
export function isTenantName(name: string): boolean {
  return tenantNamePattern.test(name);
}

/**
 * Storage usage of images that are not deleted. `renditions` counts those that records list, which are one per image and
 * preset; their further formats and densities, and renditions that were replaced, count only with their bytes. If several images share a file,
 * its bytes are counted once, for the image that owns it. Exact copies share the original and the renditions.
 * Near-duplicates can share the renditions.
 */
interface Usage {
  readonly images: number;
  readonly renditions: number;
  readonly originalBytes: number;
  readonly renditionBytes: number;
  /** Bytes of all renditions, including those that records do not list. */
  readonly bytesByPreset: Readonly<Record<string, number>>;
  readonly bytesByFormat: Readonly<Record<string, number>>;
  readonly imagesByStatus: Readonly<Record<JobState, number>>;
}

/** Storage usage of a tenant. */
export interface TenantUsage extends Usage {
  readonly tenantId: number;
  readonly tenant: string;
  /** Deleted images that have not been purged. They are not part of the usage. */
  readonly deletedImages: number;
  /** Bytes of the files of deleted images. A file that several images share may be counted for each. */
  readonly deletedBytes: number;
}

/** Usage of a tenant, and how much it may use. */
export interface TenantUsageReport extends TenantUsage {
  /** Imports by URL that were requested since midnight, UTC. */
  readonly importsToday: number;
  readonly quotas: Quotas;
}

/** Storage usage of all tenants combined. */
export interface OverallUsage extends Usage {
  readonly imagesByTenant: Readonly<Record<string, number>>;
}
