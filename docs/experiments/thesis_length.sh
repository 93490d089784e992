#!/usr/bin/env bash
# Trainings as long as the thesis's: 40 epochs of 20 000 samples, at most ten minutes each on an H100 or H200. Run from
# the repository's root.
#
#   docs/experiments/thesis_length.sh                               # all models, three seeds
#   docs/experiments/thesis_length.sh --presets thesis --seeds 0    # a part
#   docs/experiments/thesis_length.sh [--data DIR] [--epochs N] [-- FLAGS of train]
#   python docs/experiments/thesis_length.py                        # the tables and the picture
#
# Models: thesis thesis-mixture thesis-monogrid kinematic lstm filters-2x2 (thesis with 2 x 2 filters, for figure 27).
# The samples are the thesis's: 100 simulations x 5 phases x 4 windows x 10 rotations (section 4.3), predicted for 30
# frames after 5. Batches of 128, Nadam at 3e-3 falling to zero by a half cosine, without early stopping; the first 16 of
# 40 epochs predict 1, 5 and 15 frames. The same command resumes a stopped training and skips a finished one. Logs are in
# runs/thesis-length/logs. The data are simulated if they are missing.
set -euo pipefail

python=${PYTHON:-python}
presets=(thesis thesis-mixture thesis-monogrid kinematic lstm filters-2x2)
seeds=(0 1 2)
data=data/nbody
epochs=40
flags=()

usage() { sed -n '2,9p' "$0"; exit 2; }

option=
while (($#)); do
    case $1 in
        --presets) option=$1 presets=() ;;
        --seeds) option=$1 seeds=() ;;
        --data | --epochs) option=$1 ;;
        --) shift; flags=("$@"); break ;;
        -*) usage ;;
        *)
            case $option in
                --presets) presets+=("$1") ;;
                --seeds) seeds+=("$1") ;;
                --data) data=$1 option= ;;
                --epochs) epochs=$1 option= ;;
                *) usage ;;
            esac
            ;;
    esac
    shift
done

repeat() { for ((i = 0; i < $2; i++)); do echo "$1"; done; }

curriculum() {  # a tenth of the epochs predicts one frame, 15 % five, 15 % fifteen
    repeat 1 $((epochs / 10))
    repeat 5 $((epochs * 3 / 20))
    repeat 15 $((epochs * 3 / 20))
}

network() {  # name of a model -> its flags
    case $1 in
        filters-2x2) echo --preset thesis --model.kernel-size 2 ;;
        *) echo --preset "$1" ;;
    esac
}

train() {  # model, seed
    local name=$1-seed-$2 begin=$SECONDS steps=()
    local run=runs/thesis-length/$name log=runs/thesis-length/logs/$name.log
    if grep -qs "\"epochs\": $epochs\b" "$run/finished.json"; then
        echo "$name: finished already"
        return
    fi
    read -ra steps <<<"$(curriculum | tr '\n' ' ')"
    mkdir -p "${log%/*}"
    # shellcheck disable=SC2046
    "$python" -m socialmd_tf.train $(network "$1") --seed "$2" --data "$data" --run-directory "$run" \
        --export-directory "saved_models/thesis-length-$name" --epochs "$epochs" --patience "$epochs" --batch-size 128 \
        --learning-rate 3e-3 --decay cosine --clip-norm 1 ${steps[@]:+--curriculum "${steps[@]}"} --final "${flags[@]}" \
        2>&1 | tee -a "$log"
    echo "$name: $((SECONDS - begin)) s" | tee -a "$log"
}

if [[ ! -e $data/dataset.json ]]; then
    CUDA_VISIBLE_DEVICES='' "$python" -m socialmd_tf.simulate --output "$data"
fi
for seed in "${seeds[@]}"; do
    for preset in "${presets[@]}"; do train "$preset" "$seed"; done
done
