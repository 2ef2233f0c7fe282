import { describe, expect, it, vi } from 'vitest';
import { pollFd } from './fd-poller.ts';

describe('pollFd', () => {
  it('looks on a timer where koffi has no poll handle, until it is closed', async () => {
    const onReadable = vi.fn();
    const without = {
      pollReadable: () => {
        throw new TypeError('koffi.node.poll is not a function');
      },
    };
    const poller = pollFd(without, 3, onReadable);
    expect(poller.how).toBe('timer');
    await vi.waitFor(() => expect(onReadable.mock.calls.length).toBeGreaterThan(1));
    poller.close();
    const calls = onReadable.mock.calls.length;
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(onReadable.mock.calls.length).toBe(calls);
  });
});
