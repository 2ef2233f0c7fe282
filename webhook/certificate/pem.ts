/** PEM texts that hold any number of certificates. */
import { X509Certificate } from 'node:crypto';

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g;

/** Those that can be read, each once, in order; what cannot be read is of use to nobody and left out. */
export function certificatesOf(pem: string): X509Certificate[] {
  const found = new Map<string, X509Certificate>();
  for (const [text] of pem.matchAll(CERTIFICATE)) {
    try {
      const certificate = new X509Certificate(text);
      if (!found.has(certificate.fingerprint256)) {
        found.set(certificate.fingerprint256, certificate);
      }
    } catch {
      // Not a certificate after all.
    }
  }
  return [...found.values()];
}

export const pemOf = (certificates: readonly X509Certificate[]): string =>
  certificates.map((certificate) => certificate.toString()).join('');
