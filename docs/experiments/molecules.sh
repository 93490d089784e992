#!/bin/sh
# All commands behind docs/experiments/molecules.md. A stopped command resumes when it is run again.
#
#   pip install -e '.[md,openmm]'
#   sh docs/experiments/molecules.sh            all, about an hour of CPU time
#   python docs/experiments/molecules.py        the tables and the picture
set -e
p="python -m socialmd_tf"

# The stand-in: ratios 0.5 and 0.9 of both drugs are for the test, one simulation each of 0.34 and 0.82 for validation.
validation="00025 00031 00036 00042"
test="00005 00010 00016 00021 00027 00032 00038 00043"
strands="--num-strands 60 --drug both"
$p.nanoparticle --output data/nanoparticles --num-simulations 44 $strands \
    --drug-fractions 0.1 0.18 0.26 0.34 0.42 0.5 0.58 0.66 0.74 0.82 0.9
$p.nanoparticle --output data/nanoparticles-long --num-simulations 4 $strands --num-frames 1025 \
    --drug-fractions 0.5 0.9 --seed 1
paths() { for number in "$@"; do echo "data/nanoparticles/simulations/$number"; done; }
for split in validation test; do
    eval "numbers=\$$split"
    $p.nanoparticle --restart-from $(paths $numbers) --frame 24 --num-reruns 8 --output "data/reruns-$split"
done
train=$(ls data/nanoparticles/simulations | grep -v -w -F "$(echo $validation $test | tr ' ' '\n')")
prepare="$p.prepare --split-by file --molecules OQL PAN ONC --time-between-frames 1 --min-frames 150 --radii 0.45"
files="--trajectory $(paths $train $validation $test) --fractions 0.7273 0.0909 0.1818"
reruns="--reruns data/reruns-validation/reruns.json data/reruns-test/reruns.json"
$prepare $files $reruns --anchor S --output data/nanoparticle
$prepare $files $reruns --output data/nanoparticle-free
$prepare --trajectory data/nanoparticles/simulations/00000 data/nanoparticles-long/simulations/* \
    --fractions 0.2 0 0.8 --anchor S --output data/nanoparticle-long

train() {
    name=$1
    shift
    $p.train --preset langevin --subsample 1 --warm-up-steps 25 --rollout-steps 275 --batch-size 1 --epochs 8 \
        --model.time-constants 4 16 64 256 --run-directory "runs/$name" --export-directory "saved_models/$name" "$@"
}
evaluate() {
    name=$1
    data=$2
    shift 2
    $p.evaluate --model "saved_models/$name" --data "data/$data" --split test --num-samples 64 \
        --output "runs/molecules-$name" "$@"
}
few="--statistics radius accessible_area move displacement contacts"
for seed in 0 1 2; do
    train "nanoparticle-$seed" --data data/nanoparticle --seed $seed
    evaluate "nanoparticle-$seed" nanoparticle $few radial_distribution pair_distribution
done
train no-anchors --data data/nanoparticle-free
evaluate no-anchors nanoparticle-free $few
train no-pairs --data data/nanoparticle --model.cutoff 0.3
evaluate no-pairs nanoparticle $few
train lstm --data data/nanoparticle --rotations 1 --model.cell plain --model.input-layers 16 --model.lstm-layers 16 \
    --model.output-layers 16 --model.dropout 0.0 --model.time-constants 1
evaluate lstm nanoparticle $few
train shared --data data/nanoparticle --model.shared-noise
evaluate shared nanoparticle $few radial_distribution pair_distribution
python docs/experiments/molecules_long.py --model saved_models/nanoparticle-0 --data data/nanoparticle-long
python benchmarks/surrogate.py --model saved_models/nanoparticle-0 --input data/nanoparticle/test/00036.npy
