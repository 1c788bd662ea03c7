import { inlineIcon } from './brand.ts';
import { type Html, html, renderText } from './html.ts';
import type { Endpoint, Contents, OpenApiDocument, Operation, Parameter, Schema } from './openapi-types.ts';
import { renderContent, renderFields, renderType } from './reference-schema.ts';
import { referenceStyle } from './reference-style.ts';

/**
 * Renders an OpenAPI document as a single HTML page. The page needs no scripts, can be used with a keyboard or a screen
 * reader, and can be printed.
 */
export function renderReferencePage(document: OpenApiDocument, faviconPath: string): string {
  const { info, tags, components } = document;
  const endpoints = listEndpoints(document);
  const groups = tags.map((tag) => ({
    tag,
    endpoints: endpoints.filter(({ operation }) => operation.tags?.includes(tag.name)),
  }));
  const page = html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${info.title} API</title>
<link rel="icon" type="image/svg+xml" href="${faviconPath}">
<style>${{ html: referenceStyle }}</style>
</head>
<body>
<a class="skip" href="#content">Skip to content</a>
<header>
<a class="brand" href="#content">${{ html: inlineIcon }}<span>${info.title}</span></a>
<ul>
<li><a href="/docs">Try the API</a></li>
<li><a href="/api/v1/openapi.json">OpenAPI document</a></li>
</ul>
</header>
<nav aria-label="Contents">
${groups.map(renderNavigation)}
<p class="group"><a href="#schemas">Schemas</a></p>
</nav>
<main id="content" tabindex="-1">
<h1>${info.title} API <span class="version">${info.version}</span></h1>
${info.description.split('\n\n').map((text) => html`<p>${renderText(text)}</p>`)}
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
  readonly endpoints: readonly Endpoint[];
};

/** Lists all endpoints except those for HEAD, which every GET endpoint supports. */
function listEndpoints({ paths }: OpenApiDocument): Endpoint[] {
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods)
      .filter(([method]) => method !== 'head')
      .map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
  );
}

function renderNavigation({ tag, endpoints }: Group): Html {
  return html`<p class="group"><a href="#${getGroupAnchor(tag.name)}">${tag.name}</a></p>
<ul>
${endpoints.map(
  (
    endpoint,
  ) => html`<li><a class="${endpoint.method.toLowerCase()}" href="#${getEndpointAnchor(endpoint)}"><span class="method">${endpoint.method}</span> <span>${addBreakPoints(endpoint.path)}</span></a></li>
`,
)}</ul>
`;
}

function renderGroup({ tag, endpoints }: Group): Html {
  return html`<h2 id="${getGroupAnchor(tag.name)}">${tag.name}</h2>
<p>${renderText(tag.description)}</p>
${endpoints.map(renderEndpoint)}`;
}

function renderEndpoint(endpoint: Endpoint): Html {
  const { method, path, operation } = endpoint;
  const { summary, description, parameters = [], requestBody, responses } = operation;
  const anchor = getEndpointAnchor(endpoint);
  return html`<section class="endpoint" id="${anchor}">
<h3 class="${method.toLowerCase()}"><a href="#${anchor}"><span class="method">${method}</span> ${path}</a></h3>
<p class="summary">${summary ?? ''}</p>
${description !== undefined && html`<p>${renderText(description)}</p>`}
${parameters.length > 0 && html`<h4>Parameters</h4>${renderParameters(parameters)}`}
${requestBody && html`<h4>Request body</h4>${renderContentTypes(requestBody.content, true)}`}
<h4>Responses</h4>
${renderResponses(responses)}
</section>
`;
}

function renderParameters(parameters: readonly Parameter[]): Html {
  return html`<dl class="fields">
${parameters.map(
  ({
    name,
    in: location,
    required,
    description,
    schema,
  }) => html`<div><dt><code>${name}</code> <span class="type">${renderType(schema)}</span>
<span class="note">${location}${required === true && location !== 'path' && ', required'}</span></dt>
<dd>${renderText(description ?? '')}</dd></div>
`,
)}</dl>
`;
}

function renderResponses(responses: Operation['responses']): Html {
  const rows = Object.entries(responses).map(([status, { description, content }]) => {
    const isSuccess = Number(status) < 400;
    return html`<div><dt class="status ${isSuccess ? 'success' : 'failure'}">${status}</dt>
<dd>${isSuccess ? renderText(description) : renderErrors(description)}
${isSuccess && content && renderContentTypes(content)}</dd></div>
`;
  });
  return html`<dl class="responses">
${rows}</dl>
`;
}

/** Renders the errors with one HTTP status as a list. `description` contains one sentence for each error code. */
function renderErrors(description: string): Html {
  const sentences = description.split(/ (?=`\w+`:)/);
  return html`<ul class="errors">${sentences.map((sentence) => html`<li>${renderText(sentence)}</li>`)}</ul>`;
}

function renderContentTypes(contents: Contents, isOpen = false): Html {
  // Media types with the same schema, such as the image formats, share one entry.
  const entriesBySchema = Map.groupBy(Object.entries(contents), ([, { schema }]) => JSON.stringify(schema));
  return html`${[...entriesBySchema.values()].map((group) => {
    const types = group.map(([type]) => type).join(', ');
    const content = renderContent(group[0]?.[1].schema);
    return html`<details${isOpen && ' open'}><summary><code>${types}</code></summary>${content}</details>`;
  })}`;
}

function renderSchema(name: string, schema: Schema): Html {
  return html`<section class="endpoint" id="schema-${name}">
<h3>${name}</h3>
${schema.description !== undefined && html`<p>${renderText(schema.description)}</p>`}
${renderFields(schema)}
</section>
`;
}

function getEndpointAnchor({ method, path }: Endpoint): string {
  return `${method.toLowerCase()}${path.replaceAll(/[^A-Za-z0-9]+/g, '-')}`;
}

function getGroupAnchor(name: string): string {
  return `group-${name.toLowerCase().replaceAll(' ', '-')}`;
}

/** Allows line breaks before the slashes of a path. */
function addBreakPoints(path: string): Html[] {
  return path
    .split(/(?=\/)/)
    .map((segment, index) => (index === 0 ? html`${segment}` : html`<wbr>${segment}`));
}
