import pytest

from keras_fpn import cli


def refusal(capsys, *argv):
    """The last line with which the command refuses its arguments."""
    with pytest.raises(SystemExit) as left:
        cli.main([*argv])
    assert left.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("argv", "meant"),
    [
        ("detect a.jpg --conf 0.3", "--conf; did you mean --threshold?"),
        ("detect --conf_thres=0.3 a.jpg", "--conf_thres; did you mean --threshold?"),
        ("detect --source a.jpg", "--source; did you mean PHOTO, without an option?"),
        ("detect a.jpg --imgsz 640", "--imgsz; did you mean --min-size?"),
        ("detect a.jpg --model m", "--model; did you mean --weights or --preset?"),
        ("detect a.jpg --tresh 0.3", "--tresh; did you mean --threshold?"),
        ("detect a.jpg -threshold 0.3", "-threshold; did you mean --threshold?"),
        ("finetune a.json --epoch 3", "--epoch; did you mean --epochs?"),
        ("finetune a.json --batch 3", "--batch; did you mean --batch-size?"),
        ("finetune a.json --lr 3", "--lr; did you mean --learning-rate?"),
        ("finetune --data a.json", "--data; did you mean DATASET, without an option?"),
        ("finetune a.json --resume", "--resume; the same command resumes a training"),
        ("train --config r.py a", "--config; did you mean RECIPE, without an option?"),
        ("export a b --xy", "--xy; did you mean --xyxy?"),
        ("presets --zzz", "--zzz"),
    ],
)
def test_an_unknown_option_is_answered_by_the_right_one(capsys, argv, meant):
    command = argv.split()[0]
    assert refusal(capsys, *argv.split()) == (
        f"keras-fpn {command}: error: unrecognized arguments: {meant}"
    )


def test_an_abbreviation_is_never_taken_for_an_option(capsys):
    said = refusal(capsys, "detect", "a.jpg", "--max", "3")
    assert said.endswith("--max; did you mean --max-detections or --max-size?")


def test_an_option_that_the_command_lacks_is_not_suggested(capsys):
    assert refusal(capsys, "presets", "--conf", "1").endswith("arguments: --conf")


@pytest.mark.parametrize(
    ("argv", "meant"),
    [
        (["detct"], "detect"),
        (["predict", "a.jpg", "--conf", "0.3"], "detect"),
        (["fine-tune", "x"], "finetune"),
        (["val"], "evaluate"),
        (["data", "chek"], "check"),
    ],
)
def test_an_unknown_command_is_answered_by_the_right_one(capsys, argv, meant):
    assert f"Did you mean {meant}? All: " in refusal(capsys, *argv)


def test_a_word_that_is_like_no_command_gets_their_names(capsys):
    said = refusal(capsys, "photo.jpg")
    assert "unknown command: 'photo.jpg'. All: detect, evaluate, " in said


def test_words_behind_two_dashes_are_no_options(capsys):
    assert cli.main(["detect", "--", "--conf"]) == 2
    assert "'--conf', which does not exist" in capsys.readouterr().err


def test_help_comes_before_the_complaint(capsys):
    with pytest.raises(SystemExit) as left:
        cli.main(["detect", "--conf", "0.3", "--help"])
    assert left.value.code == 0
    assert "--threshold SCORE" in capsys.readouterr().out


@pytest.mark.parametrize(
    "word", ["--a\nb", "--\x1b[31mred", "--\udcff", "--" + "a" * 5000, "-\u200e"]
)
def test_a_word_that_is_repeated_gives_no_orders_to_the_terminal(capsys, word):
    with pytest.raises(SystemExit):
        cli.main(["detect", "a.jpg", word])
    said = capsys.readouterr().err.partition("error: ")[2]
    assert said.endswith("\n")
    assert said[:-1].isprintable()
    assert len(said) < 600
