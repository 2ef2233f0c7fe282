/**
 * What is to be done about the webhook's certificate. Pure.
 *
 * API servers trust what `caBundle` holds; replicas serve what the Secret holds, some minutes later. So that every
 * handshake succeeds at every moment, a new authority is trusted before its certificate is served, and an old one until
 * no replica can still be serving the old certificate.
 */
import { createPrivateKey, type X509Certificate } from 'node:crypto';
import type { ServingPair } from './mint.ts';
import { certificatesOf, pemOf } from './pem.ts';

export interface CertificateState {
  /** Of the Secret; a part that is missing is an empty text. */
  secret: ServingPair;
  /** `caBundle` (PEM) of every webhook of the configuration. */
  bundles: readonly string[];
}

export interface CertificateRules {
  dnsNames: readonly string[];
  renewBeforeMs: number;
  /** From the beginning of a certificate's validity: how long replicas may still be serving the one before it. */
  reloadMs: number;
}

export type CertificatePlan =
  /** Make a new pair. `trusted`: what else API servers must trust while it spreads. */
  | { kind: 'renew'; why: string; trusted: string; isServing: boolean }
  /** The pair is good, but not exactly what should be trusted is. */
  | { kind: 'trust'; why: string; bundle: string }
  | { kind: 'nothing'; notAfter: Date };

const DAY_MS = 24 * 3600 * 1000;

export function planCertificate(
  { secret, bundles }: CertificateState,
  rules: CertificateRules,
  now: Date,
): CertificatePlan {
  const trustedNow = certificatesOf(bundles.join('\n')).filter((ca) => ca.validToDate > now);
  const fault = faultOf(secret, rules, now);
  if (fault !== undefined) {
    const served = certificatesOf(secret.ca).filter((ca) => ca.validToDate > now);
    const trusted = pemOf(certificatesOf(pemOf([...served, ...trustedNow])));
    return { kind: 'renew', why: fault.why, trusted, isServing: fault.isServing };
  }
  const [leaf] = certificatesOf(secret.cert);
  const isNew = leaf !== undefined && now.getTime() - leaf.validFromDate.getTime() < rules.reloadMs;
  const wanted = pemOf(certificatesOf(pemOf([...certificatesOf(secret.ca), ...(isNew ? trustedNow : [])])));
  if (bundles.every((bundle) => bundle === wanted)) {
    return { kind: 'nothing', notAfter: leaf?.validToDate ?? now };
  }
  const why = bundles.every((bundle) => includesAll(bundle, secret.ca))
    ? 'an authority that no replica serves is still trusted'
    : 'the authority of the certificate is not trusted';
  return { kind: 'trust', why, bundle: wanted };
}

interface Fault {
  why: string;
  /** API servers may still be talking to replicas that serve it. */
  isServing: boolean;
}

function faultOf(secret: ServingPair, rules: CertificateRules, now: Date): Fault | undefined {
  const useless = (why: string): Fault => ({ why, isServing: false });
  const [leaf] = certificatesOf(secret.cert);
  const [ca] = certificatesOf(secret.ca);
  if (leaf === undefined || ca === undefined) {
    return useless('there is no certificate yet');
  }
  if (!isKeyOf(leaf, secret.key)) {
    return useless('the key does not belong to the certificate');
  }
  if (!leaf.checkIssued(ca) || !leaf.verify(ca.publicKey)) {
    return useless('the certificate is not signed by its authority');
  }
  const missing = rules.dnsNames.find((name) => leaf.checkHost(name) === undefined);
  if (missing !== undefined) {
    return useless(`the certificate is not for ${missing}`);
  }
  const end = new Date(Math.min(leaf.validToDate.getTime(), ca.validToDate.getTime()));
  if (end <= now) {
    return useless(`the certificate expired on ${end.toISOString()}`);
  }
  if (leaf.validFromDate > now) {
    return useless(`the certificate begins on ${leaf.validFromDate.toISOString()} only`);
  }
  const leftMs = end.getTime() - now.getTime();
  return leftMs < rules.renewBeforeMs
    ? { why: `the certificate ends in ${Math.floor(leftMs / DAY_MS)} days`, isServing: true }
    : undefined;
}

function isKeyOf(leaf: X509Certificate, key: string): boolean {
  try {
    return leaf.checkPrivateKey(createPrivateKey(key));
  } catch {
    return false;
  }
}

function includesAll(bundle: string, authorities: string): boolean {
  const have = new Set(certificatesOf(bundle).map(({ fingerprint256 }) => fingerprint256));
  return certificatesOf(authorities).every(({ fingerprint256 }) => have.has(fingerprint256));
}
