import hashlib
import pickle

import numpy as np
import pytest

from chainrule.data import cifar10_files, default_folder, describe, find_cifar10, read_batch, read_batches


def fake_content(kind, name, fake_folder):
    return (fake_folder[kind] / name).read_bytes()


@pytest.mark.parametrize("kind", ["python", "binary"])
def test_all_images_are_read_in_the_order_of_the_files(kind, fake_folder):
    for index, (images, labels) in enumerate(read_batches(fake_folder[kind])):
        assert images.shape == (10_000, 3, 32, 32)
        assert images.dtype == np.uint8
        np.testing.assert_array_equal(labels, np.arange(10_000) % 10)
        np.testing.assert_array_equal(images[:, 0, 0, 0].astype(int) * 256 + images[:, 0, 0, 1], np.arange(10_000))
        assert (images[:, 1:] == index).all()
    assert index == 5


@pytest.mark.parametrize("kind", ["python", "binary"])
def test_planes_are_red_green_blue_row_by_row(kind, fake_folder, damaged):
    pixels = np.arange(10_000 * 3072, dtype=np.int64).astype(np.uint8).reshape(10_000, 3072)
    labels = np.arange(10_000) % 10
    if kind == "python":
        name, content = "data_batch_1", pickle.dumps({"data": pixels, "labels": labels.tolist()}, protocol=2)
    else:
        name, content = "data_batch_1.bin", np.hstack([labels.astype(np.uint8)[:, None], pixels]).tobytes()
    images, _ = read_batch(damaged(kind, name, content) / name)
    assert images[7, 2, 5, 3] == pixels[7, 2 * 1024 + 5 * 32 + 3]
    np.testing.assert_array_equal(images.reshape(10_000, 3072), pixels)


def test_the_folder_or_the_one_that_contains_it_can_be_named(fake_folder, monkeypatch):
    folder = fake_folder["binary"]
    assert find_cifar10(folder) == folder
    monkeypatch.setenv("CHAINRULE_DATA", str(folder))
    assert find_cifar10() == folder
    monkeypatch.setenv("CHAINRULE_DATA", str(folder.parent))
    assert find_cifar10() == fake_folder["python"]  # both are there: the first counts
    assert find_cifar10(folder) == folder  # what is named beats the environment


def test_the_default_is_the_users_data_folder(monkeypatch):
    import platformdirs

    monkeypatch.delenv("CHAINRULE_DATA", raising=False)
    assert default_folder() == platformdirs.user_data_path("chainrule")


@pytest.mark.parametrize("missing", ["data_batch_3", "test_batch", "batches.meta"])
def test_a_folder_that_lacks_a_file_does_not_count(missing, damaged):
    folder = damaged("python", missing, None)
    assert find_cifar10(folder) is None
    with pytest.raises(FileNotFoundError, match=r"no complete CIFAR-10 in .*chainrule data get cifar10.*CHAINRULE_DATA"):
        describe(folder)


def test_an_imitation_is_described_as_not_official(fake_folder):
    description = describe(fake_folder["python"])
    assert description.kind == "python"
    assert (description.train, description.test) == (50_000, 10_000)
    assert description.official is False
    assert set(description.changed) == {
        "data_batch_1",
        "data_batch_2",
        "data_batch_3",
        "data_batch_4",
        "data_batch_5",
        "test_batch",
        "batches.meta",
    }


def test_files_with_the_official_checksums_are_described_as_official(fake_folder, monkeypatch):
    for path in fake_folder["python"].iterdir():
        digest = hashlib.md5(path.read_bytes()).hexdigest()
        monkeypatch.setitem(cifar10_files._OFFICIAL_MD5, path.name, digest)
    description = describe(fake_folder["python"])
    assert description.official is True
    assert description.changed == ()


def test_of_the_binary_files_nobody_knows_whether_they_are_official(fake_folder):
    description = describe(fake_folder["binary"])
    assert description.kind == "binary"
    assert description.official is None
    assert description.size == 6 * 30_730_000 + (fake_folder["binary"] / "batches.meta.txt").stat().st_size


PIXELS = np.zeros((10_000, 3072), np.uint8)
LABELS = [i % 10 for i in range(10_000)]


@pytest.mark.parametrize(
    ("entries", "complaint"),
    [
        ({"data": PIXELS}, r"no labels in it, only \['data'\]"),
        (
            {"data": PIXELS.reshape(3072, 10_000), "labels": LABELS},
            r"data is an array \(3072, 10000\); expected a uint8 array \(10000, 3072\)",
        ),
        ({"data": PIXELS.tobytes().decode("ascii"), "labels": LABELS}, "data is a str"),
        ({"data": PIXELS, "labels": LABELS[:-1]}, "labels is a list of 9,999; expected a list of 10,000"),
        ({"data": PIXELS, "labels": "a" * 10_000}, "labels is a str"),
        ({"data": PIXELS, "labels": [*LABELS[:-1], "7"]}, "expected a list of 10,000 integers"),
        ({"data": PIXELS, "labels": [*LABELS[:-1], 10]}, "label 10 of image 9999; expected 0 to 9"),
        ({"data": PIXELS, "labels": [-1, *LABELS[1:]]}, "label -1 of image 0"),
    ],
)
def test_a_python_batch_with_other_contents_is_refused(entries, complaint, tmp_path):
    path = tmp_path / "data_batch_1"
    path.write_bytes(pickle.dumps(entries, protocol=2))
    with pytest.raises(ValueError, match=complaint) as raised:
        read_batch(path)
    assert str(path) in str(raised.value)


