import numpy as np
import pytest
from data.tiny_sets import boxes, read, write, write_photo

from keras_fpn.data import Dataset, Objects, Photo, read_csv, write_csv
from keras_fpn.data.csv_boxes import is_box_csv


def write_csv_set(folder, text):
    for name in ("a.jpg", "b.jpg", "sub/c d.jpg"):
        write_photo(folder / name)
    return write(folder / "boxes.csv", text)


def test_rows_without_header_are_read(tmp_path):
    path = write_csv_set(
        tmp_path,
        "a.jpg,10,20,40,60,cat\n\nsub/c d.jpg,1.5,2,3,4,ant\na.jpg,0,0,100,80,ant\n"
        "b.jpg,,,,,\n",
    )
    dataset, report = read(read_csv, path)
    names = [photo.path.name for photo in dataset.photos]
    assert names == ["a.jpg", "c d.jpg", "b.jpg"]
    # x2 is the right edge: nothing is added.
    assert boxes(dataset) == [[10, 20, 40, 60], [0, 0, 100, 80]]
    assert boxes(dataset, 1) == [[1.5, 2, 3, 4]]
    assert boxes(dataset, 2) == []
    assert (dataset.class_names, dataset.category_ids) == (("ant", "cat"), (1, 2))
    np.testing.assert_array_equal(dataset[0].objects.labels, [1, 0])
    assert (dataset[0].height, dataset[0].width) == (80, 100)
    assert [photo.image_id for photo in dataset.photos] == [1, 2, 3]
    assert report.counts == {}


@pytest.mark.parametrize(
    "text",
    [
        "path,x1,y1,x2,y2,class_name\na.jpg,10,20,40,60,cat\n",
        "\ufeffPath, X1, Y1, X2, Y2, Class\r\na.jpg, 10, 20, 40, 60, cat\r\n",
        "filename,width,height,class,xmin,ymin,xmax,ymax\n"
        "a.jpg,100,80,cat,10,20,40,60\n",
        'label,"bottom",right,top,left,image\n"cat",60,40,20,10,"a.jpg"\n',
    ],
)
def test_a_header_may_name_the_columns_in_any_order(tmp_path, text):
    dataset, report = read(read_csv, write_csv_set(tmp_path, text))
    assert boxes(dataset) == [[10, 20, 40, 60]]
    assert dataset.class_names == ("cat",)
    assert report.counts == {}


def test_photos_may_lie_in_another_folder(tmp_path):
    write_photo(tmp_path / "images/a.jpg")
    write_photo(tmp_path / "else/a.jpg")
    path = write(tmp_path / "boxes.csv", "a.jpg,10,20,40,60,cat\n")
    assert read(read_csv, path)[0][0].path == tmp_path / "images/a.jpg"
    dataset, _ = read(read_csv, path, images=tmp_path / "else")
    assert dataset[0].path == tmp_path / "else/a.jpg"
    absolute = write(tmp_path / "c.csv", f"{tmp_path / 'else/a.jpg'},1,2,3,4,cat\n")
    assert read(read_csv, absolute)[0][0].path == tmp_path / "else/a.jpg"


def test_classes_come_from_a_file_of_names_and_numbers(tmp_path):
    path = write_csv_set(tmp_path, "a.jpg,1,2,3,4,cat\na.jpg,1,2,3,4,yak\n")
    names = write(tmp_path / "classes.csv", "cat,1\nant,0\n")
    dataset, report = read(read_csv, path, class_names=names)
    assert dataset.class_names == ("ant", "cat")
    np.testing.assert_array_equal(dataset[0].objects.labels, [1])
    assert report.defects == {"unknown_category": 1}
    assert "line 2 (yak) of a.jpg" in report.examples["unknown_category"][0]


@pytest.mark.parametrize("name", ["classes.csv", "_classes.csv"])
def test_a_file_of_classes_beside_it_is_used(tmp_path, name):
    path = write_csv_set(tmp_path, "a.jpg,1,2,3,4,cat\na.jpg,1,2,3,4,yak\n")
    write(tmp_path / name, "cat,1\nant,0\n")
    dataset, report = read(read_csv, path)
    assert dataset.class_names == ("ant", "cat")
    assert report.defects == {"unknown_category": 1}
    assert read(read_csv, path, class_names=["yak"])[0].class_names == ("yak",)
    write(tmp_path / name, "photo,author\na.jpg,somebody\n")  # it is something else
    assert read(read_csv, path)[0].class_names == ("cat", "yak")


@pytest.mark.parametrize(
    ("file", "photo"),
    [
        ("train_labels.csv", "train/a.jpg"),
        ("train_labels.csv", "images/train/a.jpg"),
        ("train_labels.csv", "images/somewhere/a.jpg"),
        ("annotations/train_labels.csv", "images/train/a.jpg"),
        ("annotations/train_labels.csv", "images/a.jpg"),
        ("data/train_labels.csv", "images/a.jpg"),
        ("data/train_labels.csv", "train/a.jpg"),
    ],
)
def test_photos_may_lie_a_folder_below(tmp_path, file, photo):
    path = write(tmp_path / file, "a.jpg,10,20,40,60,cat\n")
    write_photo(tmp_path / photo)
    assert read(read_csv, path)[0][0].path == tmp_path / photo


def test_the_folder_of_its_own_split_is_preferred(tmp_path):
    path = write(tmp_path / "valid_labels.csv", "a.jpg,10,20,40,60,cat\n")
    for split in ("test", "train", "validation"):
        write_photo(tmp_path / split / "a.jpg")
    assert read(read_csv, path)[0][0].path == tmp_path / "validation/a.jpg"


