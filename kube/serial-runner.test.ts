import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SerialRunner } from './serial-runner.ts';

it('never runs twice at once, and always once after it was asked last', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(3)), async (pauses) => {
      let asked = 0;
      let seen = 0;
      let running = 0;
      const runner = new SerialRunner(async () => {
        running += 1;
        expect(running).toBe(1);
        seen = asked;
        // Sometimes done at once, as where there is nothing to do.
        for (let i = asked % 3; i > 0; i -= 1) await Promise.resolve();
        running -= 1;
      });
      for (const pause of pauses) {
        asked += 1;
        runner.request();
        for (let i = 0; i < pause; i += 1) await Promise.resolve();
      }
      await runner.idle();
      expect(seen).toBe(asked);
    }),
  );
});