def test_a_float_array_is_refused(tmp_path):
    path = tmp_path / "data_batch_1"
    path.write_bytes(pickle.dumps({"data": np.zeros((1000, 3500)), "labels": LABELS, "fill": "a" * 5_000_000}, protocol=2))
    with pytest.raises(ValueError, match="dtype 'f8'; expected 'u1'"):
        read_batch(path)


@pytest.mark.parametrize("kept", [0, 1000, 20_000_000, 30_725_000, -1])
def test_a_truncated_python_batch_is_refused(kept, fake_folder, damaged):
    folder = damaged("python", "data_batch_4", fake_content("python", "data_batch_4", fake_folder)[:kept])
    with pytest.raises(ValueError, match=r"data_batch_4: .*get it again"):
        describe(folder)


@pytest.mark.parametrize("kept", [0, 3073, -1])
def test_a_truncated_binary_batch_is_refused(kept, fake_folder, damaged):
    folder = damaged("binary", "test_batch.bin", fake_content("binary", "test_batch.bin", fake_folder)[:kept])
    with pytest.raises(ValueError, match=r"test_batch\.bin: [\d,]+ bytes; expected 30,730,000"):
        describe(folder)


def test_a_label_out_of_range_in_a_binary_batch_is_located(fake_folder, damaged):
    content = bytearray(fake_content("binary", "data_batch_2.bin", fake_folder))
    content[3073 * 17] = 10
    folder = damaged("binary", "data_batch_2.bin", bytes(content))
    with pytest.raises(ValueError, match=r"data_batch_2\.bin: label 10 of image 17"):
        describe(folder)


@pytest.mark.parametrize("name", ["data_batch_5.bin", "test_batch.bin"])
def test_a_wrong_number_of_images_in_a_class_is_refused(name, fake_folder, damaged):
    content = bytearray(fake_content("binary", name, fake_folder))
    content[0] = 1  # was 0
    with pytest.raises(ValueError, match=r"images in the ten classes; expected [15],000 in each"):
        describe(damaged("binary", name, bytes(content)))


@pytest.mark.parametrize(
    ("kind", "name", "content"),
    [
        ("python", "batches.meta", pickle.dumps({"label_names": ["apple", "bear"]}, protocol=2)),
        ("python", "batches.meta", pickle.dumps({"fine_label_names": []}, protocol=2)),
        ("binary", "batches.meta.txt", b"apple\nbear\n"),
        ("binary", "batches.meta.txt", b""),
    ],
)
def test_other_classes_are_refused(kind, name, content, damaged):
    with pytest.raises(ValueError, match=r"batches\.meta.*names the classes .* is this CIFAR-10\?"):
        describe(damaged(kind, name, content))


def test_a_huge_file_is_refused_before_it_is_read(damaged):
    folder = damaged("python", "data_batch_1", b"")
    with open(folder / "data_batch_1", "wb") as file:
        file.truncate(1 << 40)  # sparse: a terabyte that takes no space
    with pytest.raises(ValueError, match="1,099,511,627,776 bytes; expected between"):
        describe(folder)


@pytest.mark.real_data
def test_the_real_files_are_read_in_both_ways_alike(real_cifar10):
    """Against Python's own unpickler."""
    with open(real_cifar10 / "data_batch_2", "rb") as file:
        expected = pickle.load(file, encoding="bytes")
    images, labels = read_batch(real_cifar10 / "data_batch_2")
    np.testing.assert_array_equal(images.reshape(10_000, 3072), expected[b"data"])
    assert labels.tolist() == expected[b"labels"]


@pytest.mark.real_data
def test_the_real_files_hold_the_official_labels_and_nearly_the_official_pixels(real_cifar10, original_pixels):
    images, labels = read_batch(real_cifar10 / "data_batch_1")
    np.testing.assert_array_equal(labels[:4000], original_pixels["train_labels"])
    _, test_labels = read_batch(real_cifar10 / "test_batch")
    np.testing.assert_array_equal(test_labels[:164], original_pixels["test_labels"])
    original = original_pixels["train_data"].reshape(4000, 3, 32, 32)
    # the files beside the repository went through JPEG: 5.8 grey levels on average (0 for the official ones); another image is 60 away
    assert np.abs(images[:4000].astype(np.int16) - original).mean() < 6.5


@pytest.mark.real_data
def test_the_real_meta_file_is_official_whatever_the_pixels_are(real_cifar10):
    description = describe(real_cifar10)
    assert "batches.meta" not in description.changed
    assert description.official is (description.changed == ())
