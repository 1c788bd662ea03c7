/** Matches a host with an optional port: no user name, path or query. */
const authority = /^[^\s/?#@\\]+$/;

/**
 * Parses `host` or `host:port`. Returns the host as a browser would write it, in lower case: IPv4 addresses in four
 * decimal parts, IPv6 addresses shortened and without brackets, names without a trailing dot. Returns `undefined` for
 * other text.
 */
export function parseHost(text: string): string | undefined {
  if (!authority.test(text)) return undefined;
  const url = URL.parse(`http://${text}`);
  return url?.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '');
}

/** `parseHost` returns every IPv4 address in this form, and a host name never ends in a number. */
const ipv4 = /^\d+\.\d+\.\d+\.\d+$/;

/** Whether a host is an IP address rather than a name. @param host as `parseHost` returns it */
export function isIpAddress(host: string): boolean {
  return host.includes(':') || ipv4.test(host);
}

/** Whether a host is a loopback name or address. @param host as `parseHost` returns it */
export function isLoopbackHost(host: string): boolean {
  if (ipv4.test(host)) return host.startsWith('127.');
  // `::ffff:7f…` is an IPv4-mapped loopback address.
  return (
    host === 'localhost' || host.endsWith('.localhost') || host === '::1' || host.startsWith('::ffff:7f')
  );
}