def test_photos_of_other_data_sets_are_not_taken(tmp_path):
    path = write(tmp_path / "one/boxes.csv", "a.jpg,10,20,40,60,cat\n")
    write_photo(tmp_path / "two/a.jpg")
    with pytest.raises(ValueError, match=r"the file is missing.*one.a\.jpg"):
        read_csv(path, report=None)


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ("a.jpg,1,2,x,4,cat", "unreadable_row"),
        ("a.jpg,1,2,,4,cat", "unreadable_row"),
        ("a.jpg,1,2,3,4,", "unreadable_row"),
        ("a.jpg,,,,,cat", "unreadable_row"),
        ("a.jpg,1,2,3,4", "unreadable_row"),
        (",1,2,3,4,cat", "unreadable_row"),
        ("a.jpg,1,nan,3,4,cat", "not_finite"),
        ("a.jpg,3,2,3,4,cat", "no_area"),
        ("a.jpg,5,2,3,4,cat", "no_area"),
        ("a.jpg,101,2,103,4,cat", "outside"),
        ("none.jpg,1,2,3,4,cat", "missing_file"),
    ],
)
def test_unusable_rows_are_counted_and_left_out(tmp_path, row, kind):
    path = write_csv_set(tmp_path, f"a.jpg,10,20,40,60,cat\n{row}\nb.jpg,,,,,\n")
    dataset, report = read(read_csv, path)
    assert boxes(dataset) == [[10, 20, 40, 60]]
    assert len(dataset) == 2
    assert report.defects == {kind: 1}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a.jpg,cat,1,2,3,4", r"'a.jpg,cat,1,2,3,4' in line 1 .*where x1 is 'cat'"),
        ("cat,1,2,3,4,a.jpg", r"'cat' as path and 'a.jpg' as class_name"),
        ("1,2,3,4,a.jpg,cat", r"where y2 is 'a.jpg'.*swapped"),
        ("a.jpg,1,2,3,4", r"5 columns and no known header. Add a header"),
        ("a.jpg,1,2,3,4,cat,0.9", r"7 columns and no known header"),
        ("a.jpg;1;2;3;4;cat", r"1 columns .* Separate them by commas"),
        ("path,x1,y1,x2,y2", r"without or with several of \['class_name'\]"),
        ("path,x1,y1,x2,y2,class,label", r"several of \['class_name'\]"),
        ("path,x1,y1,x2,y2,class", "with only a header"),
        ("a.jpg,,,,,", "with the names of its classes; .* Pass `class_names`"),
        ("", "must have rows; .*empty"),
        ('"a.jpg,1,2\n', r"1 columns and no known header|readable as CSV"),
    ],
)
def test_other_columns_are_refused(tmp_path, row, message):
    with pytest.raises(ValueError, match=message):
        read_csv(write_csv_set(tmp_path, f"{row}\n"))


@pytest.mark.parametrize(
    ("order", "places"),
    [("x1, x2, y1, y2", [0, 2, 1, 3]), ("y1, x1, y2, x2", [1, 0, 3, 2])],
)
def test_columns_swapped_among_the_numbers_are_refused(tmp_path, order, places):
    rows = []
    for corners in [(80, 5, 95, 30), (60, 10, 99, 40), (85, 1, 90, 9)]:
        numbers = [str(corners[place]) for place in places]
        rows.append(f"a.jpg,{','.join(numbers)},cat\n")
    with pytest.raises(ValueError, match=f"All of them fit if read as {order}"):
        read_csv(write_csv_set(tmp_path, "".join(rows)))


def test_what_is_written_is_read_back(tmp_path):
    path = write_csv_set(
        tmp_path,
        'a.jpg,10.31,20,40.07,60,"cat, big"\nb.jpg,,,,,\nsub/c d.jpg,1,2,3,4,ant\n',
    )
    dataset, _ = read(read_csv, path)
    assert write_csv(dataset, tmp_path / "deep/again.csv") == {}
    text = (tmp_path / "deep/again.csv").read_text()
    assert text.splitlines()[:2] == [
        '../a.jpg,10.31,20,40.07,60,"cat, big"',
        "../b.jpg,,,,,",
    ]
    again, report = read(read_csv, tmp_path / "deep/again.csv")
    assert report.counts == {}
    assert again.class_names == dataset.class_names
    for photo, copy in zip(dataset.photos, again.photos, strict=True):
        assert copy.path.samefile(photo.path)
        np.testing.assert_array_equal(copy.objects.boxes, photo.objects.boxes)
        np.testing.assert_array_equal(copy.objects.labels, photo.objects.labels)


def test_crowd_regions_are_left_out_and_told(tmp_path):
    path = write_photo(tmp_path / "a.jpg")
    objects = Objects([[0, 0, 9, 9], [5, 5, 20, 20]], [0, 0], [True, False])
    dataset = Dataset([Photo(1, path, 80, 100, objects)], ["cat"], [1])
    assert write_csv(dataset, tmp_path / "a.csv") == {"crowd regions": 1}
    assert (tmp_path / "a.csv").read_text() == "a.jpg,5,5,20,20,cat\n"


def test_other_tables_are_told_from_boxes(tmp_path):
    assert is_box_csv(write(tmp_path / "a.csv", "a.jpg,1,2,3,4,cat\n"))
    assert is_box_csv(write(tmp_path / "b.csv", "a.jpg,,,,,\n"))
    assert is_box_csv(write(tmp_path / "c.csv", "image,x1,y1,x2,y2,label\na,,,,,\n"))
    assert not is_box_csv(write(tmp_path / "d.csv", "name,licence\na.jpg,CC BY\n"))
    assert not is_box_csv(write(tmp_path / "e.csv", "a,b,c,d,e,f\n"))
    assert not is_box_csv(write(tmp_path / "f.csv", ""))
