import { AppError } from '../errors.ts';

/**
 * The refusal of an address. `what` is what the caller wrote, a literal or a name; the address behind a name is told
 * to nobody, else an import would be a look into the operator's name server.
 */
export function addressRefused(what: string, rule: string): AppError {
  return new AppError('address_not_allowed', `The address ${what} is not allowed: it lies in ${rule}.`);
}

/** The refusal of a port outside of {@link isWebPort}. */
export function portRefused(port: string): AppError {
  return new AppError('address_not_allowed', `The port ${port} is not allowed; 80 and 443 are.`);
}

/** Whether pictures may be fetched from `port` of any public address; an empty text is the scheme's own port. */
export function isWebPort(port: string): boolean {
  return port === '' || port === '80' || port === '443';
}
