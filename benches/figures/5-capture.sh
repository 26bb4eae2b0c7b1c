# shellcheck shell=bash disable=SC2154
# The TCP connections of a capture of 400,000 packets, against tshark's table of them. A test checks that both
# report the same ones.

load=$scratch/load.pcapng

ours_show() { netlab capture show --json "$load"; }
tshark_conv() { tshark -r "$load" -q -z conv,tcp; }

what='connections of 400,000 packets: tshark conv,tcp'
if needs "$what" tshark && ../bin/examples/capture_load 400000 >"$load" && race 3 ours_show tshark_conv; then
    row "$what" "${median[ours_show]}" "${median[tshark_conv]}" "$(ratio tshark_conv ours_show)" 'at least' 10
fi
rm -f "$load"
