#!/bin/sh
# Runs inside the guest, started by /vminit from the work disk: makes the machine look like a node, runs the one
# command that /work/.vm/command holds, and leaves its exit code and the kernel's log in /out.
# Console lines go to the first serial port, the command's output to the second.
PATH=/work/node_modules/.bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
HOME=/root
LANG=C.UTF-8
export PATH HOME LANG
cd /work || exit 1

mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777 tmpfs /tmp
mkdir -p /dev/pts /dev/shm /sys/fs/cgroup /sys/fs/bpf /sys/kernel/tracing /out
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t cgroup2 -o nsdelegate,memory_recursiveprot cgroup2 /sys/fs/cgroup
mount -t bpf bpf /sys/fs/bpf
mount -t tracefs tracefs /sys/kernel/tracing
mount --bind /work/out /out
[ -e /dev/fd ] || ln -s /proc/self/fd /dev/fd
[ -e /dev/stdin ] || ln -s /proc/self/fd/0 /dev/stdin
[ -e /dev/stdout ] || ln -s /proc/self/fd/1 /dev/stdout
[ -e /dev/stderr ] || ln -s /proc/self/fd/2 /dev/stderr

deps=$(findfs LABEL=scx-deps) && mount -t ext4 -o ro "$deps" /work/node_modules
release=$(uname -r)
mkdir -p "/lib/modules/$release"
modules=$(findfs LABEL=scx-modules) && mount -t ext4 -o ro "$modules" "/lib/modules/$release"
[ ! -e /work/.vm/kernel-config ] || { mkdir -p /boot && ln -s /work/.vm/kernel-config "/boot/config-$release"; }

hostname scx-vm
ip link set lo up
for controller in cpu memory cpuset pids io; do
  echo "+$controller" >/sys/fs/cgroup/cgroup.subtree_control 2>/dev/null
done

stty -F /dev/ttyS1 raw -echo 2>/dev/null
echo "guest: ready after $(cut -d' ' -f1 /proc/uptime) s, $(nproc) CPUs, $release"
/bin/sh /work/.vm/command </dev/null >/dev/ttyS1 2>&1
code=$?
echo "$code" >/out/exit-code
dmesg >/out/dmesg.txt
# What the command left running would keep the disks busy.
kill -KILL -1 2>/dev/null
echo "guest: command ended with $code after $(cut -d' ' -f1 /proc/uptime) s"
