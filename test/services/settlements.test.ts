import { expect, test } from 'vitest';
import { AppError } from '../../src/errors.ts';
import { makeSettlements } from '../../src/services/settlements.ts';

const error = new AppError('picture_damaged', 'No.');

test('all who listen for an image are told, and nobody else', async () => {
  const settlements = makeSettlements();
  const [first, second, other] = [settlements.listen(1), settlements.listen(1), settlements.listen(2)];
  settlements.announce(1, { error });
  expect(await Promise.all([first.settled, second.settled])).toEqual([{ error }, { error }]);
  expect(await Promise.race([other.settled, Promise.resolve('nothing')])).toBe('nothing');
});

test('who listens after the end, or has stopped, hears nothing', async () => {
  const settlements = makeSettlements();
  const stopped = settlements.listen(1);
  stopped.stop();
  settlements.announce(1, { error });
  const late = settlements.listen(1);
  for (const { settled } of [stopped, late]) {
    expect(await Promise.race([settled, Promise.resolve('nothing')])).toBe('nothing');
  }
});

test('one who stops does not silence the others', async () => {
  const settlements = makeSettlements();
  const [leaving, staying] = [settlements.listen(1), settlements.listen(1)];
  leaving.stop();
  leaving.stop();
  settlements.announce(1, { error });
  expect(await staying.settled).toEqual({ error });
});
