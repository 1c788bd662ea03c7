import { type Html, html, prose } from './html.ts';
import type { Schema } from './openapi-types.ts';

/** A content: its fields if it is an object, else its type in words. */
export function renderContent(schema: Schema | undefined): Html {
  if (!schema) return html``;
  if (schema.properties) return renderSchemaTable(schema);
  return html`<p>${typeWords(schema)}${schema.description !== undefined && html`: ${prose(schema.description)}`}</p>
${renderExample(schema)}`;
}

/** The fields of an object, one in each row; those of inner objects below. */
export function renderSchemaTable(schema: Schema): Html {
  const { properties = {}, required = [] } = schema;
  return html`<table>
<thead><tr><th scope="col">Field</th><th scope="col">Type</th><th scope="col">Meaning</th></tr></thead>
<tbody>
${Object.entries(properties).map(
  ([name, field]) => html`<tr><th scope="row"><code>${name}</code></th>
<td>${typeWords(field)}${!required.includes(name) && html` <span class="quiet">optional</span>`}</td>
<td>${prose(field.description ?? '')}${renderInner(field)}</td></tr>
`,
)}</tbody>
</table>
${renderExample(schema)}`;
}

function renderInner(field: Schema): Html | undefined {
  const extra = typeof field.additionalProperties === 'object' ? field.additionalProperties : undefined;
  const inner = field.properties ? field : (field.items ?? extra);
  return inner?.properties && html`<details><summary>Fields</summary>${renderSchemaTable(inner)}</details>`;
}

function renderExample({ examples }: Schema): Html | undefined {
  const [example] = examples ?? [];
  if (example === undefined) return undefined;
  return html`<pre><code>${typeof example === 'string' ? example : JSON.stringify(example, null, 2)}</code></pre>`;
}

/** The type of a value in words, with a link where it has a name. */
export function typeWords(schema: Schema): Html {
  const name = schema.$ref?.split('/').at(-1);
  if (name !== undefined) return html`<a href="#schema-${name}">${name}</a>`;
  if (schema.anyOf) return joined(schema.anyOf.map(typeWords), ' or ');
  if (schema.enum) return joined(schema.enum.map(literal), ', ');
  if (schema.const !== undefined) return literal(schema.const);
  if (schema.items) return html`list of ${typeWords(schema.items)}`;
  if (typeof schema.additionalProperties === 'object' && !schema.properties)
    return html`object of ${typeWords(schema.additionalProperties)}`;
  return html`${[schema.type ?? 'any'].flat().join(' or ')}${limits(schema)}`;
}

function limits({ format, minimum, maximum, default: standard }: Schema): string {
  const bounded = minimum !== undefined && maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER;
  const words = [
    format,
    bounded && `${minimum} to ${maximum}`,
    standard !== undefined && `default ${JSON.stringify(standard)}`,
  ].filter((word) => typeof word === 'string');
  return words.length === 0 ? '' : ` (${words.join(', ')})`;
}

function literal(value: unknown): Html {
  return html`<code>${JSON.stringify(value)}</code>`;
}

function joined(parts: readonly Html[], separator: string): Html {
  return { html: parts.map((part) => part.html).join(separator) };
}
