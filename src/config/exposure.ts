import { isIPv6 } from 'node:net';
import { isLoopbackHost, parseHost } from '../model/host.ts';
import type { SettingValues } from './settings.ts';

/** Who can reach a server, according to its settings. */
export interface Exposure {
  /** It listens on this machine only. */
  readonly isOnLoopback: boolean;
  /**
   * Host names that it accepts, in addition to loopback names and IP addresses; a name may begin with `*.`, and may be
   * `*`.
   */
  readonly allowedHosts: readonly string[];
  /** The origin that clients use, if known. */
  readonly publicOrigin: string | undefined;
  /**
   * Whether others than this machine may reach it: it listens beyond loopback, or a proxy with a public name is in
   * front of it.
   */
  readonly isExposed: boolean;
}

/** The word that confirms purges on a private machine, as older clients send it. */
export const documentedConfirmToken = 'DELETE_CONFIRMED';

/** @see Exposure */
export function composeExposure(values: SettingValues): Exposure {
  const { publicUrl } = values;
  const publicHost = publicUrl === undefined ? undefined : parseHost(new URL(publicUrl).host);
  const allowedHosts = [...values.allowedHosts, ...(publicHost === undefined ? [] : [publicHost])];
  const isOnLoopback = namesLoopback(values.host);
  return {
    isOnLoopback,
    allowedHosts,
    publicOrigin: publicUrl,
    isExposed: !isOnLoopback || !allowedHosts.every((host) => isLoopbackHost(host)),
  };
}

/** `HOST` is a name or an address; IPv6 addresses may have brackets. */
function namesLoopback(setting: string): boolean {
  const text = setting.trim();
  const host = parseHost(isIPv6(text) ? `[${text}]` : text);
  return host !== undefined && isLoopbackHost(host);
}

/** The token of a purge; if `undefined`, purges that require one are refused. */
export function composeConfirmToken(values: SettingValues, { isExposed }: Exposure): string | undefined {
  return values.purgeConfirmToken || (isExposed ? undefined : documentedConfirmToken);
}

/** Warnings for the operator of a server that others can reach. */
export function exposureWarnings(values: SettingValues): string[] {
  const { isOnLoopback, isExposed } = composeExposure(values);
  if (!isExposed) return [];
  const reached = isOnLoopback
    ? 'PUBLIC_URL or ALLOWED_HOSTS names a public host'
    : `HOST is ${values.host.trim()}, which is not a loopback address`;
  const warnings = [
    `${reached}, and this version has no access control: whoever reaches the server may upload, read and delete every picture. Let a proxy in front of it decide who may.`,
  ];
  if (!values.purgeConfirmToken)
    warnings.push('PURGE_CONFIRM_TOKEN is not set: purges that are no dry run are refused until it is.');
  else if (values.purgeConfirmToken === documentedConfirmToken)
    warnings.push(
      `PURGE_CONFIRM_TOKEN is ${documentedConfirmToken}, which is in the documentation: set it to a secret of your own.`,
    );
  if (!isOnLoopback && values.allowedHosts.length === 0 && values.publicUrl === undefined)
    warnings.push(
      'ALLOWED_HOSTS is not set: requests for any host name are answered, so a web page can reach this server through a name of its own (DNS rebinding).',
    );
  return warnings;
}
