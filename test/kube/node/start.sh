#!/bin/bash
# start.sh : makes the guest a node of the cluster whose API server is on the host: network, containerd, kubelet,
# kube-proxy. Ends when the host closes its connection. /work/.vm has what the host gave: programs/ images/ node.env,
# the kubeconfigs.
set -euo pipefail
given=/work/.vm
# shellcheck source=/dev/null
. "$given/node.env" # NODE_NAME, POD_CIDR, CONTROL_PORT
export PATH=/usr/local/bin:$PATH
logs=/out
state=/work/node
mkdir -p "$state" /etc/cni/net.d /run/containerd /var/lib/kubelet

step() { printf '%s s: %s\n' "$(cut -d' ' -f1 /proc/uptime)" "$*"; }

# as_service NAME COMMAND... : becomes it, in a cgroup as systemd makes one: a node's own programs are beside the pods.
as_service() {
  local cgroup="/sys/fs/cgroup/system.slice/$1.service"
  shift
  mkdir -p "$cgroup"
  echo +cpu >/sys/fs/cgroup/system.slice/cgroup.subtree_control
  echo "$BASHPID" >"$cgroup/cgroup.procs"
  exec "$@"
}

network() {
  local module
  for module in virtio_net overlay veth br_netfilter nf_conntrack; do modprobe "$module"; done
  until [ -d /sys/class/net/eth0 ]; do sleep 0.1; done
  ip link set eth0 up
  ip address add 10.0.2.15/24 dev eth0
  sysctl -q -w net.ipv4.ip_forward=1 net.ipv4.conf.all.route_localnet=1
  # No default route: the guest reaches the host and nothing else. The services' addresses need a way out of the stack.
  ip route add 10.96.0.0/16 dev eth0 src 10.0.2.15
}

containers() {
  cat >/etc/cni/net.d/10-pods.conflist <<CNI
{"cniVersion":"1.0.0","name":"pods","plugins":[{"type":"ptp","ipMasq":true,
 "ipam":{"type":"host-local","ranges":[[{"subnet":"$POD_CIDR"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}
CNI
  cat >"$state/containerd.toml" <<TOML
version = 2
root = "$state/containerd"
state = "/run/containerd"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "docker.io/library/busybox:test"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
TOML
  as_service containerd containerd -c "$state/containerd.toml" >"$logs/containerd.log" 2>&1 &
  until ctr version >/dev/null 2>&1; do sleep 0.2; done
  local archive wanted
  for archive in "$given"/images/*.tar; do
    wanted=$(cat "${archive%.tar}.name")
    import_image "$archive" "$wanted" >>"$logs/images.log" 2>&1 || { step "cannot import $wanted"; tail -n 3 "$logs/images.log"; exit 1; }
    step "image $wanted"
  done
}

# import_image ARCHIVE NAME : whatever name it has in the archive.
import_image() {
  local said imported
  said=$(ctr -n k8s.io images import "$1")
  printf '%s\n' "$said"
  imported=$(sed -n 's/^unpacking \([^ ]*\) .*/\1/p' <<<"$said" | head -n 1)
  [ "$imported" = "$2" ] || ctr -n k8s.io images tag "$imported" "$2"
}

kubelet_config() {
  cat <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: false}, x509: {clientCAFile: $given/ca.crt}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
failSwapOn: false
nodeStatusUpdateFrequency: 5s
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
evictionHard: {memory.available: "100Mi", nodefs.available: "1%", imagefs.available: "1%"}
imageGCHighThresholdPercent: 100
YAML
}

step "network"
network
cp -a "$given/programs/." /
step "containerd"
containers
step "kubelet"
kubelet_config >"$state/kubelet.yaml"
as_service kubelet kubelet --config="$state/kubelet.yaml" --kubeconfig="$given/node.kubeconfig" --hostname-override="$NODE_NAME" \
  --node-ip=10.0.2.15 --container-runtime=remote --container-runtime-endpoint=unix:///run/containerd/containerd.sock \
  --v=2 >"$logs/kubelet.log" 2>&1 &
as_service kube-proxy kube-proxy --kubeconfig="$given/proxy.kubeconfig" --hostname-override="$NODE_NAME" --proxy-mode=iptables \
  --cluster-cidr="$POD_CIDR" --conntrack-max-per-core=0 --bind-address=10.0.2.15 --v=2 >"$logs/kube-proxy.log" 2>&1 &
"${BASH_SOURCE%/*}/daemons.sh" 2>"$logs/daemons.log" &
step "started"
# Reads nothing, until the host closes the connection.
cat <"/dev/tcp/10.0.2.2/$CONTROL_PORT" || true
step "the host is done"
cp -rL /var/log/pods "$logs/" || true
