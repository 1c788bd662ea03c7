import { type Html, html, prose } from './html.ts';
import type { Call, Contents, Parameter } from './openapi-types.ts';
import { renderContent, typeWords } from './redoc-schema.ts';

/** One call: what it takes, and what it answers. */
export function renderCall({ method, path, operation }: Call, anchor: string): Html {
  const { summary, description, parameters = [], requestBody, responses } = operation;
  return html`<section class="call" id="${anchor}">
<h3><a href="#${anchor}"><span class="method">${method}</span> ${path}</a></h3>
<p><strong>${summary ?? ''}</strong>${description !== undefined && html`<br>${prose(description)}`}</p>
${parameters.length > 0 && renderParameters(parameters)}
${requestBody && html`<h4>Body</h4>${renderContents(requestBody.content)}`}
<h4>Answers</h4>
<table>
<thead><tr><th scope="col">Status</th><th scope="col">Meaning</th></tr></thead>
<tbody>
${Object.entries(responses).map(
  ([
    status,
    { description: meaning, content },
  ]) => html`<tr><th scope="row">${status}</th><td>${prose(meaning)}
${Number(status) < 400 && content && renderContents(content)}</td></tr>
`,
)}</tbody>
</table>
</section>
`;
}

function renderParameters(parameters: readonly Parameter[]): Html {
  return html`<h4>Parameters</h4>
<table>
<thead><tr><th scope="col">Name</th><th scope="col">In</th><th scope="col">Type</th><th scope="col">Meaning</th></tr></thead>
<tbody>
${parameters.map(
  ({
    name,
    in: place,
    required,
    description = '',
    schema,
  }) => html`<tr><th scope="row"><code>${name}</code></th>
<td>${place}${required === true && place !== 'path' && ', required'}</td><td>${typeWords(schema)}</td><td>${prose(description)}</td></tr>
`,
)}</tbody>
</table>
`;
}

function renderContents(contents: Contents): Html {
  // Formats of pictures share one schema of bytes; one line names them all.
  const bySchema = Map.groupBy(Object.entries(contents), ([, { schema }]) => JSON.stringify(schema));
  return html`${[...bySchema.values()].map((group) => {
    const types = group.map(([type]) => type).join(', ');
    return html`<details open><summary><code>${types}</code></summary>${renderContent(group[0]?.[1].schema)}</details>`;
  })}`;
}
