# shellcheck shell=bash disable=SC2154
# Connections per second: connect, send a line, read its echo, close. Each server forks for every connection.
# Four simultaneous clients keep it busy, and fit into a listen queue of five. The rate is the inverse of the
# time, so a ratio of 0.9 means 90 % of the rate.

clients=4 each=250

load() { ../bin/examples/echo_load "127.0.0.1:$1" "$clients" "$each"; }
rust_server() { load 8931; }
c_server() { load 8932; }
socat_server() { load 8933; }

# serve PORT COMMAND…: starts a server, and waits until it accepts connections.
serve() {
    local port=$1
    shift
    "$@" >/dev/null 2>&1 &
    running+=($!)
    timeout 5 bash -c "until (: </dev/tcp/127.0.0.1/$port) 2>/dev/null; do :; done"
}

what='1,000 connections to tcpechod: a C fork server'
if needs "$what" cc && cc -O2 -static -o "$scratch/fork_server" fork_server.c &&
    serve 8931 tcpechod 8931 && serve 8932 "$scratch/fork_server" 8932; then
    race 21 rust_server c_server &&
        row "$what" "${median[rust_server]}" "${median[c_server]}" "$(ratio c_server rust_server)" 'at least' 0.9
fi

what='1,000 connections to tcpechod: socat fork PIPE'
if needs "$what" socat && serve 8933 socat TCP-LISTEN:8933,fork,reuseaddr PIPE; then
    race 11 rust_server socat_server &&
        row "$what" "${median[rust_server]}" "${median[socat_server]}" "$(ratio socat_server rust_server)" 'at least' 2
fi
