import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { proxyContract } from './proxy-contract.ts';
import { snippet, snippetPath } from './running-proxy.ts';

proxyContract({
  name: 'haproxy',
  asksEach: false,
  prepare: ({ directory, signalPort, appPort, port }, programs) => {
    const config = snippet('haproxy.cfg', {
      'scx-slo-signal.scx-slo-system.svc:7080': `127.0.0.1:${signalPort}`,
      '127.0.0.1:8080': `127.0.0.1:${appPort}`,
      ':8429': `127.0.0.1:${port}`,
      '/etc/haproxy/scx_slo.lua': snippetPath('scx_slo.lua'),
    });
    writeFileSync(join(directory, 'haproxy.cfg'), config);
    return [join(programs.directory, 'usr/sbin/haproxy'), '-db', '-f', join(directory, 'haproxy.cfg')];
  },
});
