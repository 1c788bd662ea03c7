import { isIPv6 } from 'node:net';
import { isLoopbackHost, parseHost } from '../model/host.ts';
import { findSecretWarnings } from './access.ts';
import type { SettingValues } from './settings.ts';

/** Who can reach the server, according to its settings. */
export interface Exposure {
  /** Whether the server listens on a loopback address. */
  readonly isOnLoopback: boolean;
  /**
   * Host names that the server accepts, in addition to loopback names and IP addresses. `*.example.com` matches
   * subdomains; `*` matches every name.
   */
  readonly allowedHosts: readonly string[];
  /** Whether other machines can reach the server: directly, through a proxy with a public name, or as a function. */
  readonly isExposed: boolean;
  /** Why `isExposed` is true, as a clause. */
  readonly reason: string;
}

/** The default token that confirms purges if only this machine can reach the server. Older clients send it. */
export const defaultConfirmToken = 'DELETE_CONFIRMED';

/** @see Exposure @param isServerless whether a host calls a function for each request, so that `HOST` has no effect */
export function composeExposure({ server }: SettingValues, isServerless: boolean): Exposure {
  const { publicOrigin } = server;
  const publicHost = publicOrigin === undefined ? undefined : parseHost(new URL(publicOrigin).host);
  const allowedHosts = [...server.allowedHosts, ...(publicHost === undefined ? [] : [publicHost])];
  const isOnLoopback = !isServerless && isLoopbackSetting(server.host);
  return {
    isOnLoopback,
    allowedHosts,
    isExposed: !isOnLoopback || !allowedHosts.every((host) => isLoopbackHost(host)),
    reason: describeExposure(server.host, isOnLoopback, isServerless),
  };
}

function describeExposure(host: string, isOnLoopback: boolean, isServerless: boolean): string {
  if (isServerless) return 'Vitrine runs as a serverless function, which has a public address';
  if (isOnLoopback) return 'PUBLIC_URL or ALLOWED_HOSTS contains a public host';
  return `HOST is ${host.trim()}, which is not a loopback address`;
}

/** Whether a host name or IP address is a loopback address. Accepts IPv6 addresses with or without brackets. */
function isLoopbackSetting(setting: string): boolean {
  const text = setting.trim();
  const host = parseHost(isIPv6(text) ? `[${text}]` : text);
  return host !== undefined && isLoopbackHost(host);
}

/**
 * Returns the token that confirms purges. If it is `undefined`, purges that require a token are rejected. With `AUTH=keys`, the token
 * only prevents accidents, because a purge also needs a key with the scope `purge.run`.
 */
export function composeConfirmToken(
  { purge, access }: SettingValues,
  { isExposed }: Exposure,
): string | undefined {
  const isProtected = !isExposed || access.auth === 'keys';
  return purge.confirmToken || (isProtected ? defaultConfirmToken : undefined);
}

/** Returns warnings for the operator of a server that other machines can reach, or that has weak secrets. */
export function findExposureWarnings(values: SettingValues, exposure: Exposure): string[] {
  const hasKeys = values.access.auth === 'keys';
  return [
    ...findSecretWarnings(values),
    ...(hasKeys || !exposure.isExposed ? [] : openAccessWarnings(values, exposure)),
    ...(exposure.isExposed ? hostWarnings(values, exposure) : []),
  ];
}

function openAccessWarnings({ purge }: SettingValues, { reason }: Exposure): string[] {
  const warnings = [
    `${reason}, and AUTH is open, so there is no access control: anyone who can reach the server can upload, read and delete every image. Set AUTH=keys, or put a proxy with access control in front of it.`,
  ];
  if (!purge.confirmToken)
    warnings.push('PURGE_CONFIRM_TOKEN is not set: purges other than dry runs are rejected.');
  else if (purge.confirmToken === defaultConfirmToken)
    warnings.push(
      `PURGE_CONFIRM_TOKEN is ${defaultConfirmToken}, which is publicly documented: set it to a secret of your own.`,
    );
  return warnings;
}

function hostWarnings({ server }: SettingValues, { isOnLoopback }: Exposure): string[] {
  if (isOnLoopback || server.allowedHosts.length > 0 || server.publicOrigin !== undefined) return [];
  return [
    'ALLOWED_HOSTS is not set: requests for any host name are accepted, so a malicious web page can access this server through DNS rebinding.',
  ];
}
