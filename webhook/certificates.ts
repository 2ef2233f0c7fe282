/**
 * Certificate and key from files, read again while running. The content is polled: a Secret volume changes by
 * swapping a symlink in the directory above, which a watch on the file never sees.
 */
import { X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';

export interface CertificatePair {
  cert: string;
  key: string;
  /** End of the leaf's validity. */
  notAfter: Date;
}

export interface CertificateFiles {
  certFile: string;
  keyFile: string;
}

/** A PEM file is a few kB; anything this large is the wrong file. */
const PEM_MAX_BYTES = 1024 * 1024;

/** @returns the pair, or why there is none, for a person */
export async function readPair(files: CertificateFiles): Promise<CertificatePair | string> {
  try {
    const [cert, key] = [await readPem(files.certFile), await readPem(files.keyFile)];
    return checkPair(cert, key, files);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function readPem(path: string): Promise<string> {
  const info = await stat(path);
  if (!info.isFile() || info.size > PEM_MAX_BYTES) {
    throw new Error(`${path} is not a PEM file`);
  }
  return await readFile(path, 'utf8');
}

function checkPair(cert: string, key: string, files: CertificateFiles): CertificatePair | string {
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(cert);
  } catch {
    return `${files.certFile} is not a PEM certificate`;
  }
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    return code === 'ERR_OSSL_X509_KEY_VALUES_MISMATCH'
      ? `${files.keyFile} is not the key of the certificate in ${files.certFile}`
      : `${files.keyFile} is not a usable PEM private key`;
  }
  return { cert, key, notAfter: leaf.validToDate };
}

export interface CertificateWatch {
  stop(): void;
}

/**
 * Calls `onPair` for each new good pair, and `onProblem` once for each new reason why the files hold none; the
 * caller keeps the pair that it has. A rotation that writes the two files one after the other passes through a
 * mismatch, so a problem counts only when the next look finds it again.
 */
export function watchPair(
  files: CertificateFiles,
  current: CertificatePair,
  intervalMs: number,
  onPair: (pair: CertificatePair) => void,
  onProblem: (problem: string) => void,
): CertificateWatch {
  let known = current;
  let problem: string | undefined;
  let timesSeen = 0;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;

  const look = async (): Promise<void> => {
    const read = await readPair(files);
    if (stopped) {
      return;
    }
    if (typeof read === 'string') {
      timesSeen = read === problem ? timesSeen + 1 : 1;
      problem = read;
      if (timesSeen === 2) {
        onProblem(read);
      }
    } else {
      problem = undefined;
      if (read.cert !== known.cert || read.key !== known.key) {
        known = read;
        onPair(read);
      }
    }
    schedule();
  };
  const schedule = (): void => {
    timer = setTimeout(() => void look(), intervalMs).unref();
  };
  schedule();
  return {
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
