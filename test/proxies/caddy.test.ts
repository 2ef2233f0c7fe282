import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { proxyContract } from './proxy-contract.ts';
import { snippet } from './running-proxy.ts';

proxyContract({
  name: 'caddy',
  asksEach: true,
  prepare: ({ directory, signalPort, appPort, port }, programs) => {
    const sites = snippet('Caddyfile', {
      'scx-slo-signal.scx-slo-system.svc:7080': `127.0.0.1:${signalPort}`,
      '127.0.0.1:8080': `127.0.0.1:${appPort}`,
      ':8429 {': `http://127.0.0.1:${port} {`,
    });
    const global = '{\n\tadmin off\n\tlog {\n\t\tlevel ERROR\n\t}\n}\n';
    const file = join(directory, 'Caddyfile');
    writeFileSync(file, `${global}${sites}`);
    return [join(programs.directory, 'usr/bin/caddy'), 'run', '--config', file, '--adapter', 'caddyfile'];
  },
});
