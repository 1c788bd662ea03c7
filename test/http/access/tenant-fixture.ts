import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { call, form, type ImageRecord } from '../../support/process/client.ts';
import { jpeg, sha256 } from '../../support/process/pictures.ts';
import { waitTimeoutMs } from '../../support/time-scale.ts';

/** The server under test, and what the tests need to fill it. */
export interface AccessRig {
  readonly url: string;
  /** A key with all scopes on all tenants. */
  readonly operatorKey: string;
  /** A web server that answers `/pictures/…` with a picture, and other paths with 404. */
  readonly originUrl: string;
  /** Whether the server stores pictures in S3, so that it offers presigned uploads. */
  readonly hasPresignedUploads: boolean;
}

/** What an id in a path identifies. */
export type ResourceKind = 'image' | 'job' | 'import' | 'key' | 'rendering' | 'group';

/** A resource with every form of its id. */
export interface Resource {
  readonly ids: readonly string[];
  /** Values of fields that a request about this resource needs. */
  readonly fields?: Readonly<Record<string, unknown>>;
}

/** A tenant with data of every kind, all created through the API. */
export interface TenantFixture {
  readonly name: string;
  /** Texts that only this tenant may see: names, UUIDs, hashes, URLs and ids of keys. */
  readonly markers: ReadonlySet<string>;
  /** SHA-256 of every file of the tenant that the server can send. */
  readonly fileHashes: ReadonlySet<string>;
  /** A resource that no request changes. */
  readonly shared: Readonly<Record<ResourceKind, Resource>>;
  /** Id of an image that is compared with others. */
  readonly otherImage: string;
  /** Id of a presigned upload that nobody ingests; `undefined` if the server offers none. */
  readonly uploadId: string | undefined;
  readonly reference: string;
  readonly sourceUrl: string;
  readonly picture: Buffer;
  /** Creates a resource that a request may change or remove. */
  create(kind: ResourceKind): Promise<Resource>;
  /** Sends a file to a presigned URL. Returns the id of the upload; `undefined` if the server offers none. */
  presign(): Promise<string | undefined>;
  /** Waits until no job is due or running. */
  settle(): Promise<void>;
  /** Returns everything that the tenant can see, to check that nobody has changed it. */
  readState(): Promise<unknown>;
}

interface Receipt {
  readonly id: number;
  readonly uuid: string;
}

const post = { method: 'POST' } as const;

