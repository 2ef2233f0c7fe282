import { expect, it } from 'vitest';
import { ThrottleLedger } from './throttle-ledger.ts';

const LABELS = { namespace: 'shop', pod: 'cart', container: 'app' };
const counted = (periods: number) => ({
  periods,
  throttledPeriods: periods / 2,
  throttledNs: periods * 1e6,
});

it('goes on counting when the slot is assigned anew, and forgets long after', () => {
  const ledger = new ThrottleLedger();
  ledger.read(ledger.open(LABELS, 0), counted(10), 100);
  const second = ledger.open(LABELS, 200);
  ledger.read(second, counted(4), 300);
  ledger.read(second, counted(6), 400);
  expect([...ledger.series()]).toMatchObject([{ labels: LABELS, ...counted(16) }]);
  ledger.expire(500_000);
  expect([...ledger.series()]).toEqual([]);
});

it('does not count again what the slot had counted under another name', () => {
  const ledger = new ThrottleLedger();
  const meter = ledger.open({ ...LABELS, container: '0123456789ab' }, 0);
  ledger.read(meter, counted(10), 100);
  const named = ledger.open(LABELS, 100, meter.last);
  ledger.read(named, counted(12), 200);
  expect(named.series.periods).toBe(2);
});
