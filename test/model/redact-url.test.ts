import { describe, expect, test } from 'vitest';
import { redactSecrets } from '../../src/model/redact-url.ts';
import { measureCpuMs, timeScale } from '../support/time-scale.ts';

const secret = 'S3cr3t-Value_0123456789';

describe('redactSecrets', () => {
  test.each([
    `https://b.s3.amazonaws.com/a.jpg?X-Amz-Date=20261127T000000Z&X-Amz-Signature=${secret}&X-Amz-Expires=900`,
    `https://b.s3.amazonaws.com/a.jpg?x-amz-security-token=${secret}%2B%2F%3D%3D`,
    `https://b.s3.amazonaws.com/a.jpg?X-Amz-Credential=${secret}/20261127/eu/s3/aws4_request`,
    `https://b.s3.amazonaws.com/a.jpg?AWSAccessKeyId=${secret}&Expires=1&Signature=${secret}`,
    `https://storage.googleapis.com/b/a.jpg?X-Goog-Signature=${secret}&X-Goog-Credential=${secret}`,
    `https://x.blob.core.windows.net/c/a.jpg?sv=2024-01-01&sr=b&sig=${secret}%3D&se=2026`,
    `https://d.cloudfront.net/a.jpg?Expires=1&Policy=${secret}&Signature=${secret}~&Key-Pair-Id=${secret}`,
    `https://oss.example/a.jpg?OSSAccessKeyId=${secret}&x-oss-signature=${secret}`,
    `https://cos.example/a.jpg?q-ak=${secret}&q-signature=${secret}`,
    `https://a.example/a.jpg?hdnea=${secret}`,
    `https://a.example/a.jpg?__token__=exp=1~hmac=${secret}`,
    `https://a.example/a.jpg?token=${secret}`,
    `https://a.example/a.jpg?w=1;token=${secret};x`,
    `https://a.example/a.jpg?ACCESS_TOKEN=${secret}#top`,
    `https://a.example/a.jpg#id_token=${secret}`,
    `https://a.example/a.jpg?api-key=${secret}&size=1`,
    `https://a.example/a.jpg?client_secret=${secret}`,
    `https://a.example/a.jpg?password=${secret}`,
    `https://a.example/a.jpg?X-Amz-Sig%6eature=${secret}`,
    `https://a.example/a.jpg?any=eyJhbGciOiJIUzI1NiJ9.${secret}.x`,
    `https://proxy.example/?url=https%3A%2F%2Fb.example%2Fa.jpg%3FX-Amz-Signature%3D${secret}%26w%3D1`,
    `https://proxy.example/?url=https%253A%252F%252Fb.example%252Fa.jpg%253Fsig%253D${secret}`,
    `https://user:${secret}@a.example/a.jpg`,
    `https://${secret}@a.example/a.jpg`,
    `https://user:p@ss${secret}@a.example/a.jpg`,
    `https:\\\\user:${secret}@a.example/a.jpg`,
    `https:user:${secret}@a.example/a.jpg`,
    `ftp://user:${secret}@a.example/a.jpg?token=${secret}`,
    `not a url?token=${secret}`,
    `{"message":"GET https://a.example/a.jpg?sig=${secret}","code":"x"}`,
  ])('redacts %s', (text) => {
    const redactedText = redactSecrets(text);
    expect(redactedText).toContain('[hidden]');
    expect(redactedText).not.toContain(secret);
    expect(redactSecrets(redactedText)).toBe(redactedText);
  });

  test('keeps everything except the secrets', () => {
    expect(redactSecrets(`https://a.example/b.jpg?w=1&sig=${secret}&h=2#top`)).toBe(
      'https://a.example/b.jpg?w=1&sig=[hidden]&h=2#top',
    );
    expect(redactSecrets(`https://proxy.example/?u=b%3Fsig%3D${secret}%26w%3D1&h=2`)).toBe(
      'https://proxy.example/?u=b%3Fsig%3D[hidden]%26w%3D1&h=2',
    );
    expect(redactSecrets(`{"url":"https://u:${secret}@a.example/?key=${secret}","code":"x"}`)).toBe(
      '{"url":"https://[hidden]@a.example/?key=[hidden]","code":"x"}',
    );
  });

  test('redacts the signature in the path of a misspelled URL for delivery, and no long name', () => {
    const path = (signature: string) =>
      `No route matches GET //i/s/579c46f2.1795818307.${signature}/card.webp.`;
    expect(redactSecrets(path('HQF9Tla9csCHD1olsK4in60CfBU3kMMhCwwZU42I-G4'))).toBe(path('[hidden]'));
    const name = 'https://a.example/1.blue-ceramic-vase-with-handles-and-gold-rims-2.jpg';
    expect(redactSecrets(name)).toBe(name);
  });

  test('redacts hash-like signatures, but not a size in a parameter of the same name', () => {
    for (const name of ['__gda__', 'verify', 'md5', 'st'])
      expect(redactSecrets(`https://a.example/b.jpg?${name}=0a1b2c`)).toBe(
        `https://a.example/b.jpg?${name}=[hidden]`,
      );
    const signedUrl = 'https://a.imgix.net/b.jpg?w=1&s=0123456789abcdef0123456789abcdef';
    expect(redactSecrets(signedUrl)).toBe('https://a.imgix.net/b.jpg?w=1&s=[hidden]');
    expect(redactSecrets('https://a.example/b.jpg?s=200')).toBe('https://a.example/b.jpg?s=200');
  });
});

test.each([
  'https://a.example/',
  'https://a.example/b.jpg?w=100&h=100&v=0123456789abcdef&fit=cover',
  'https://a.example/b.jpg?id=SKU-1002&lang=de&X-Amz-Expires=900&se=2026-11-27',
  'https://a.example/@shop/b.jpg',
  'https://a.example/b.jpg?mail=info@shop.example',
  'https://a.example/b.jpg?signature=',
  'https://a.example/tokens/b.jpg',
  'a sentence, with a = b and an e-mail: info@shop.example',
])('keeps %s unchanged', (text) => {
  expect(redactSecrets(text)).toBe(text);
});

test('processes malicious text quickly', () => {
  const redactAll = () => {
    for (const text of ['http:', '?a=', '?token', 'a@', '%25', '?sig=%26', 'eyJ'])
      redactSecrets(text.repeat(20_000));
  };
  expect(measureCpuMs(redactAll)).toBeLessThan(2_000 * timeScale);
});
