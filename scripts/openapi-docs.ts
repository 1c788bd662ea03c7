import { writeOrCheck } from './generated-file.ts';
import { generateOpenApiDocument } from './openapi-document.ts';

/** Generates `docs/openapi.json` from the routes. With `--check`, only checks that the file is up to date. */

await writeOrCheck(
  'docs/openapi.json',
  'the routes',
  async () => `${JSON.stringify(await generateOpenApiDocument(), null, 1)}\n`,
);
