"""get_CIFAR10_data and load_CIFAR10 on a folder of the binary kind whose pixels are mostly zero."""

import numpy as np
import pytest

from chainrule.compat.cs231n import data_utils

CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
RECORD = 1 + 3 * 32 * 32


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    """A folder with cifar-10-batches-bin; batch k has random pixels in its first 20 images, and labels that repeat 0 to 9 from k on."""
    folder = tmp_path_factory.mktemp("datasets")
    batches = folder / "cifar-10-batches-bin"
    batches.mkdir()
    for k, name in enumerate(["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"]):
        records = np.zeros((10_000, RECORD), dtype=np.uint8)
        records[:, 0] = (np.arange(10_000) + k) % 10
        records[:20, 1:] = np.random.default_rng(k).integers(256, size=(20, RECORD - 1))
        records.tofile(batches / f"{name}.bin")
    (batches / "batches.meta.txt").write_text("\n".join(CLASSES) + "\n")
    return folder


def pixels(k):
    """The first 20 images of batch k."""
    return np.random.default_rng(k).integers(256, size=(20, RECORD - 1)).reshape(20, 3, 32, 32)


@pytest.fixture(params=["cs231n/datasets", "CHAINRULE_DATA"])
def somewhere(request, datasets, tmp_path, monkeypatch):
    """The files lie where the course's script puts them, or where chainrule keeps them."""
    monkeypatch.chdir(tmp_path)
    if request.param == "CHAINRULE_DATA":
        monkeypatch.setenv("CHAINRULE_DATA", str(datasets))
    else:
        monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path / "nothing"))
        (tmp_path / "cs231n").mkdir()
        (tmp_path / "cs231n" / "datasets").symlink_to(datasets)


def test_the_splits_follow_the_official_order_across_batches(somewhere):
    data = data_utils.get_CIFAR10_data(num_training=9_998, num_validation=10, num_test=7, subtract_mean=False)
    assert {name: array.shape for name, array in data.items()} == {
        "X_train": (9998, 3, 32, 32),
        "y_train": (9998,),
        "X_val": (10, 3, 32, 32),
        "y_val": (10,),
        "X_test": (7, 3, 32, 32),
        "y_test": (7,),
    }
    assert {data[name].dtype for name in ("X_train", "X_val", "X_test")} == {np.dtype(np.float64)}
    np.testing.assert_array_equal(data["X_train"][:20], pixels(0))
    np.testing.assert_array_equal(data["X_val"][2:], pixels(1)[:8])
    np.testing.assert_array_equal(data["X_test"], pixels(5)[:7])
    np.testing.assert_array_equal(data["y_val"], [8, 9, 1, 2, 3, 4, 5, 6, 7, 8])
    np.testing.assert_array_equal(data["y_test"], [5, 6, 7, 8, 9, 0, 1])


def test_the_mean_image_of_the_training_images_is_subtracted_from_all(datasets, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHAINRULE_DATA", str(datasets))
    data = data_utils.get_CIFAR10_data(num_training=15, num_validation=5, num_test=20)
    mean_image = pixels(0)[:15].mean(axis=0)
    for name, expected in (("X_train", pixels(0)[:15]), ("X_val", pixels(0)[15:]), ("X_test", pixels(5))):
        np.testing.assert_allclose(data[name], expected - mean_image, rtol=0, atol=1e-12)  # sums of 15 numbers up to 255


def test_the_whole_is_read_with_channels_last_in_float64(monkeypatch):
    parts = [(np.full((2, 3, 32, 32), k, np.uint8), np.array([k, k + 1])) for k in range(6)]
    parts[5][0][1, 2, 4, 7] = 99
    monkeypatch.setattr(data_utils, "read_batches", lambda folder: iter(parts))
    Xtr, Ytr, Xte, Yte = data_utils.load_CIFAR10("anywhere")
    assert (Xtr.shape, Xte.shape, Xtr.dtype) == ((10, 32, 32, 3), (2, 32, 32, 3), np.float64)
    np.testing.assert_array_equal(Xtr[:, 0, 0, 0], np.repeat(np.arange(5), 2))
    np.testing.assert_array_equal(Ytr, [0, 1, 1, 2, 2, 3, 3, 4, 4, 5])
    np.testing.assert_array_equal(Yte, [5, 6])
    assert Xte[1, 4, 7, 2] == 99


def test_the_folder_of_the_batches_itself_will_do(datasets):
    X, y, X_test, y_test = data_utils._read(datasets / "cifar-10-batches-bin")
    np.testing.assert_array_equal(X[40_000:40_020], pixels(4))
    assert (len(y), len(X_test), len(y_test)) == (50_000, 10_000, 10_000)


def test_where_there_are_no_files_the_error_says_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHAINRULE_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="chainrule data get cifar10"):
        data_utils.get_CIFAR10_data()


@pytest.mark.parametrize("sizes", [{"num_training": 50_000}, {"num_test": 10_001}], ids=["training", "test"])
def test_more_images_than_there_are_are_refused(sizes):
    with pytest.raises(ValueError, match="there are not so many"):
        data_utils.get_CIFAR10_data(**sizes)
