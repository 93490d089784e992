#!/bin/sh
# All commands behind docs/experiments/molecules_real.md. A stopped command resumes when it is run again.
#
#   pip install -e '.[md]'
#   sh docs/experiments/real.sh                 about 40 minutes of CPU time, most of it for argon
#
# The trajectories are files of two packages, of which pip downloads 74 MB.
set -e
p="python -m socialmd_tf"
files=runs/real

mkdir -p $files
if [ ! -e $files/argon.gro ]; then
    python -m pip download --quiet --no-deps --dest $files lnb-mdt MDAnalysisTests
    unzip -q -o -j $files/lnb_mdt-*.whl LNB_MDT/cases_lnb/lnb.gro LNB_MDT/cases_lnb/lnb.xtc -d $files
    tests=$(basename $files/mdanalysistests-*.tar.gz .tar.gz)
    for file in argon_npt_compressed.tng argon_npt_compressed.gro.gz; do
        tar -xzOf "$files/$tests.tar.gz" "$tests/MDAnalysisTests/data/$file" > "$files/$file"
    done
    gunzip -c $files/argon_npt_compressed.gro.gz > $files/argon.gro
fi

$p.prepare --topology $files/lnb.gro --trajectory $files/lnb.xtc --molecules CHOL --center DPPC DAPC CHOL \
    --center-on mean --min-frames 15 --radii 0.35 --output data/lnb
$p.prepare --topology $files/argon.gro --trajectory $files/argon_npt_compressed.tng --molecules Ar --center none \
    --min-frames 15 --time-between-frames 10 --output data/argon

train() {
    name=$1
    data=$2
    shift 2
    $p.train --data "data/$data" --preset langevin --subsample 1 --warm-up-steps 5 --rollout-steps 10 --batch-size 4 \
        --run-directory "runs/real-$name" --export-directory "saved_models/real-$name" "$@"
}
train lnb lnb --window-shift 2 --epochs 24
train lnb-shared lnb --window-shift 2 --epochs 24 --model.shared-noise
train argon argon --window-shift 5 --epochs 16 --model.cutoff 0.9
train argon-shared argon --window-shift 5 --epochs 16 --model.cutoff 0.9 --model.shared-noise

evaluate() {
    name=$1
    data=$2
    shift 2
    $p.evaluate --model "saved_models/real-$name" --data "data/$data" --split test --output "runs/report-$name" "$@"
}
evaluate lnb lnb --num-samples 16
evaluate lnb-shared lnb --num-samples 16
for name in argon argon-shared; do
    evaluate $name argon --num-samples 3 --statistics move displacement contacts residence pair_distribution
done
