import { type Html, html, renderText } from './html.ts';
import type { Schema } from './openapi-types.ts';

/** Renders the schema of a body: an object's fields, the alternatives of a union of objects, or a type. */
export function renderContent(schema: Schema | undefined): Html {
  if (!schema) return html``;
  if (schema.properties) return renderFields(schema);
  if (schema.anyOf?.every(({ properties }) => properties))
    return join(schema.anyOf.map(renderFields), html`<p class="label">or</p>`.html);
  return html`<p>${renderType(schema)}${schema.description !== undefined && html`: ${renderText(schema.description)}`}</p>
${renderExample(schema)}`;
}

/** Renders an object's fields, followed by an example of the object. Nested objects are collapsed. */
export function renderFields(schema: Schema): Html {
  const { properties = {}, required = [] } = schema;
  return html`<dl class="fields">
${Object.entries(properties).map(
  ([name, field]) => html`<div><dt><code>${name}</code> <span class="type">${renderType(field)}</span>
${!required.includes(name) && html`<span class="note">optional</span>`}</dt>
<dd>${renderText(field.description ?? '')}${renderNested(field)}</dd></div>
`,
)}</dl>
${renderExample(schema)}`;
}

function renderNested(field: Schema): Html | undefined {
  const valueSchema = typeof field.additionalProperties === 'object' ? field.additionalProperties : undefined;
  const nestedSchema = field.properties ? field : (field.items ?? valueSchema);
  return (
    nestedSchema?.properties &&
    html`<details><summary>Fields</summary>${renderFields(nestedSchema)}</details>`
  );
}

function renderExample({ examples }: Schema): Html | undefined {
  const [example] = examples ?? [];
  if (example === undefined) return undefined;
  const text = typeof example === 'string' ? example : JSON.stringify(example, null, 2);
  return html`<p class="label">Example</p>
<pre tabindex="0"><code>${text}</code></pre>`;
}

/** Renders the type of a value in words, with links to named schemas. */
export function renderType(schema: Schema): Html {
  const name = schema.$ref?.split('/').at(-1);
  if (name !== undefined) return html`<a href="#schema-${name}">${name}</a>`;
  if (schema.anyOf) return join(schema.anyOf.map(renderType), ' or ');
  if (schema.enum) return join(schema.enum.map(renderLiteral), ', ');
  if (schema.const !== undefined) return renderLiteral(schema.const);
  if (schema.items) return html`list of ${renderType(schema.items)}`;
  if (typeof schema.additionalProperties === 'object' && !schema.properties)
    return html`map of ${renderType(schema.additionalProperties)}`;
  return html`${[schema.type ?? 'any'].flat().join(' or ')}${describeLimits(schema)}`;
}

function describeLimits({ format, minimum, maximum, default: defaultValue }: Schema): string {
  const isBounded = minimum !== undefined && maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER;
  const limits = [
    format,
    isBounded && `${minimum} to ${maximum}`,
    defaultValue !== undefined && `default ${JSON.stringify(defaultValue)}`,
  ].filter((limit) => typeof limit === 'string');
  return limits.length === 0 ? '' : ` (${limits.join(', ')})`;
}

function renderLiteral(value: unknown): Html {
  return html`<code>${JSON.stringify(value)}</code>`;
}

function join(parts: readonly Html[], separator: string): Html {
  return { html: parts.map((part) => part.html).join(separator) };
}
