import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import { version } from '../../version.ts';
import { transform, transformObject } from './transform.ts';

const tags = [
  { name: 'Images', description: 'Pictures in, records out.' },
  { name: 'Pictures', description: 'Originals and renditions.' },
  { name: 'References', description: 'Who uses an image.' },
  { name: 'Imports', description: 'Many URLs at once.' },
  { name: 'Similarity', description: 'Images that look alike.' },
  { name: 'Comparison', description: 'Quality figures.' },
  { name: 'Purge', description: 'The only calls that remove files.' },
  { name: 'Jobs', description: 'For operators.' },
  { name: 'Usage', description: 'What tenants use.' },
  { name: 'Health', description: 'For load balancers and supervisors.' },
  {
    name: 'Catalog dialect',
    description: 'For clients of an older catalog service. Unknown query keys are ignored.',
  },
  {
    name: 'Similarity dialect',
    description: 'For clients of an older similarity service. Knows the tenant `default` only.',
  },
];

/** Lets the server describe every route to come in one OpenAPI document. */
export function describeRoutes(app: FastifyInstance): void {
  app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Vitrine',
        version,
        description:
          "A catalog image pipeline: product pictures in, clean standard renditions out, nothing lost.\n\n`/v1` is the own API of the product. Two dialects serve clients of older services. A trailing slash does not matter, and `HEAD` works wherever `GET` does. Every error is `application/problem+json`; a request for a host that is not the server's gets 421, whatever its address.",
      },
      tags,
    },
    transform,
    transformObject,
  });
}
