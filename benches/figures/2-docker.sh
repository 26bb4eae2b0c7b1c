# shellcheck shell=bash disable=SC2154
# Three hosts on Docker, with the image built already, against docker-compose with the same hosts.

ours_docker() { netlab up --runtime docker; }
ours_docker_after() { netlab down; }
compose() { docker-compose -p "$NETLAB_LAB" -f "$scratch/compose.yaml" up -d; }
compose_after() { docker-compose -p "$NETLAB_LAB" -f "$scratch/compose.yaml" down -t 0; }

# Writes a Compose file with the same hosts, made of netlab's own image.
write_compose() {
    netlab up --runtime docker || return 1
    local image
    image=$(docker ps --filter "label=netlab.lab=$NETLAB_LAB" --format '{{.Image}}' | head -n 1)
    netlab down
    [ -n "$image" ] || return 1
    cat >"$scratch/compose.yaml" <<END
version: "2.4"
x-host: &host
  image: $image
  entrypoint: ["sleep", "infinity"]
  init: true
  cap_add: [NET_ADMIN, SYS_PTRACE]
services:
  server: { <<: *host, hostname: server }
  client1: { <<: *host, hostname: client1 }
  client2: { <<: *host, hostname: client2 }
END
}

what='up, Docker: docker-compose up -d'
if needs "$what" docker docker-compose; then
    if ! docker version >/dev/null 2>&1; then
        skip "$what" 'no engine answers'
    elif ! write_compose >"$scratch/out" 2>&1; then
        skip "$what" "no lab on Docker: $(tail -n 1 "$scratch/out")"
    elif race 7 ours_docker compose; then
        row "$what" "${median[ours_docker]}" "${median[compose]}" "$(ratio ours_docker compose)" 'at most' 0.8
    fi
fi
