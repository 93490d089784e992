#!/bin/sh
# All commands behind docs/experiments/molecules.md. A stopped command resumes when it is run again.
#
#   sh docs/experiments/molecules.sh            all, about an hour of CPU time
#   python docs/experiments/molecules.py        the tables and the picture
#
# data/lnb needs lnb.gro and lnb.xtc in runs/real, extracted from the wheel of lnb-mdt as in benchmarks/molecules.py.
set -e
p="python -m socialmd_tf"

$p.nanoparticle --output data/nanoparticles --num-simulations 20 --num-strands 60
for flags in "--output data/np3d" "--output data/np2d --num-dimensions 2 --slice-half-thickness 0.5"; do
    $p.prepare --trajectory data/nanoparticles/simulations/* --split-by file --fractions 0.6 0.15 0.25 \
        --time-between-frames 1 --min-frames 150 --radii 0.45 $flags
done
$p.prepare --topology runs/real/lnb.gro --trajectory runs/real/lnb.xtc --molecules CHOL --center DPPC DAPC CHOL \
    --center-on mean --min-frames 15 --radii 0.35 --output data/lnb

plain="--preset molecules-lstm --model.input-layers 32 --model.lstm-layers 32 32 --model.output-layers 32"
stacked="--preset thesis --model.units 32 --model.input-embedding 16 --model.state-embedding 8
    --model.interaction-embedding 16 --model.filters 8 16 --model.kernel-size 3 --model.side-lengths 8 4 2 1"
train() {
    name=$1
    shift
    $p.train --subsample 1 --subsample-phases 1 --learning-rate 3e-3 --decay cosine --clip-norm 1 --max-horizon 1000 \
        --run-directory "runs/$name" --export-directory "saved_models/$name" "$@"
}
long="--warm-up-steps 25 --rollout-steps 125"
train lstm-3d $long --data data/np3d $plain --window-shift 50 --rotations 2 --batch-size 8 --epochs 15
train displacement-3d $long --data data/np3d $plain --model.head displacement --window-shift 50 --rotations 2 \
    --batch-size 8 --epochs 8
train stacked-3d $long --data data/np3d $stacked --model.bins 4 --model.filters 8 --model.state-embedding 4 \
    --window-shift 150 --rotations 1 --batch-size 8 --epochs 4 --curriculum 5 5 5 5
flat="--data data/np2d --window-shift 150 --rotations 1"
train stacked-2d $long $flat $stacked --model.bins 8 --batch-size 16 --epochs 5
train displacement-stacked-2d $long $flat $stacked --model.bins 8 --model.head displacement --batch-size 16 --epochs 4
train lstm-2d $long $flat $plain --batch-size 32 --epochs 12
short="--warm-up-steps 5 --rollout-steps 10"
train lnb-displacement $short --data data/lnb $plain --model.head displacement --window-shift 2 --rotations 2 \
    --batch-size 8 --epochs 6
train lnb-lstm $short --data data/lnb $plain --window-shift 2 --rotations 2 --batch-size 8 --epochs 12

evaluate() {
    data=$1
    output=$2
    shift 2
    $p.evaluate --model "$@" --data "data/$data" --split test --output "runs/molecules-$output"
}
evaluate np3d 3d saved_models/stacked-3d saved_models/lstm-3d saved_models/displacement-3d
evaluate np2d 2d saved_models/displacement-stacked-2d saved_models/stacked-2d saved_models/lstm-2d
evaluate lnb real saved_models/lnb-displacement saved_models/lnb-lstm
