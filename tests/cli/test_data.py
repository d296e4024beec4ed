"""`keras-fpn data`: the report, the pictures and the exit codes."""

import dataclasses
import json

import numpy as np
import pytest
from cli.calling import script_called
from data.painted import color, painted_dataset
from data.tiny_panoptic import CAT, ids_of_a, write_panoptic_set
from models.tiny import tiny_detector
from PIL import Image

import keras_fpn
from keras_fpn import cli
from keras_fpn.data import Objects, write_coco
from keras_fpn.preprocessing import Preprocessing


@pytest.fixture(scope="module")
def model():
    return tiny_detector(preprocessing=Preprocessing(min_size=64, max_size=128))


@pytest.fixture(autouse=True)
def presets(model, monkeypatch):
    """The detector that any preset's name gives; notes the names."""
    names = []

    def from_preset(name, load_weights=True):
        if name == "absent":
            raise ValueError("There must be such a preset; received name='absent'.")
        names.append((name, load_weights))
        return model

    monkeypatch.setattr(keras_fpn, "from_preset", from_preset)
    return names


@pytest.fixture
def file(tmp_path):
    """A COCO file of 4 sound photos, with 0, 1, 2, 0 objects that have masks."""
    folder = tmp_path / "photos"
    folder.mkdir()
    dataset = painted_dataset(folder, [(20, 50), (50, 20), (30, 30), (30, 30)])
    write_coco(dataset, folder / "all.json")
    return folder / "all.json"


def spoil(file):
    """Gives one object of a COCO file a box without area."""
    contents = json.loads(file.read_text())
    contents["annotations"][0]["bbox"][2] = 0
    file.write_text(json.dumps(contents))


def pictures_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_check_prints_the_report(file, capsys):
    assert cli.main(["data", "check", str(file)]) == 0
    out = capsys.readouterr().out
    assert "4 photos, 3 objects of 3 classes" in out
    assert "2 photos without objects" in out
    assert out.endswith("No defects.\n")


def test_check_exits_with_one_if_anything_is_wrong(file, capsys):
    spoil(file)
    assert cli.main(["data", "check", str(file)]) == 1
    out = capsys.readouterr().out
    assert "Defects:\n  1 object: a box without area; left out" in out
    assert out.endswith(
        "\n\n1 defect: the exit code is 1. The lines above say what is left out or "
        "changed; the rest can be used as it is.\n"
    )


def test_check_reads_the_pixels_of_label_images(tmp_path, capsys):
    file = write_panoptic_set(tmp_path)
    assert cli.main(["data", "check", str(file)]) == 0
    ids = ids_of_a()
    ids[ids == CAT] = 8
    write_panoptic_set(tmp_path, ids)
    assert cli.main(["data", "check", str(file)]) == 1
    out = capsys.readouterr().out
    assert "1 photo: the pixels of the label image do not fit the annotations" in out
    assert "a.png with ids 8, which they lack" in out


def test_look_draws_photos_as_the_detector_sees_them(file, tmp_path, capsys, presets):
    out = tmp_path / "out"
    assert cli.main(["data", "look", str(file), "--output", str(out)]) == 0
    assert presets == [("faster_rcnn_resnet50_fpn_coco", False)]
    assert pictures_in(out) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg", "contact_sheet.jpg"]
    printed = capsys.readouterr().out
    assert "No defects." in printed
    assert (
        "As faster_rcnn_resnet50_fpn_coco sees it: the shorter side 64 pixels, the "
        "longer at most 128. For another detector: --preset NAME.\n" in printed
    )
    assert "all objects        3     100.0%     100.0%" in printed  # 2 pixels wide
    assert "\nOut of reach, below 0.5: 100.0% of the objects, which are har" in printed
    assert "--min-size" in printed
    assert printed.endswith(
        f"\n4 photos in {out}; together: {out / 'contact_sheet.jpg'}\n"
    )
    with Image.open(out / "0.jpg") as picture:
        # 50 x 20 becomes 128 x 51, and pictures of less than 400 x 400 are enlarged by
        # a whole factor, 5, under a title.
        assert picture.width == 128 * 5
        assert picture.height > 51 * 5
        middle = np.asarray(picture)[-100, 320].astype(int)
        assert np.abs(middle - color(0)).max() < 8


def test_objects_that_are_reached_raise_no_alarm(tmp_path, capsys):
    dataset = painted_dataset(tmp_path, [(40, 50)] * 101)
    square = Objects(np.array([[5, 5, 35, 35]], np.float32), [0], [False])
    small = Objects(np.array([[5, 5, 7, 7]], np.float32), [0], [False])
    verdicts = []
    for objects, count in ((square, 101), (small, 2)):
        photos = [dataclasses.replace(one, objects=square) for one in dataset.photos]
        photos[:count] = [
            dataclasses.replace(one, objects=objects) for one in photos[:count]
        ]
        write_coco(dataclasses.replace(dataset, photos=photos), tmp_path / "all.json")
        argv = ["data", "look", str(tmp_path / "all.json"), "--count", "1"]
        assert cli.main([*argv, "--output", str(tmp_path / "out")]) == 0
        lines = capsys.readouterr().out.splitlines()
        verdicts += [line for line in lines if line.startswith("Out of reach")]
    reached, missed = verdicts
    assert "0.0% of the objects, which is fine. Those from 0.5 to 0.7 are u" in reached
    assert "2.0% of the objects, which are hardly learned. Resize to more" in missed


