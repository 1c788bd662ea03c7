import { z } from 'zod';
import { parseImageReference } from '../model/image.ts';

/** Reads an image's number or UUID. */
export const imageReferenceText = z.string().transform((text, context) => {
  const reference = parseImageReference(text);
  if (reference) return reference;
  context.addIssue({
    code: 'custom',
    message: `"${text.slice(0, 60)}" is neither an image's number nor its UUID`,
  });
  return z.NEVER;
});

/** Parameters of an address that names an image. */
export const imageReference = z.object({ id: imageReferenceText });
