import { AppError } from '../errors.ts';

/**
 * The refusal of an address: the same message for literals, names, ports and every kind of network. Separate messages
 * would reveal the operator's DNS records.
 * @param url what the caller, or a redirect, wants to be fetched
 * @param why the broken rule, for the operator's log
 */
export function addressRefused(url: URL, why: string): AppError {
  return new AppError(
    'address_not_allowed',
    `The address ${url.host} is not allowed: imports reach the ports 80 and 443 of public addresses, and what IMPORT_ALLOWED_NETWORKS names.`,
    { cause: new Error(why) },
  );
}
