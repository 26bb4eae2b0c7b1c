# shellcheck shell=bash disable=SC2154
# Exercise 2 from its first step to its verdict, on a lab of namespaces that is up; against two seconds.

exercise() { netlab exercise 2 --captures "$scratch/captures"; }

what='exercise 2, namespaces: two seconds'
if netlab up --runtime namespaces >"$scratch/out" 2>&1; then
    median[seconds]=2000000
    race 7 exercise &&
        row "$what" "${median[exercise]}" "${median[seconds]}" "$(ratio exercise seconds)" 'at most' 1
    netlab down >/dev/null 2>&1
else
    skip "$what" "$(tail -n 1 "$scratch/out")"
fi
