/** Excludes user names, paths and queries. */
const authority = /^[^\s/?#@\\]+$/;

/**
 * Parses `host` or `host:port`. Returns the host as browsers write it: in lower case, IPv4 addresses in four decimal
 * parts, IPv6 addresses shortened and without brackets, no trailing dot. Returns `undefined` for other text.
 */
export function parseHost(text: string): string | undefined {
  if (!authority.test(text)) return undefined;
  const url = URL.parse(`http://${text}`);
  return url?.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
}

/** The URL standard writes all IPv4 addresses in this form, and no host name ends in a number. */
const ipv4 = /^\d+\.\d+\.\d+\.\d+$/;

/** @param host as `parseHost` returns it */
export function isAddress(host: string): boolean {
  return host.includes(':') || ipv4.test(host);
}

/** Whether a host is a loopback name or address. @param host as `parseHost` returns it */
export function isLoopbackHost(host: string): boolean {
  if (ipv4.test(host)) return host.startsWith('127.');
  // The last one is an IPv4-mapped loopback address.
  return (
    host === 'localhost' || host.endsWith('.localhost') || host === '::1' || host.startsWith('::ffff:7f')
  );
}
