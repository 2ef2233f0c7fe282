/** Brings the webhook's certificate to what it should be, in an order in which no handshake ever fails. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { type ApiFailure, isApiFailure } from '../../kube/api-failure.ts';
import { type Api, type ObjectNames, readState, writeBundle, writeSecret } from './cluster.ts';
import { mint } from './mint.ts';
import { certificatesOf, pemOf } from './pem.ts';
import { type CertificateRules, planCertificate } from './plan.ts';

export interface KeepOptions {
  names: ObjectNames;
  rules: CertificateRules;
  validDays: number;
  /** How long API servers may take to trust what the configuration holds. */
  settleMs: number;
  log: Logger;
  now?: () => Date;
}

/** Somebody else changed an object between reading and writing it. */
const CONFLICT = 409;
const TRIES = 5;
const RETRY_MS = 50;

export type Kept = 'renewed' | 'trusted' | 'nothing';

/** Running it twice changes nothing; stopped anywhere, the next run goes on from there. */
export async function keepCertificate(api: Api, options: KeepOptions): Promise<Kept | ApiFailure> {
  for (let tried = 1; ; tried += 1) {
    const kept = await keepOnce(api, options);
    if (!isApiFailure(kept) || kept.status !== CONFLICT || tried === TRIES) {
      return kept;
    }
    options.log.info({ tried }, 'changed by somebody else meanwhile, looking again');
    await sleep(RETRY_MS * tried);
  }
}

async function keepOnce(api: Api, options: KeepOptions): Promise<Kept | ApiFailure> {
  const { names, rules, validDays, settleMs, log, now = () => new Date() } = options;
  const state = await readState(api, names);
  if (isApiFailure(state)) {
    return state;
  }
  const plan = planCertificate(state, rules, now());
  if (plan.kind === 'nothing') {
    log.info({ notAfter: plan.notAfter.toISOString() }, 'the certificate is good');
    return 'nothing';
  }
  log.info(
    { plan: plan.kind, why: plan.why },
    plan.kind === 'renew' ? 'renewing' : 'correcting what is trusted',
  );
  if (plan.kind === 'trust') {
    const written = await writeBundle(api, names, state, plan.bundle);
    return isApiFailure(written) ? written : 'trusted';
  }
  const pair = await mint({ dnsNames: rules.dnsNames, now: now(), validDays });
  const bundle = pemOf(certificatesOf(pair.ca + plan.trusted));
  const trusted = await writeBundle(api, names, state, bundle);
  if (isApiFailure(trusted)) {
    return trusted;
  }
  if (plan.isServing) {
    await sleep(settleMs);
  }
  const written = await writeSecret(api, names, state, pair);
  return isApiFailure(written) ? written : 'renewed';
}
