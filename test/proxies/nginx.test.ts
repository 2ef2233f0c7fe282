import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { proxyContract } from './proxy-contract.ts';
import { snippet } from './running-proxy.ts';

const PATHS = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  .map((name) => `${name}_temp_path tmp-${name};`)
  .join(' ');

proxyContract({
  name: 'nginx',
  asksEach: true,
  prepare: ({ directory, signalPort, appPort, port }, programs) => {
    const http = snippet('nginx.conf', {
      'scx-slo-signal.scx-slo-system.svc:7080': `127.0.0.1:${signalPort}`,
      '127.0.0.1:8080': `127.0.0.1:${appPort}`,
      'listen 8429': `listen 127.0.0.1:${port}`,
    });
    // Its workers would be another user, who may not write here.
    const user = process.getuid?.() === 0 ? 'user root;' : '';
    const around = `${user} daemon off; worker_processes 1; pid nginx.pid; error_log stderr error; events {}`;
    writeFileSync(join(directory, 'nginx.conf'), `${around}\nhttp { access_log off; ${PATHS}\n${http}\n}\n`);
    const nginx = join(programs.directory, 'usr/sbin/nginx');
    return [nginx, '-p', directory, '-c', join(directory, 'nginx.conf'), '-e', 'stderr'];
  },
});
