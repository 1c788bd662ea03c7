import { type Html, html, prose } from './html.ts';
import type { Call, OpenApiDocument, Schema } from './openapi-types.ts';
import { renderCall } from './redoc-call.ts';
import { renderSchemaTable } from './redoc-schema.ts';
import { referenceStyle } from './redoc-style.ts';

/**
 * The whole API as one page to read: without scripts, so that it works with a keyboard, a screen reader, on paper and
 * behind any policy.
 */
export function renderReference(document: OpenApiDocument): string {
  const { info, tags, components } = document;
  const calls = listCalls(document);
  const groups = tags.map((tag) => ({
    tag,
    calls: calls.filter(({ operation }) => operation.tags?.includes(tag.name)),
  }));
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${info.title} API reference</title>
<style>${{ html: referenceStyle }}</style>
</head>
<body>
<a class="skip" href="#reference">Skip to the reference</a>
<nav aria-label="Contents">
<h1>${info.title}</h1>
${groups.map(renderContents)}
<h2><a href="#schemas">Schemas</a></h2>
</nav>
<main id="reference" tabindex="-1">
<h1>${info.title} API, version ${info.version}</h1>
${info.description.split('\n\n').map((text) => html`<p>${prose(text)}</p>`)}
<p><a href="/docs">Try calls</a> or take the <a href="/api/v1/openapi.json">OpenAPI document</a>.</p>
${groups.map(renderGroup)}
<h2 id="schemas">Schemas</h2>
${Object.entries(components.schemas).map(([name, schema]) => renderSchema(name, schema))}
</main>
</body>
</html>
`;
  return page.html;
}

type Group = {
  readonly tag: { readonly name: string; readonly description: string };
  readonly calls: readonly Call[];
};

/** HEAD goes with GET everywhere, so it is said once. */
function listCalls({ paths }: OpenApiDocument): Call[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([method]) => method !== 'head')
      .map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
}

function renderContents({ tag, calls }: Group): Html {
  return html`<h2>${tag.name}</h2>
<ul>
${calls.map(
  (call) => html`<li><a href="#${anchorOf(call)}">${call.method} ${call.path}</a></li>
`,
)}</ul>
`;
}

function renderGroup({ tag, calls }: Group): Html {
  return html`<h2>${tag.name}</h2>
<p>${prose(tag.description)}</p>
${calls.map((call) => renderCall(call, anchorOf(call)))}`;
}

function renderSchema(name: string, schema: Schema): Html {
  return html`<section class="call" id="schema-${name}">
<h3>${name}</h3>
${schema.description !== undefined && html`<p>${prose(schema.description)}</p>`}
${renderSchemaTable(schema)}
</section>
`;
}

function anchorOf({ method, path }: Call): string {
  return `${method.toLowerCase()}${path.replaceAll(/[^A-Za-z0-9]+/g, '-')}`;
}
