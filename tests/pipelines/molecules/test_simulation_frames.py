import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.molecules.reading import read_topology
from pipelines.molecules.simulation_frames import SimulationFrames
from tests.pipelines.molecules.systems import (
    Molecule,
    cryst1,
    gro_frame,
    pdb_frame,
    write_gro,
    write_pdb,
    write_series,
    write_trr,
    write_xtc,
)

MOLECULES = [Molecule("AU", 1, ["AU"]), *(Molecule("OQL", number, ["B1", "B2"]) for number in range(2, 12))]
FRAMES = np.random.default_rng(0).uniform(1, 5, (4, 21, 3)).round(3)
SWAPPED = [MOLECULES[0], MOLECULES[2], MOLECULES[1], *MOLECULES[3:]]
BOX = (6.0, 6.0, 6.0)


def all_of(parts, topology=None, **options):
    simulation = SimulationFrames(parts, read_topology(topology or parts[0]), **options)
    return simulation, list(simulation)


def refusal(parts, topology=None, **options):
    with pytest.raises(UserError) as error:
        all_of(parts, topology, **options)
    return str(error.value)


def test_frames_of_several_files_in_order(tmp_path):
    paths = write_series(tmp_path / "series", MOLECULES, FRAMES, box=BOX)
    simulation, frames = all_of(paths)
    np.testing.assert_allclose([frame.positions for frame in frames], FRAMES)
    assert simulation.periodic_axes == "xyz"
    assert [(frame.path, frame.index) for frame in frames] == [(path, 0) for path in paths]


class TestOrderOfAtoms:
    def test_models_of_a_pdb_file(self, tmp_path):
        path = write_pdb(tmp_path / "a.pdb", MOLECULES, FRAMES[:2])
        other = pdb_frame(SWAPPED, FRAMES[2])
        path.write_text(path.read_text().removesuffix("END\n") + f"MODEL 3\n{other}ENDMDL\n")
        message = refusal([path])
        assert f"{path}: frame 2: atom 1 (from 0): expected B1 OQL A 2" in message and "found B1 OQL A 3" in message

    @pytest.mark.parametrize("suffix", ["pdb", "gro"])
    def test_files_of_a_series(self, tmp_path, suffix):
        text = {"pdb": pdb_frame, "gro": lambda *frame: gro_frame(*frame, BOX)}[suffix]
        paths = [tmp_path / f"{number}.{suffix}" for number in range(3)]
        names = [Molecule("OQL", 2, ["B2", "B1"]), *MOLECULES[2:]]
        for path, molecules in zip(paths, (MOLECULES, MOLECULES, [MOLECULES[0], *names]), strict=True):
            path.write_text(text(molecules, FRAMES[0]))
        message = refusal(paths)
        assert f"{paths[2]}: frame 0: atom 1 (from 0)" in message and str(paths[0]) in message

    def test_frames_of_a_gro_file(self, tmp_path):
        path = tmp_path / "a.gro"
        path.write_text(gro_frame(MOLECULES, FRAMES[0], BOX) + gro_frame(SWAPPED, FRAMES[0], BOX))
        assert f"{path}: frame 1: atom 1 (from 0)" in refusal([path])

    def test_frames_of_an_xyz_file(self, tmp_path):
        topology = write_gro(tmp_path / "a.gro", MOLECULES[:2], FRAMES[:1, :3], BOX)
        path = tmp_path / "a.xyz"
        path.write_text("3\n\nAU 1 2 3\nB1 4 5 6\nB2 7 8 9\n3\n\nB1 1 2 3\nAU 4 5 6\nB2 7 8 9\n")
        assert f"{path}: frame 1: atom 0 (from 0): expected AU" in refusal([path], topology)

    def test_a_topology_in_another_order_than_the_trajectory(self, tmp_path):
        topology = write_gro(tmp_path / "a.gro", [MOLECULES[1], MOLECULES[0], *MOLECULES[2:]], FRAMES[:1], BOX)
        path = write_pdb(tmp_path / "a.pdb", MOLECULES, FRAMES)
        message = refusal([path], topology)
        assert str(path) in message and str(topology) in message and "`--topology`" in message

    def test_a_topology_with_the_residues_in_another_order(self, tmp_path):
        kinds = [Molecule(name, number, ["B1", "B2"]) for number, name in enumerate(["OQL"] * 2 + ["ONC"] * 2)]
        topology = write_gro(tmp_path / "a.gro", kinds, FRAMES[:1, :8], BOX)
        for path in (
            write_pdb(tmp_path / "a.pdb", kinds[::-1], FRAMES[:, :8]),
            write_gro(tmp_path / "b.gro", kinds[::-1], FRAMES[:, :8], BOX),
        ):
            message = refusal([path], topology)
            assert (
                f"{path}: frame 0: atom 0 (from 0): expected residue OQL" in message and "found residue ONC" in message
            )

    def test_a_topology_with_other_residue_names_and_numbers_is_no_fault(self, tmp_path):
        renamed = [Molecule("LONGR", molecule.number + 500, molecule.atom_names) for molecule in MOLECULES]
        topology = write_gro(tmp_path / "a.gro", renamed, FRAMES[:1], BOX)
        assert len(all_of([write_pdb(tmp_path / "a.pdb", MOLECULES, FRAMES)], topology)[1]) == 4


