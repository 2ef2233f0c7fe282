import { describe, expect, it } from 'vitest';
import { parseOptions } from './options.ts';

const pair = ['--cert', 'a.crt', '--key', 'a.key'];

describe('webhook options', () => {
  it('defaults to the documented ports', () => {
    expect(parseOptions(pair)).toMatchObject({
      certFile: 'a.crt',
      keyFile: 'a.key',
      port: 10_250,
      healthPort: 9091,
      lameDuckMs: 5000,
    });
  });

  it.each([
    [[]],
    [['--cert', 'a.crt']],
    [[...pair, '--port', '65536']],
    [[...pair, '--port', '-1']],
    [[...pair, '--port', '0x10']],
    [[...pair, '--health-port', '']],
    [[...pair, '--lame-duck', '601']],
    [[...pair, '--certificate-poll', '0']],
    [[...pair, '--namespaces', 'none']],
    [[...pair, '--sidecar-kind', 'best']],
    [[...pair, '--endpoint', 'somewhere']],
    [[...pair, '--nonsense']],
    [[...pair, 'extra']],
  ])('refuses %j', (argv) => {
    expect(parseOptions(argv)).toEqual({ error: expect.any(String) });
  });

  it('watches namespaces inside a cluster, or where it is told how to reach one', () => {
    expect(parseOptions(pair, {})).toMatchObject({ namespaces: 'off' });
    expect(parseOptions(pair, { KUBERNETES_SERVICE_HOST: '10.0.0.1' })).toMatchObject({
      namespaces: 'watch',
    });
    expect(parseOptions([...pair, '--kubeconfig', 'config'], {})).toMatchObject({ namespaces: 'watch' });
    expect(
      parseOptions([...pair, '--namespaces', 'off'], { KUBERNETES_SERVICE_HOST: '10.0.0.1' }),
    ).toMatchObject({ namespaces: 'off' });
  });

  it('takes image and namespace from the environment, and rather from the command line', () => {
    const env = { SCX_SLO_SIDECAR_IMAGE: 'env:1', POD_NAMESPACE: 'here' };
    expect(parseOptions(pair, env)).toMatchObject({ sidecarImage: 'env:1', ownNamespace: 'here' });
    expect(
      parseOptions([...pair, '--sidecar-image', 'cli:1', '--own-namespace', 'there'], env),
    ).toMatchObject({ sidecarImage: 'cli:1', ownNamespace: 'there' });
    expect(parseOptions(pair, { SCX_SLO_SIDECAR_IMAGE: '' })).toMatchObject({
      sidecarImage: undefined,
      ownNamespace: 'scx-slo-system',
    });
  });

  it('knows --help without the rest', () => {
    expect(parseOptions(['--help'])).toBe('help');
  });
});
