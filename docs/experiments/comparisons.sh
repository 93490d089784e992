#!/usr/bin/env bash
# The thesis's comparisons on our data, about two hours on two cores. Run from the repository's root.
#
#   python -m socialmd_tf.simulate --output data/nbody      # once, minutes
#   docs/experiments/comparisons.sh train                   # all models, or only those named after `train`
#   docs/experiments/comparisons.sh compare                 # three reports in runs/comparisons/reports, or only those named
#
# Every model sees the same 800 windows per epoch, 8 of each of 100 simulations, in six epochs of 100 steps: two epochs
# predict one frame of 20 stored ones (or the same time), two predict 5, one 15, one all 30. Models that are already trained
# are skipped.
set -euo pipefail

settings=(--data data/nbody --batch-size 8 --epochs 6 --patience 6 --learning-rate 2e-3 --decay cosine --clip-norm 1
          --rotations 1 --subsample-phases 1)
every_20th=(--subsample 20 --warm-up-steps 5 --rollout-steps 30 --window-shift 2 --curriculum 1 1 5 5 15)
every_10th=(--subsample 10 --warm-up-steps 9 --rollout-steps 60 --window-shift 4 --curriculum 2 2 10 10 30)
every_5th=(--subsample 5 --warm-up-steps 17 --rollout-steps 120 --window-shift 8 --curriculum 4 4 20 20 60)
models=(stacked single-grid filters-2x2 mixture lstm every-10th every-5th
        stacked-seed-1 stacked-seed-2 lstm-seed-1 lstm-seed-2)
reports=(models sampling seeds)

train() {  # name, preset, more flags
    local name=$1 preset=$2 begin=$SECONDS
    shift 2
    python -m socialmd_tf.train --preset "$preset" --run-directory "runs/comparisons/$name" \
        --export-directory "saved_models/$name" "${settings[@]}" "$@"
    echo "$name: $((SECONDS - begin)) s"
}

train_one() {  # name, possibly ending in -seed-1, -seed-2, ...
    local seed=0
    if [[ $1 == *-seed-* ]]; then seed=${1##*-seed-}; fi
    case ${1%-seed-*} in
        stacked) train "$1" thesis --seed "$seed" "${every_20th[@]}" ;;
        single-grid) train "$1" thesis-monogrid --seed "$seed" "${every_20th[@]}" ;;
        filters-2x2) train "$1" thesis --seed "$seed" "${every_20th[@]}" --model.kernel-size 2 ;;
        mixture) train "$1" thesis-mixture --seed "$seed" "${every_20th[@]}" ;;
        lstm) train "$1" lstm --seed "$seed" "${every_20th[@]}" ;;
        every-10th) train "$1" thesis --seed "$seed" "${every_10th[@]}" ;;
        every-5th) train "$1" thesis --seed "$seed" "${every_5th[@]}" ;;
        *) echo "unknown model $1; expected one of ${models[*]}" >&2; exit 2 ;;
    esac
}

compare() {  # name of the report
    local compared
    case $1 in
        models) compared=(stacked single-grid filters-2x2 mixture lstm) ;;
        sampling) compared=(stacked every-10th every-5th) ;;
        seeds) compared=(stacked{,-seed-1,-seed-2} lstm{,-seed-1,-seed-2}) ;;
        *) echo "unknown report $1; expected one of ${reports[*]}" >&2; exit 2 ;;
    esac
    python -m socialmd_tf.evaluate "${compared[@]/#/--model=saved_models/}" --data data/nbody --split test \
        --output "runs/comparisons/reports/$1"
}

command=${1:-}
shift || true
case $command in
    train) for name in "${@:-${models[@]}}"; do train_one "$name"; done ;;
    compare) for name in "${@:-${reports[@]}}"; do compare "$name"; done ;;
    *) sed -n '2,11p' "$0"; exit 2 ;;
esac
