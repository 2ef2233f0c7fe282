/** /healthz, /readyz and /metrics of the signal process. */
import { CONTENT_TYPE, headerText, sampleText, singleText } from '../observe/exposition.ts';
import { type Page, type Routes, textPage } from '../observe/http-server.ts';
import { SIGNAL_METRICS } from '../observe/metric-catalog.ts';
import type { AgentLink } from './agent-link.ts';
import type { AnswerCounts } from './answer-counts.ts';
import type { SignalEndpoint } from './endpoint.ts';
import type { LevelTable } from './level-table.ts';

export interface SignalView {
  table: LevelTable;
  counts: AnswerCounts;
  endpoint: SignalEndpoint;
  link: AgentLink;
}

function* metricsText({ table, counts, endpoint, link }: SignalView): Generator<string> {
  const { decisions } = SIGNAL_METRICS;
  yield headerText(decisions);
  yield sampleText(decisions, ['allow'], counts.allowed);
  yield sampleText(decisions, ['deny'], counts.denied);
  yield sampleText(decisions, ['unknown'], counts.unknown);
  yield endpoint.times.text(SIGNAL_METRICS.handlerDuration);
  yield singleText(SIGNAL_METRICS.connections, endpoint.connections.total);
  yield singleText(SIGNAL_METRICS.refused, endpoint.connections.refused);
  yield singleText(SIGNAL_METRICS.waiting, endpoint.handler.waiting);
  yield singleText(SIGNAL_METRICS.callers, table.size);
  yield singleText(SIGNAL_METRICS.agentUp, link.connected ? 1 : 0);
  yield singleText(SIGNAL_METRICS.levelAge, table.ageMs(performance.now()) / 1_000);
  yield singleText(SIGNAL_METRICS.residentMemory, process.memoryUsage.rss());
}

/** Without the agent it is ready all the same: out of the Service, it would be a timeout in every request. */
const readyPage = ({ link }: SignalView): Page =>
  textPage(200, link.connected ? 'ready' : 'ready, without the agent: everybody is allowed');

export const signalPages = (view: SignalView): Routes => ({
  '/metrics': () => ({ status: 200, contentType: CONTENT_TYPE, body: metricsText(view) }),
  '/healthz': () => textPage(200, 'ok'),
  '/readyz': () => readyPage(view),
});
