/** The pages of the agent's two servers. */
import type { AgentView } from './agent-view.ts';
import { exitsView } from './exits-view.ts';
import { CONTENT_TYPE } from './exposition.ts';
import { jsonPage, type Page, type Routes, textPage } from './http-server.ts';
import { metricsText } from './metrics.ts';
import { podsView } from './pods-view.ts';

const readyPage = (view: AgentView, ready: boolean): Page => {
  const { mode, wanted, reason } = view.mode;
  const why = reason === undefined ? '' : ` (${wanted} was asked for; ${reason.code}: ${reason.message})`;
  if (!ready) return textPage(503, 'starting or stopping');
  const problems = view.sourceStates().flatMap(({ problem }) => problem ?? []);
  return problems.length === 0
    ? textPage(200, `ready, mode ${mode}${why}`)
    : textPage(503, `stale, mode ${mode}${why}: ${problems.join('; ')}`);
};

/** On the pod's address: nothing here names what a neighbour could not know but /metrics, which a policy limits. */
export const metricsPages = (view: () => AgentView, isReady: () => boolean): Routes => ({
  '/metrics': () => ({ status: 200, contentType: CONTENT_TYPE, body: metricsText(view()) }),
  '/healthz': () => textPage(200, 'ok'),
  '/readyz': () => readyPage(view(), isReady()),
});

/** On loopback only. */
export const localPages = (view: () => AgentView): Routes => ({
  '/v1/pods': () => jsonPage(podsView(view(), performance.now())),
  '/v1/exits': () => jsonPage(exitsView(view())),
});