/** Fills a tenant, calling the API with the operator's key. */
export async function fillTenant(
  { url, operatorKey, originUrl, hasPresignedUploads }: AccessRig,
  name: string,
): Promise<TenantFixture> {
  // Every page of the documentation contains the name of the default tenant.
  const markers = new Set<string>(name === 'default' ? [] : [name]);
  const fileHashes = new Set<string>();
  const reference = `reference-${randomBytes(6).toString('hex')}`;
  const sourceUrl = `${originUrl}/missing/${randomBytes(6).toString('hex')}.jpg`;
  const authorization = `Bearer ${operatorKey}`;
  let count = 0;

  async function send<Body>(path: string, init: RequestInit = {}, fields?: unknown): Promise<Body> {
    const isJson = fields !== undefined;
    const response = await call<Body>(url + path, {
      ...init,
      headers: { authorization, ...(isJson && { 'content-type': 'application/json' }) },
      ...(isJson && { body: JSON.stringify(fields) }),
    });
    if (response.status >= 300)
      throw new Error(`${path} ${response.status}: ${response.bytes.toString('utf8', 0, 300)}`);
    return response.bytes.length > 0 ? response.body : (undefined as Body);
  }

  function mark<Text extends string>(text: Text): Text {
    markers.add(text);
    return text;
  }

  async function createImage(bytes?: Buffer): Promise<Resource> {
    const filename = mark(`file-${randomBytes(6).toString('hex')}.jpg`);
    const picture = bytes ?? (await jpeg(`${name} ${(count += 1)}`, 24, 20));
    const body = form(['tenant', name], ['file', picture, filename]);
    const image = await send<ImageRecord>('/v1/images', { ...post, body });
    mark(image.uuid);
    mark(image.content_hash);
    fileHashes.add(sha256(picture));
    return { ids: [String(image.id), image.uuid] };
  }

  async function createFailedJob(source: string): Promise<Resource> {
    const image = await send<ImageRecord>('/v1/images', post, { url: mark(source), tenant: name });
    mark(image.uuid);
    const deadline = performance.now() + waitTimeoutMs;
    while (performance.now() < deadline) {
      const { items } = await send<{ items: { id: number }[] }>(`/v1/jobs?image=${image.id}&state=failed`);
      const [job] = items;
      if (job) return { ids: [String(job.id)] };
      await sleep(25);
    }
    throw new Error(`The import of image ${image.id} did not fail within ${waitTimeoutMs / 1_000} s.`);
  }

  /** An import belongs to the tenant of the key that created it. */
  async function createImport(): Promise<Resource> {
    const response = await call<Receipt>(`${url}/v1/imports`, {
      ...post,
      headers: { authorization: `Bearer ${ownKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ urls: [`${sourceUrl}?import=${(count += 1)}`, 'ftp://refused'] }),
    });
    const { id, uuid } = response.body;
    return { ids: [String(id), mark(uuid)] };
  }

  async function createKey(): Promise<Resource> {
    const keyName = mark(`key-${randomBytes(6).toString('hex')}`);
    const { id } = await send<{ id: string }>('/v1/keys', post, {
      name: keyName,
      role: 'reader',
      tenant: name,
    });
    return { ids: [mark(id)] };
  }

  async function createRendering(): Promise<Resource> {
    const { rendering } = await send<{ rendering: { id: number } }>('/v1/renderings', post, {
      preset: 'card',
      tenant: name,
    });
    return { ids: [String(rendering.id)] };
  }

  /** Two pictures become a group because somebody decides that they are the same. */
  async function createGroup(): Promise<Resource> {
    const [keep, discard] = await Promise.all([createImage(), createImage()]);
    await send(
      `/v1/images/${keep.ids[0]}/duplicates/${discard.ids[0]}`,
      { method: 'PUT' },
      { verdict: 'same' },
    );
    const { items } = await send<{ items: { id: number; images: { uuid: string }[] }[] }>(
      `/v1/duplicates?tenant=${name}&limit=100`,
    );
    const group = items.find(({ images }) => images.some(({ uuid }) => uuid === keep.ids[1]));
    if (!group) throw new Error(`Images ${keep.ids[0]} and ${discard.ids[0]} form no group.`);
    return { ids: [String(group.id)], fields: { keep: keep.ids[1], discard: [discard.ids[1]] } };
  }

  async function presign(): Promise<string | undefined> {
    if (!hasPresignedUploads) return undefined;
    const bytes = await jpeg(`${name} presigned ${(count += 1)}`, 24, 20);
    const offer = await send<{ id: string; url: string; method: string; headers: Record<string, string> }>(
      '/v1/uploads',
      post,
      { size_bytes: bytes.length, tenant: name },
    );
    const { 'Content-Length': _length, ...headers } = offer.headers;
    await fetch(offer.url, { method: offer.method, headers, body: new Uint8Array(bytes) });
    return mark(offer.id);
  }

  const create = (kind: ResourceKind): Promise<Resource> =>
    ({
      image: () => createImage(),
      job: () => createFailedJob(`${sourceUrl}?job=${(count += 1)}`),
      import: createImport,
      key: createKey,
      rendering: createRendering,
      group: createGroup,
    })[kind]();

  const ownKeyName = mark(`own-${randomBytes(6).toString('hex')}`);
  const { key: ownKey, id: ownKeyId } = await send<{ key: string; id: string }>('/v1/keys', post, {
    name: ownKeyName,
    role: 'admin',
    tenant: name,
  });
  mark(ownKeyId);
  const picture = await jpeg(`${name} shared`, 64, 48);
  const image = await createImage(picture);
  for (const preset of ['thumb', 'card', 'zoom']) {
    const path = `/v1/images/${image.ids[0]}/renditions/${preset}`;
    fileHashes.add(sha256((await call(url + path, { headers: { authorization } })).bytes));
  }
  await send(`/v1/images/${image.ids[0]}/references/${mark(reference)}`, { method: 'PUT' });
  const shared = {
    image,
    job: await createFailedJob(sourceUrl),
    import: await createImport(),
    key: await createKey(),
    rendering: await createRendering(),
    group: await createGroup(),
  };
  const otherImage = (await createImage()).ids[0] ?? '';
  // A purge of unused images must not remove it.
  await send(`/v1/images/${otherImage}/references/comparison`, { method: 'PUT' });

  return {
    name,
    markers,
    fileHashes,
    shared,
    otherImage,
    uploadId: await presign(),
    reference,
    sourceUrl,
    picture,
    create,
    presign,
    async settle() {
      const deadline = performance.now() + waitTimeoutMs;
      while (performance.now() < deadline) {
        const counts = await Promise.all(
          ['pending', 'processing'].map((state) =>
            send<{ total: number }>(`/v1/jobs?tenant=${name}&state=${state}`),
          ),
        );
        if (counts.every(({ total }) => total === 0)) return;
        await sleep(50);
      }
      throw new Error(`The jobs of ${name} did not finish within ${waitTimeoutMs / 1_000} s.`);
    },
    async readState() {
      const paths = [
        `/v1/images?tenant=${name}&limit=100`,
        `/v1/images/${image.ids[0]}/references`,
        `/v1/images/${image.ids[0]}/duplicates`,
        `/v1/duplicates?tenant=${name}&limit=100`,
        `/v1/jobs?tenant=${name}&limit=100`,
        `/v1/usage/${name}`,
      ];
      const states = await Promise.all(paths.map((path) => send(path)));
      const { items } = await send<{ items: { tenant: string; last_used_at: unknown }[] }>(
        '/v1/keys?limit=1000',
      );
      const keys = items
        .filter(({ tenant }) => tenant === name)
        .map((key) => ({ ...key, last_used_at: null }));
      return [...states, keys];
    },
  };
}
