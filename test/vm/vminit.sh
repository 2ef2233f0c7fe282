#!/bin/sh
# First process of the guest: only what is needed to reach the work disk. Everything that changes often is in
# guest.sh on that disk, so that a change there needs no new root file system.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb
# QEMU runs with -no-reboot: a reboot ends it at once, a power-off would wait for ACPI.
power_off() { sync; echo b >/proc/sysrq-trigger; sleep 60; }

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mountpoint -q /dev || mount -t devtmpfs devtmpfs /dev

tries=0
until work=$(findfs LABEL=scx-work 2>/dev/null); do
  tries=$((tries + 1))
  [ "$tries" -lt 100 ] || { echo 'vminit: no disk with the label scx-work'; power_off; }
  sleep 0.1
done
mount -t ext4 "$work" /work || { echo "vminit: cannot mount $work"; power_off; }
/bin/sh /work/test/vm/guest.sh
cd /
sync
umount /work/node_modules 2>/dev/null
umount /work || mount -o remount,ro /work
power_off
