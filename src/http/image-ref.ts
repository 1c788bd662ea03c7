import { z } from 'zod';
import { AppError } from '../errors.ts';
import { type ImageRef, parseImageReference, referenceForm } from '../model/image.ts';

/** Reads an image's number or UUID. */
export const imageRefText = z
  .string()
  .transform((text, context) => {
    const reference = parseImageReference(text);
    if (reference) return reference;
    context.addIssue({ code: 'custom', message: wrongReference(text) });
    return z.NEVER;
  })
  .meta({ pattern: referenceForm, description: 'Number or UUID of an image.' });

/** Parameters of an address that names an image. */
export const imageRef = z.object({ id: imageRefText });

/** The same for a route without a schema. @throws {AppError} `invalid_request` */
export function readImageReference(text: string): ImageRef {
  const reference = parseImageReference(text);
  if (!reference) throw new AppError('invalid_request', `params/id: ${wrongReference(text)}.`);
  return reference;
}

function wrongReference(text: string): string {
  return `"${text.slice(0, 60)}" is neither an image's number nor its UUID`;
}
