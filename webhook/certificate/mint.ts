/**
 * A server certificate and the authority that signed it, ECDSA P-256. The authority signs this one certificate: its
 * key is gone when this returns, so nobody can steal it, and the next certificate comes with an authority of its own.
 */
import { webcrypto } from 'node:crypto';
// The X.509 library injects dependencies by decorators' metadata.
import 'reflect-metadata';
import * as x509 from '@peculiar/x509';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 24 * 3600 * 1000;
/** Clocks of a cluster's machines differ; API servers must not think that it begins in the future. */
const BACKDATED_MS = 3600 * 1000;
const SERIAL_BYTES = 16;

x509.cryptoProvider.set(webcrypto as never);

export interface ServingPair {
  /** PEM. */
  cert: string;
  /** PEM, PKCS #8. */
  key: string;
  /** PEM of the authority's certificate. */
  ca: string;
}

export interface MintRequest {
  dnsNames: readonly string[];
  now: Date;
  validDays: number;
}

export async function mint({ dnsNames, now, validDays }: MintRequest): Promise<ServingPair> {
  const notBefore = new Date(now.getTime() - BACKDATED_MS);
  const notAfter = new Date(now.getTime() + validDays * DAY_MS);
  const caKeys = await newKeys();
  const ca = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: newSerial(),
    // Different each time: with one name, a verifier could try the key of another one first.
    name: `CN=scx-slo webhook CA ${newSerial().slice(0, 8)}`,
    notBefore,
    notAfter,
    signingAlgorithm: ALGORITHM,
    keys: caKeys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(caKeys.publicKey),
    ],
  });
  const keys = await newKeys();
  const leaf = await x509.X509CertificateGenerator.create({
    serialNumber: newSerial(),
    subject: 'CN=scx-slo webhook',
    issuer: ca.subject,
    notBefore,
    notAfter,
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: caKeys.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(dnsNames.map((value) => ({ type: 'dns', value }))),
      await x509.AuthorityKeyIdentifierExtension.create(caKeys.publicKey),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const pkcs8 = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  return {
    cert: `${leaf.toString('pem')}\n`,
    key: `${x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')}\n`,
    ca: `${ca.toString('pem')}\n`,
  };
}

const newKeys = (): Promise<webcrypto.CryptoKeyPair> =>
  webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);

/** RFC 5280: positive, at most 20 bytes. */
function newSerial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(SERIAL_BYTES));
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}
