import { expect, test } from 'vitest';
import { chooseAddress } from '../../src/fetcher/open-connection.ts';
import { makeRules } from './support/allowed-networks.ts';

// No socket is opened here, so names may resolve to public addresses.
const rules = makeRules('127.0.0.1/32');

async function choose(port: string, ...addresses: readonly string[]): Promise<string> {
  const resolveHost = () => Promise.resolve(addresses);
  const url = new URL(`http://name.test${port && `:${port}`}/`);
  return (await chooseAddress(url, { rules, resolveHost, signal: new AbortController().signal })).address;
}

test.each([
  ['', ['1.1.1.1', '2606:4700::1111'], '1.1.1.1'],
  ['80', ['2606:4700::1111'], '2606:4700::1111'],
  ['443', ['1.1.1.1', '127.0.0.1'], '1.1.1.1'],
  ['8080', ['127.0.0.1', '::ffff:127.0.0.1'], '127.0.0.1'],
  ['8080', ['::ffff:127.0.0.1'], '127.0.0.1'],
])('for port %j and addresses %j, chooses %s', async (port, addresses, chosenAddress) => {
  expect(await choose(port, ...addresses)).toBe(chosenAddress);
});

test.each([
  ['8080', ['1.1.1.1']],
  ['8080', ['10.0.0.5']],
  ['8080', ['127.0.0.1', '1.1.1.1']],
  ['443', ['1.1.1.1', '10.0.0.5']],
  ['', ['1.1.1.1', '10.0.0.5']],
  ['', ['2606:4700::1111', 'fd00::1']],
  ['', ['169.254.169.254']],
  ['', ['192.0.2.1', '1.1.1.1']],
  ['', ['1.1.1.1', 'no address']],
  ['', []],
])(
  'for port %j, rejects %j with a message that does not depend on the addresses',
  async (port, addresses) => {
    await expect(choose(port, ...addresses)).rejects.toMatchObject({
      code: 'address_not_allowed',
      message: `The address name.test${port && `:${port}`} is not allowed: imports may only connect to ports 80 and 443 of public addresses, and to the networks in IMPORT_ALLOWED_NETWORKS.`,
    });
  },
);

test('reports the violated rule as the error cause', async () => {
  await expect(choose('', '1.1.1.1', '10.0.0.5')).rejects.toMatchObject({
    cause: { message: '10.0.0.5 is a private address (10.0.0.0/8)' },
  });
});
