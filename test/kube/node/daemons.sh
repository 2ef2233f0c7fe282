#!/bin/bash
# daemons.sh : says every few seconds what the node's own programs have used and waited for, one line of JSON. Starts no
# programs, because what it measures would wait for them.
declare -A ran waited ran_of waited_of

# sample SERVICE CGROUP : adds what its threads did since the last sample.
sample() {
  local thread now_ran now_waited
  while read -r thread; do
    { read -r now_ran now_waited _ <"/proc/$thread/schedstat"; } 2>/dev/null || continue
    ran[$1]=$((${ran[$1]:-0} + now_ran - ${ran_of[$thread]:-0}))
    waited[$1]=$((${waited[$1]:-0} + now_waited - ${waited_of[$thread]:-0}))
    ran_of[$thread]=$now_ran waited_of[$thread]=$now_waited
  done <"$2/cgroup.threads"
}

exec {never}<> <(:)
while read -r -t 2 -u "$never" || [ $? -gt 128 ]; do
  line=
  for cgroup in /sys/fs/cgroup/system.slice/*.service /sys/fs/cgroup/kubepods; do
    [ -d "$cgroup" ] || continue
    service=${cgroup##*/} service=${service%.service}
    sample "$service" "$cgroup"
    read -r _ used <"$cgroup/cpu.stat"
    read -r _ _ _ _ stood <"$cgroup/cpu.pressure" || stood=total=0
    line+=",\"$service\":{\"usedMs\":$((used / 1000)),\"ranMs\":$((${ran[$service]:-0} / 1000000)),\"waitedMs\":$((${waited[$service]:-0} / 1000000)),\"pressureMs\":$((${stood#total=} / 1000))}"
  done
  read -r up _ </proc/uptime
  printf 'daemons {"atMs":%s%s}\n' "${up/./}0" "$line"
done
