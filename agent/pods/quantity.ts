/**
 * Kubernetes quantities (k8s.io/apimachinery, resource.Quantity): a decimal number and a suffix, `250m`, `0.5`,
 * `2k`, `1Ki`, `1e3`. Exact arithmetic; what is finer than the wanted unit rounds up, as the API does.
 */
const QUANTITY = /^\+?([0-9]*)(?:\.([0-9]*))?([eE][+-]?[0-9]{1,2}|[KMGTPE]i|[numkMGTPE]?)$/;
const LENGTH_MAX = 64;

const DECIMAL_EXPONENTS: Readonly<Record<string, number>> = {
  n: -9,
  u: -6,
  m: -3,
  '': 0,
  k: 3,
  M: 6,
  G: 9,
  T: 12,
  P: 15,
  E: 18,
};
const BINARY_SUFFIXES = ['Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

/**
 * @param value as it stands in a manifest: text, or a JSON number
 * @returns thousandths, rounded up; undefined for what is no quantity, negative, or beyond exact numbers
 */
export function parseMilli(value: unknown): number | undefined {
  const text = typeof value === 'number' ? String(value) : value;
  const match = typeof text === 'string' && text.length <= LENGTH_MAX ? QUANTITY.exec(text) : null;
  if (match === null) {
    return undefined;
  }
  const [, whole = '', fraction = '', suffix = ''] = match;
  if (whole === '' && fraction === '') {
    return undefined;
  }
  const digits = BigInt(`${whole}${fraction}`);
  const power = BINARY_SUFFIXES.indexOf(suffix) + 1;
  const exponent = 3 - fraction.length + (power > 0 ? 0 : decimalExponent(suffix));
  const milli = scaled(digits * 1024n ** BigInt(power), exponent);
  return milli <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(milli) : undefined;
}

function decimalExponent(suffix: string): number {
  return DECIMAL_EXPONENTS[suffix] ?? Number(suffix.slice(1));
}

function scaled(value: bigint, exponent: number): bigint {
  if (exponent >= 0) {
    return value * 10n ** BigInt(exponent);
  }
  const divisor = 10n ** BigInt(-exponent);
  return (value + divisor - 1n) / divisor;
}
