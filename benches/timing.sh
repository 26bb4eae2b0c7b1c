# shellcheck shell=bash disable=SC2154
# Compares the times of commands: alternately, in one run, by their medians.

declare -A median

# race ROUNDS NAME…: calls the functions in turn, ROUNDS times after a round that does not count, and stores
# the median wall-clock time of each in ${median[NAME]}, in microseconds. After each call, the function
# NAME_after, if there is one, cleans up, unmeasured. Fails as soon as a function fails.
race() {
    local rounds=$1 round name start
    shift
    local -A times=()
    for ((round = 0; round <= rounds; round++)); do
        for name in "$@"; do
            start=${EPOCHREALTIME/[.,]/}
            "$name" >"$scratch/out" 2>&1 || { tail -n 5 "$scratch/out" | sed "s/^/    $name failed: /" >&2; return 1; }
            ((round == 0)) || times[$name]+="$((${EPOCHREALTIME/[.,]/} - start)) "
            ! declare -F "${name}_after" >/dev/null || "${name}_after" >/dev/null 2>&1
        done
    done
    for name in "$@"; do
        median[$name]=$(tr ' ' '\n' <<<"${times[$name]% }" | sort -n | awk '{ t[NR] = $1 } END { print t[int((NR + 1) / 2)] }')
    done
}

# row WHAT OURS THEIRS RATIO 'at most'|'at least' TARGET: prints a row of the table. Times are in
# microseconds.
row() {
    awk -v what="$1" -v ours="$2" -v theirs="$3" -v ratio="$4" -v bound="$5" -v target="$6" 'BEGIN {
        reached = bound == "at most" ? ratio <= target : ratio >= target
        printf "%-50s %9.1f %9.1f %7.2f  %-8s %4s  %s\n", what, ours / 1000, theirs / 1000, ratio, bound, target,
            reached ? "reached" : "MISSED"
    }'
}

heading() { printf '%-50s %9s %9s %7s  %s\n' 'what, against what' 'netlab ms' 'other ms' ratio target; }

# ratio A B: prints the median of A divided by that of B.
ratio() { awk -v a="${median[$1]}" -v b="${median[$2]}" 'BEGIN { print a / b }'; }

skip() { printf '%-50s skipped: %s\n' "$1" "$2"; }

# needs WHAT PROGRAM…: skips the figure if a program is not installed.
needs() {
    local what=$1 program
    shift
    for program; do
        command -v "$program" >/dev/null || { skip "$what" "$program is not installed"; return 1; }
    done
}