class TestBox:
    def series(self, tmp_path, boxes):
        """One PDB file per frame, with the CRYST1 record of its box or none."""
        paths = []
        for index, (frame, box) in enumerate(zip(FRAMES, boxes, strict=True)):
            paths.append(tmp_path / f"{index}.pdb")
            paths[-1].write_text((cryst1(box) if box else "") + pdb_frame(MOLECULES, frame) + "END\n")
        return paths

    def test_a_box_in_the_first_file_only_holds_for_all(self, tmp_path):
        simulation, frames = all_of(self.series(tmp_path, [BOX, None, None, None]))
        np.testing.assert_array_equal([frame.box for frame in frames], [np.diag(BOX)] * 4)
        assert simulation.boxes_carried_on == 3

    def test_a_box_that_varies_is_not_carried_on(self, tmp_path):
        paths = self.series(tmp_path, [BOX, (6.1, 6.0, 6.0), None, None])
        assert f"{paths[2]}: frame 0: expected a box" in refusal(paths)

    @pytest.mark.parametrize("boxes", [[None, BOX, BOX, BOX], [BOX, BOX, (0.0, 0.0, 0.0), BOX], [BOX, (6, 6, 0)] * 2])
    def test_boxes_along_different_axes_are_refused(self, tmp_path, boxes):
        paths = self.series(tmp_path, boxes)
        wrong = next(i for i, box in enumerate(boxes) if bool(box) != bool(boxes[0]) or (box and 0 in box))
        assert f"{paths[wrong]}: frame 0: expected " in refusal(paths)

    def test_no_box_at_all(self, tmp_path):
        for boxes in ([None] * 4, [None, (1, 1, 1), None, None]):
            simulation, frames = all_of(self.series(tmp_path, boxes))
            assert [frame.box for frame in frames] == [None] * 4
            assert (simulation.periodic_axes, simulation.boxes_carried_on) == ("", 0)

    def test_a_zero_box_within_an_xtc_file(self, tmp_path):
        pytest.importorskip("MDAnalysis")
        topology = write_gro(tmp_path / "a.gro", MOLECULES, FRAMES[:1], BOX)
        boxes = [np.diag(BOX)] * 4
        boxes[2] = np.zeros((3, 3))
        path = write_xtc(tmp_path / "a.xtc", FRAMES, boxes)
        assert f"{path}: frame 2: expected a box that is periodic along x, y, z" in refusal([path], topology)

    def test_a_slab_is_open_along_its_zero_axis(self, tmp_path):
        pytest.importorskip("MDAnalysis")
        topology = write_gro(tmp_path / "a.gro", MOLECULES, FRAMES[:1], BOX)
        slab = np.diag([6.0, 6.0, 0.0])
        simulation, frames = all_of([write_xtc(tmp_path / "a.xtc", FRAMES, [slab] * 4)], topology)
        assert simulation.periodic_axes == "xy"
        np.testing.assert_array_equal(frames[3].box, 10 * slab)


class TestIncompleteAndEmptyFrames:
    def cut(self, tmp_path, suffix):
        if suffix == "gro":
            path = write_gro(tmp_path / "a.gro", MOLECULES, FRAMES, BOX)
        elif suffix == "pdb":
            path = write_pdb(tmp_path / "a.pdb", MOLECULES, FRAMES, BOX)
        else:
            pytest.importorskip("MDAnalysis")
            path = write_xtc(tmp_path / "a.xtc", FRAMES, [np.diag(BOX)] * 4)
        content = path.read_bytes()
        path.write_bytes(content[: int(0.9 * len(content))])
        return path, write_gro(tmp_path / "top.gro", MOLECULES, FRAMES[:1], BOX)

    @pytest.mark.parametrize("suffix", ["gro", "pdb", "xtc"])
    def test_a_file_that_ends_inside_a_frame(self, tmp_path, suffix):
        path, topology = self.cut(tmp_path, suffix)
        message = refusal([path], topology)
        assert f"{path}: frame 3 is cut off" in message and "`--incomplete-frames drop`" in message
        simulation, frames = all_of([path], topology, drop_incomplete=True)
        assert (len(frames), simulation.incomplete) == (3, 1)

    def test_a_file_without_a_whole_frame_is_refused_in_any_case(self, tmp_path):
        path = write_gro(tmp_path / "a.gro", MOLECULES, FRAMES[:1], BOX)
        topology = write_gro(tmp_path / "top.gro", MOLECULES, FRAMES[:1], BOX)
        path.write_bytes(path.read_bytes()[:-30])
        assert f"{path}: frame 0 is cut off" in refusal([path], topology, drop_incomplete=True)

    def test_frames_of_velocities_only_are_skipped_and_counted(self, tmp_path):
        pytest.importorskip("MDAnalysis")
        topology = write_gro(tmp_path / "a.gro", MOLECULES, FRAMES[:1], BOX)
        path = write_trr(tmp_path / "a.trr", [None, FRAMES[0], None, FRAMES[1]], np.diag(BOX))
        simulation, frames = all_of([path], topology)
        assert ([frame.index for frame in frames], simulation.without_positions) == ([1, 3], 2)

    def test_a_trajectory_of_velocities_only_is_refused(self, tmp_path):
        pytest.importorskip("MDAnalysis")
        topology = write_gro(tmp_path / "a.gro", MOLECULES, FRAMES[:1], BOX)
        path = write_trr(tmp_path / "a.trr", [FRAMES[0], None, None], np.diag(BOX))
        content = path.read_bytes()
        path.write_bytes(content[len(content) - 2 * 372 :])
        message = refusal([path], topology)
        assert f"{path}: expected a frame with positions, found 2 without" in message
