import { expect, test } from 'vitest';
import { chooseAddress } from '../../src/fetcher/choose-address.ts';

// No socket is opened here, so that names may lead to addresses of the internet.
const rules = { allowedNetworks: ['127.0.0.1/32'] };

function choose(port: string, ...addresses: readonly string[]): Promise<string> {
  const resolveHost = () => Promise.resolve(addresses);
  return chooseAddress(
    { hostname: 'name.test', port },
    { rules, resolveHost, signal: new AbortController().signal },
  );
}

test.each([
  ['', ['1.1.1.1', '2606:4700::1111'], '1.1.1.1'],
  ['80', ['2606:4700::1111'], '2606:4700::1111'],
  ['443', ['1.1.1.1', '127.0.0.1'], '1.1.1.1'],
  ['8080', ['127.0.0.1', '::ffff:127.0.0.1'], '127.0.0.1'],
  ['8080', ['::ffff:127.0.0.1'], '127.0.0.1'],
])('port %j of %j goes to %s', async (port, addresses, chosen) => {
  expect(await choose(port, ...addresses)).toBe(chosen);
});

const refusedPort = 'The port 8080 is not allowed; 80 and 443 are.';
const refused = (rule: string) => `The address name.test is not allowed: it lies in ${rule}.`;

test.each([
  ['8080', ['1.1.1.1'], refusedPort],
  ['8080', ['127.0.0.1', '1.1.1.1'], refusedPort],
  ['', ['1.1.1.1', '10.0.0.5'], refused('a private network (10.0.0.0/8)')],
  ['', ['2606:4700::1111', 'fd00::1'], refused('a private network (fc00::/7)')],
  ['', ['192.0.2.1', '1.1.1.1'], refused('a network for documentation (192.0.2.0/24)')],
  ['', ['1.1.1.1', 'no address'], refused('no network that can be fetched from')],
  ['', [], refused('no network at all')],
])('port %j of %j is refused', async (port, addresses, message) => {
  await expect(choose(port, ...addresses)).rejects.toMatchObject({ code: 'address_not_allowed', message });
});
