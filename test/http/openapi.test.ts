import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { challenges } from '../../src/http/guard/api-key-header.ts';
import { listRegisteredRoutes, type RegisteredRoute } from './access/registered-routes.ts';
import { makeBareServer } from './support/bare-server.ts';
import { document, expectSchema } from './support/documented.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
);

describe('docs/openapi.json', () => {
  test('matches the routes, regardless of the environment', () => {
    const env = { ...process.env, PORT: '4242', PURGE_DAYS: '7', MAX_SIMILAR_RESULTS: '3' };
    const docsCheck = spawnSync(process.execPath, ['scripts/openapi-docs.ts', '--check'], {
      cwd: root,
      encoding: 'utf8',
      env,
    });
    expect(docsCheck.stderr).toBe('');
    expect(docsCheck.status).toBe(0);
  });

  test('contains a summary, a tag and a described success response for every operation', () => {
    expect(operations.length).toBeGreaterThan(40);
    for (const { path, method, operation } of operations) {
      expect(operation.summary, `${method} ${path}`).toMatch(/^.{4,}[^.]$/);
      expect(operation.tags, `${method} ${path}`).toHaveLength(1);
      const successStatuses = Object.keys(operation.responses).filter((status) => status < '400');
      expect(successStatuses, `${method} ${path}`).not.toEqual([]);
      expect(JSON.stringify(operation.responses)).not.toContain('Default Response');
    }
  });

  test('contains the paths of all APIs with their parameter names', () => {
    const paths = Object.keys(document.paths);
    for (const path of [
      '/upload',
      '/retrieve/asset/{asset_id}',
      '/compare/{asset_id}',
      '/metrics/tenant/{tenant_name}',
      '/purge',
      '/v1/images',
      '/v1/images/{id}/references/{ref}',
      '/v1/compare',
      '/v1/purge',
      '/v1/jobs/{id}/retry',
      '/api/v1/images/{image_id}/similar',
      '/api/v1/health/ready',
      '/info',
    ])
      expect(paths).toContain(path);
    expect(paths.filter((path) => path.startsWith('/docs') || path.includes('*'))).toEqual([]);
  });

  test('contains examples that match their schemas, and references that resolve', () => {
    for (const [name, { examples = [] }] of Object.entries(document.components.schemas))
      for (const example of examples) expectSchema(['components', 'schemas', name], example);
    for (const { path, method, operation } of operations) {
      for (const [status, { content = {} }] of Object.entries(operation.responses)) {
        const { schema } = (content['application/json'] ?? {}) as { schema?: { examples?: unknown[] } };
        const schemaPath = [
          'paths',
          path,
          method,
          'responses',
          status,
          'content',
          'application/json',
          'schema',
        ];
        for (const example of schema?.examples ?? []) expectSchema(schemaPath, example);
      }
    }
    const names = Array.from(
      JSON.stringify(document).matchAll(/#\/components\/schemas\/(\w+)/g),
      ([, name = '']) => name,
    );
    expect(Object.keys(document.components.schemas)).toEqual([...new Set(names)].toSorted());
  });
});

describe('access in docs/openapi.json', async () => {
  const routes = await listRegisteredRoutes();
  const documentedRoutes = routes.filter(({ method, operation }) => operation && method !== 'HEAD');
  const findOperation = ({ method, path }: RegisteredRoute) => document.paths[path]?.[method.toLowerCase()];

  test('is described for every operation exactly as the server enforces it', () => {
    expect(documentedRoutes).toHaveLength(operations.length);
    for (const route of documentedRoutes) {
      const { security, 'x-required-scopes': scopes, description = '' } = findOperation(route) ?? {};
      const withKey = [{ bearer: [] }, { apiKey: [] }];
      const name = `${route.method} ${route.path}`;
      if (route.scopes.length === 0) expect([security, scopes], name).toEqual([[], undefined]);
      else if (route.isSignedPath) expect([security, scopes], name).toEqual([[{}], undefined]);
      else {
        expect(security, name).toEqual(route.acceptsLinks ? [...withKey, {}] : withKey);
        expect(scopes, name).toEqual(route.scopes);
        for (const scope of route.scopes) expect(description, name).toContain(`\`${scope}\``);
      }
    }
    expect(documentedRoutes.some(({ acceptsLinks }) => acceptsLinks)).toBe(true);
  });

  test('contains 401 and 403 with the schema of problems for every operation that is not open', () => {
    for (const route of documentedRoutes.filter((one) => one.scopes.length > 0 && !one.isSignedPath)) {
      const { responses = {} } = findOperation(route) ?? {};
      for (const [status, code] of [
        ['401', 'unauthenticated'],
        ['403', 'missing_scope'],
      ] as const) {
        expect(responses[status], `${route.method} ${route.path} ${status}`).toMatchObject({
          description: expect.stringContaining(`\`${code}\``),
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        });
      }
      expect(responses['401']).toHaveProperty(
        'headers.WWW-Authenticate.schema.enum',
        Object.values(challenges),
      );
    }
  });

  test('contains the Idempotency-Key and its conflicts for every POST that creates or deletes', () => {
    const keyed = operations.filter(({ operation }) =>
      operation.parameters?.some(({ name, in: part }) => name === 'Idempotency-Key' && part === 'header'),
    );
    for (const { operation } of keyed)
      expect(operation.responses['409']).toMatchObject({
        description: expect.stringMatching(/`idempotency_conflict`.*`idempotency_running`/),
      });
    const others = operations
      .filter(
        ({ method, operation }) => method === 'post' && !keyed.some((entry) => entry.operation === operation),
      )
      .map(({ path }) => path);
    // These only read.
    expect(others.toSorted()).toEqual([
      '/compare/{asset_id}',
      '/v1/compare',
      '/v1/images/{id}/compare',
      '/v1/search',
    ]);
  });

  test('offers only headers for keys, because URLs are stored and logged', () => {
    expect(Object.values(document.components.securitySchemes)).toEqual([
      expect.objectContaining({ type: 'http', scheme: 'bearer' }),
      expect.objectContaining({ type: 'apiKey', in: 'header', name: 'X-Api-Key' }),
    ]);
  });
});

test('the tables in docs/access.md match the routes', () => {
  const check = spawnSync(process.execPath, ['scripts/access-docs.ts', '--check'], {
    cwd: root,
    encoding: 'utf8',
  });
  expect(check.stderr).toBe('');
  expect(check.status).toBe(0);
});

describe('the documentation page', () => {
  test('at /docs loads nothing from other hosts', async () => {
    const app = await makeBareServer();
    const servedDocument = await app.inject('/api/v1/openapi.json');
    expect(servedDocument.json()).toEqual(document);
    for (const path of ['/docs', '/docs/']) {
      const page = await app.inject(path);
      expect(page.headers['content-type']).toMatch(/^text\/html/);
      expect(page.headers['content-security-policy']).toContain("default-src 'self'");
      const assets = Array.from(page.body.matchAll(/(?:src|href)="([^"]+)"/g), ([, target = '']) => target);
      expect(assets.length).toBeGreaterThan(4);
      for (const target of assets) {
        expect(target).not.toMatch(/^(https?:)?\/\//);
        const { pathname } = new URL(target, 'http://host/docs/');
        expect((await app.inject(pathname)).statusCode, target).toBe(200);
      }
    }
  });

  test('at /redoc lists every operation and schema, contains no scripts, and has only the style that its Content-Security-Policy allows', async () => {
    const page = await (await makeBareServer()).inject('/redoc');
    expect(page.headers['content-type']).toMatch(/^text\/html/);
    expect(page.body).not.toMatch(/<script|\son\w+=|\sstyle=/i);
    const style = /<style>([\s\S]*)<\/style>/.exec(page.body)?.[1] ?? '';
    const hash = createHash('sha256').update(style).digest('base64');
    expect(page.headers['content-security-policy']).toContain(`style-src 'sha256-${hash}'`);
    const missingOperations = operations
      .filter(
        ({ path, method }) =>
          !page.body.includes(`<span class="method">${method.toUpperCase()}</span> ${path}</a>`),
      )
      .map(({ path, method }) => `${method.toUpperCase()} ${path}`);
    expect(missingOperations, 'operations whose tag is not in src/http/openapi/document.ts').toEqual([]);
    const targets = Array.from(page.body.matchAll(/href="#([^"]+)"/g), ([, target = '']) => target);
    expect(targets.length).toBeGreaterThan(80);
    const ids = Array.from(page.body.matchAll(/\sid="([^"]+)"/g), ([, id = '']) => id);
    expect(ids).toHaveLength(new Set(ids).size);
    expect(targets.filter((target) => !ids.includes(target))).toEqual([]);
  });
});
