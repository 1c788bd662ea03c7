import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';

const root = fileURLToPath(new URL('../', import.meta.url));
const read = (path: string) => readFileSync(join(root, path), 'utf8');

interface Workflow {
  readonly on: Readonly<Record<string, unknown>>;
  readonly permissions: Readonly<Record<string, string>>;
  readonly jobs: { readonly test: Job };
}

interface Job {
  readonly permissions?: unknown;
  readonly services: Readonly<Record<string, { readonly image: string; readonly ports: readonly string[] }>>;
  readonly env: Readonly<Record<string, string>>;
  readonly steps: readonly {
    readonly uses?: string;
    readonly run?: string;
    readonly with?: Readonly<Record<string, unknown>>;
  }[];
}

interface Form {
  readonly name: string;
  readonly description: string;
  readonly body: readonly {
    readonly type: string;
    readonly id?: string;
    readonly attributes: { readonly label?: string; readonly options?: readonly string[] };
    readonly validations?: { readonly required: boolean };
  }[];
}

describe('the CI workflow', () => {
  const text = read('.github/workflows/ci.yml');
  const workflow = parse(text) as Workflow;
  const { test: job } = workflow.jobs;
  const commands = job.steps.flatMap(({ run }) => (run === undefined ? [] : [run]));
  const localScript = read('.ci/run');

  test('runs for pull requests with read-only permissions', () => {
    expect(Object.keys(workflow.on)).toContain('pull_request');
    expect(workflow.permissions).toEqual({ contents: 'read' });
    expect(job.permissions).toBeUndefined();
  });

  test('pins every action to a commit, with the version in a comment', () => {
    const actions = Array.from(text.matchAll(/uses: (.+)/g), ([, action]) => action);
    expect(actions.length).toBeGreaterThan(0);
    for (const action of actions) expect(action).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  test('runs the same steps as .ci/run', () => {
    const [testCommand = ''] = /\bnpm (?:run )?test[\w:]*/.exec(localScript) ?? [];
    expect(commands).toContain(testCommand);
    for (const command of ['.ci/install-programs', 'npm ci', 'npm run check']) {
      expect(localScript).toContain(command);
      expect(
        commands.some((run) => run.includes(command)),
        command,
      ).toBe(true);
    }
    expect(localScript).toContain('node scripts/check-package.ts');
    expect(commands).toContain('npm run check:package');
  });

  test('configures the same test servers as .ci/run', () => {
    const variables = Array.from(
      read('test/support/services.ts').matchAll(/process\.env\['(TEST_\w+)'\]/g),
      ([, name = '']) => name,
    );
    expect(variables.length).toBeGreaterThan(3);
    expect(Object.keys(job.env).toSorted()).toEqual(variables.toSorted());
    expect(localScript).toContain(`export ${variables.join(' ')}`);
  });

  test('publishes each server on the port in its URL', () => {
    const ports = Object.values(job.services).flatMap((service) => service.ports);
    const publishedPorts = ports.map((port) => port.split(':')[0] ?? '').toSorted();
    const usedPorts = Array.from(
      Object.values(job.env)
        .join(' ')
        .matchAll(/127\.0\.0\.1:(\d+)/g),
      ([, port = '']) => port,
    );
    expect(usedPorts.toSorted()).toEqual(publishedPorts);
  });

  test('uses the same images as the contributing guide, and the same PostgreSQL image as the Compose file', () => {
    const images = Object.values(job.services).map(({ image }) => image);
    for (const image of images) expect(read('CONTRIBUTING.md')).toContain(image);
    expect(read('deploy/compose/compose.yaml')).toContain(`image: ${job.services['postgres']?.image}`);
  });

  test('uses a Node version that the package supports', () => {
    const { engines } = JSON.parse(read('package.json')) as { engines: { node: string } };
    const versions = job.steps.flatMap((step) => step.with?.['node-version'] ?? []);
    expect(versions).toEqual([24]);
    expect(engines.node).toMatch(/^>=24\./);
  });
});

describe('issue forms', () => {
  const formFiles = readdirSync(join(root, '.github/ISSUE_TEMPLATE')).filter((name) => name !== 'config.yml');

  test.each(formFiles)('%s is a valid form', (name) => {
    const { name: title, description, body } = parse(read(`.github/ISSUE_TEMPLATE/${name}`)) as Form;
    expect([title, description].every(Boolean)).toBe(true);
    const inputs = body.filter(({ type }) => type !== 'markdown');
    expect(inputs.some(({ validations }) => validations?.required)).toBe(true);
    for (const { type, id, attributes } of inputs) {
      expect(['input', 'textarea', 'dropdown', 'checkboxes']).toContain(type);
      expect(id).toMatch(/^[a-z]+$/);
      expect(attributes.label).toBeTruthy();
      if (type === 'dropdown') expect(attributes.options?.length).toBeGreaterThan(1);
    }
    expect(new Set(inputs.map(({ id }) => id)).size).toBe(inputs.length);
  });

  test('the bug form requests the output of the diagnostic commands', () => {
    const form = read('.github/ISSUE_TEMPLATE/bug.yml');
    for (const command of ['npx vitrine --version', 'npx vitrine doctor']) expect(form).toContain(command);
  });

  test('blank issues are disabled to avoid public vulnerability reports', () => {
    expect(parse(read('.github/ISSUE_TEMPLATE/config.yml'))).toMatchObject({ blank_issues_enabled: false });
    expect(read('.github/ISSUE_TEMPLATE/bug.yml')).toContain('SECURITY.md');
  });
});

test('.editorconfig matches the formatter settings', () => {
  const { formatter } = JSON.parse(read('biome.json')) as {
    formatter: { indentStyle: string; indentWidth: number; lineWidth: number };
  };
  const [, generalSection = ''] = read('.editorconfig').split('[*]');
  expect(generalSection).toContain(`indent_style = ${formatter.indentStyle}`);
  expect(generalSection).toContain(`indent_size = ${formatter.indentWidth}`);
  expect(generalSection).toContain(`max_line_length = ${formatter.lineWidth}`);
});
