# shellcheck shell=bash disable=SC2154
# Three hosts on namespaces, against the bare commands that make their network, and Mininet.

ours_up() { netlab up --runtime namespaces; }
ours_up_after() { netlab down; }
bare_up() { ./bare_lab up; }
bare_up_after() { ./bare_lab down; }

ours_up_down() { netlab up --runtime namespaces && netlab down; }
mininet() { mn --switch lxbr --controller none --topo single,3 --test none; }

what='up, namespaces: a bare ip -batch script'
if [ "$(id -u)" != 0 ]; then
    skip "$what" 'the script needs root'
elif needs "$what" ip && race 15 ours_up bare_up; then
    row "$what" "${median[ours_up]}" "${median[bare_up]}" "$(ratio ours_up bare_up)" 'at most' 1.5
fi

what='up and down, namespaces: mn single,3 on lxbr'
if [ "$(id -u)" != 0 ]; then
    skip "$what" 'Mininet needs root'
elif needs "$what" mn brctl && race 5 ours_up_down mininet; then
    row "$what" "${median[ours_up_down]}" "${median[mininet]}" "$(ratio mininet ours_up_down)" 'at least' 4
fi
