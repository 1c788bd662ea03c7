import type { JobState } from './job.ts';

/** A customer of the installation. Pictures, usage and duplicates are separate for each tenant. */
export interface Tenant {
  readonly id: number;
  readonly name: string;
}

/** Tenant of uploads that name none. */
export const defaultTenant = 'default';

/** Valid names of tenants: 1–64 letters, digits, dots, underscores or hyphens. */
export const tenantName = /^[A-Za-z0-9._-]{1,64}$/;

/** Whether `name` is a valid name of a tenant. */
export function isTenantName(name: string): boolean {
  return tenantName.test(name);
}

/**
 * Storage usage of images that are not deleted. Every image and every rendition is counted. The bytes of a file that
 * several images share are counted once, for the image that owns it: the original of exact copies, the renditions of
 * copies and of near-duplicates.
 */
interface Usage {
  readonly images: number;
  readonly renditions: number;
  readonly originalBytes: number;
  readonly renditionBytes: number;
  readonly bytesByPreset: Readonly<Record<string, number>>;
  readonly imagesByStatus: Readonly<Record<JobState, number>>;
}

/** Storage usage of a tenant. */
export interface TenantUsage extends Usage {
  readonly tenantId: number;
  readonly tenant: string;
}

/** Storage usage of all tenants together. */
export interface OverallUsage extends Usage {
  readonly imagesByTenant: Readonly<Record<string, number>>;
}
