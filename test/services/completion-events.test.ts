import { expect, test } from 'vitest';
import { AppError } from '../../src/errors.ts';
import { makeCompletionEvents } from '../../src/services/completion-events.ts';

const error = new AppError('picture_damaged', 'No.');

test('all who listen for an image are told, and nobody else', async () => {
  const completionEvents = makeCompletionEvents();
  const [first, second, other] = [
    completionEvents.listen(1),
    completionEvents.listen(1),
    completionEvents.listen(2),
  ];
  completionEvents.announce(1, { error });
  expect(await Promise.all([first.settled, second.settled])).toEqual([{ error }, { error }]);
  expect(await Promise.race([other.settled, Promise.resolve('nothing')])).toBe('nothing');
});

test('who listens after the end, or has stopped, hears nothing', async () => {
  const completionEvents = makeCompletionEvents();
  const stopped = completionEvents.listen(1);
  stopped.stop();
  completionEvents.announce(1, { error });
  const late = completionEvents.listen(1);
  for (const { settled } of [stopped, late]) {
    expect(await Promise.race([settled, Promise.resolve('nothing')])).toBe('nothing');
  }
});

test('one who stops does not silence the others', async () => {
  const completionEvents = makeCompletionEvents();
  const [leaving, staying] = [completionEvents.listen(1), completionEvents.listen(1)];
  leaving.stop();
  leaving.stop();
  completionEvents.announce(1, { error });
  expect(await staying.settled).toEqual({ error });
});