def test_look_draws_as_many_as_asked_for_in_the_size_asked_for(
    file, tmp_path, capsys, presets
):
    out = tmp_path / "out"
    options = "--count 2 --preset small --min-size 900 --max-size 1000 --seed 3"
    argv = ["data", "look", str(file), "--output", str(out), *options.split()]
    assert cli.main(argv) == 0
    assert presets == [("small", False)]
    size = "the shorter side 900 pixels, the longer at most 1000"
    assert f"As small sees it: {size}" in capsys.readouterr().out
    names = pictures_in(out)
    assert len(names) == 3
    sizes = set()
    for name in names[:2]:
        with Image.open(out / name) as picture:
            sizes.add(picture.width)
    assert sizes <= {1000, 400, 900}  # 20 x 50, 50 x 20, 30 x 30


def test_look_shows_what_chance_makes_of_a_photo(file, tmp_path):
    def pixels(*options):
        out = tmp_path / "out"
        argv = ["data", "look", str(file), "--output", str(out), *options]
        assert cli.main(argv) == 0
        return (out / "2.jpg").read_bytes()

    every = "--augment flip crop color scale paste".split()
    first = pixels(*every)
    assert first == pixels(*every)
    different = [
        pixels(),
        pixels(*every, "--seed", "1"),
        pixels(*every, "--epoch", "1"),
    ]
    assert len({first, *different}) == 4


def test_pictures_never_lie_among_the_photos(file, tmp_path, capsys):
    before = pictures_in(file.parent)
    (tmp_path / "link").symlink_to(file.parent)
    for output in (file.parent, tmp_path / "link"):
        assert cli.main(["data", "look", str(file), "--output", str(output)]) == 2
        assert capsys.readouterr().err == (
            "keras-fpn: error: --output must not be a folder of the photos, because "
            f"its pictures would lie among them; received --output {output}. Name "
            "another folder.\n"
        )
    assert pictures_in(file.parent) == before
    argv = ["data", "look", str(file), "--output", str(file.parent / "look")]
    assert cli.main(argv) == 0


def test_jitter_is_shown_in_its_square(file, tmp_path):
    out = tmp_path / "out"
    argv = ["data", "look", str(file), "--output", str(out), "--augment", "jitter"]
    assert cli.main(argv) == 0
    with Image.open(out / "0.jpg") as picture:
        assert picture.width == 128 * 4  # the longer side's limit, enlarged


def test_a_photo_damaged_within_is_named_and_the_others_drawn(file, tmp_path, capsys):
    photo = file.parent / "2.png"
    noise = np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    Image.fromarray(noise).save(photo)
    photo.write_bytes(photo.read_bytes()[:900])  # its header says nothing of it
    out = tmp_path / "out"
    assert cli.main(["data", "look", str(file), "--output", str(out)]) == 1
    assert pictures_in(out) == ["0.jpg", "1.jpg", "3.jpg", "contact_sheet.jpg"]
    printed = capsys.readouterr()
    assert "3 photos in" in printed.out
    (line,) = printed.err.splitlines()
    assert "2.png (image id 101): A photo must be a readable, undamaged image" in line


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["look", "{file}", "--preset", "absent"], "received name='absent'."),
        (["look", "{file}", "--output", "{file}"], "--output must be a folder: "),
        (
            ["look", "{file}", "--augment", "scale", "jitter"],
            "At most one augmentation may resize; received [MultiScale",
        ),
        (["look", "{file}", "--split", "train"], "received split='train'"),
    ],
)
def test_wrong_options_are_one_line(file, capsys, argv, message):
    argv = [argument.format(file=file) for argument in argv]
    assert cli.main(["data", *argv]) == 2
    err = capsys.readouterr().err
    assert err.startswith("keras-fpn: error: ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "name a command: check, look, scenes"),
        (["look"], "DATASET"),
        (["look", ".", "--count", "0"], "must be at least 1; received 0"),
        (["look", ".", "--augment", "mirror"], "invalid choice: 'mirror'"),
    ],
)
def test_what_argparse_refuses(capsys, argv, message):
    with pytest.raises(SystemExit) as left:
        cli.main(["data", *argv])
    assert left.value.code == 2
    assert message in capsys.readouterr().err


def test_the_script_is_the_command():
    code, _, err = script_called("data.py", "check", "gone.json")
    assert code == 2
    assert "received 'gone.json'" in err


def test_the_former_spelling_of_an_augmentation_works(file, tmp_path):
    argv = ["data", "look", str(file), "--output", str(tmp_path / "out")]
    assert cli.main([*argv, "--augment", "colour"]) == 0
