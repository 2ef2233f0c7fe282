/** Keys under our domain that mean nothing: mostly typing errors, which would otherwise fail in silence. */
import {
  CONTAINER_BUDGET_PREFIX,
  CONTAINER_IMPORTANCE_PREFIX,
  isEffectiveKey,
  isOurKey,
  POD_KEYS,
  WEBHOOK_LABEL,
} from './annotations.ts';
import { printable } from './printable.ts';
import type { SloProblem } from './slo.ts';

export function* unknownKeys(keys: Iterable<string>): Generator<SloProblem> {
  for (const key of keys) {
    if (isOurKey(key) && !isKnown(key)) {
      yield {
        code: 'SLO_E_UNKNOWN_KEY',
        key: printable(key, 128),
        value: '',
        message: `${printable(key, 80)}: ${reason(key)}; ignored`,
      };
    }
  }
}

function isKnown(key: string): boolean {
  return (
    POD_KEYS.has(key) ||
    key.startsWith(CONTAINER_BUDGET_PREFIX) ||
    key.startsWith(CONTAINER_IMPORTANCE_PREFIX) ||
    isEffectiveKey(key)
  );
}

function reason(key: string): string {
  if (key === WEBHOOK_LABEL) {
    return 'is a label, not an annotation';
  }
  if (key.startsWith('caps.scx-slo.io/')) {
    return 'counts on a namespace only';
  }
  const plain = (text: string): string => text.toLowerCase().replaceAll(/[-_. ]/g, '');
  const close = [...POD_KEYS].find((known) => plain(known) === plain(key));
  return close === undefined ? 'unknown key' : `unknown key, did you mean ${close}?`;
}
