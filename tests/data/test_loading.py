import subprocess
import sys

import numpy as np
import pytest

from chainrule.data import DATASETS, cifar10, digits, load


def file_index(images):
    """Which image of its file each is: the imitation says so in its first two pixels, and the file's number in its second plane."""
    return images[:, 1, 0, 0].astype(int) * 10_000 + images[:, 0, 0, 0].astype(int) * 256 + images[:, 0, 0, 1]


@pytest.fixture(scope="module")
def imitation(fake_folder):
    return cifar10(fake_folder["python"])


def test_cifar10_is_split_into_49000_1000_10000_without_loss(imitation):
    assert (len(imitation.train), len(imitation.val), len(imitation.test)) == (49_000, 1_000, 10_000)
    train, val, test = (file_index(split.images) for split in (imitation.train, imitation.val, imitation.test))
    np.testing.assert_array_equal(test, np.arange(50_000, 60_000))
    np.testing.assert_array_equal(np.sort(np.concatenate([train, val])), np.arange(50_000))
    assert (np.diff(train) > 0).all()  # in the order of the files
    assert (np.diff(val) > 0).all()
    assert (val < 25_000).mean() == pytest.approx(0.5, abs=0.08)  # five standard deviations of a binomial: from everywhere


def test_labels_stay_with_their_images(imitation):
    for split in (imitation.train, imitation.val, imitation.test):
        np.testing.assert_array_equal(split.labels, file_index(split.images) % 10)  # 10,000 is a multiple of 10


def test_the_splits_are_parts_of_one_array(imitation):
    base = imitation.train.images.base
    assert base.shape == (60_000, 3, 32, 32)
    assert imitation.val.images.base is base
    assert imitation.test.images.base is base


def test_both_kinds_of_files_give_the_same_data_set(imitation, fake_folder):
    assert cifar10(fake_folder["binary"]).checksum == imitation.checksum


def test_another_seed_gives_another_validation_set(imitation, fake_folder):
    other = cifar10(fake_folder["binary"], seed=1)
    shared = np.intersect1d(file_index(imitation.val.images), file_index(other.val.images))
    assert len(shared) < 60  # 20 of 1,000 by chance, standard deviation 4.3
    assert other.checksum != imitation.checksum


def test_a_limit_keeps_a_balanced_subset_of_the_training_split(imitation, fake_folder):
    small = load("cifar10", folder=fake_folder["binary"], limit=1003)
    counts = np.bincount(small.train.labels)
    assert sorted(counts) == [100] * 7 + [101] * 3
    assert np.isin(file_index(small.train.images), file_index(imitation.train.images)).all()
    np.testing.assert_array_equal(small.val.images, imitation.val.images)
    np.testing.assert_array_equal(small.test.labels, imitation.test.labels)
    np.testing.assert_allclose(small.mean, small.train.images.mean(axis=(0, 2, 3)) / 255, rtol=1e-6)


def test_the_size_of_the_validation_split_can_be_chosen(fake_folder):
    data = cifar10(fake_folder["binary"], validation=5_000)
    assert (len(data.train), len(data.val), len(data.test)) == (45_000, 5_000, 10_000)


@pytest.mark.parametrize("validation", [0, -1, 50_000])
def test_a_validation_split_of_nothing_or_everything_is_refused(validation, fake_folder):
    with pytest.raises(ValueError, match=f"validation is {validation}; it must be 1 to 49,999"):
        cifar10(fake_folder["binary"], validation=validation)


def test_cifar10_that_is_not_there_says_how_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError, match="chainrule data get cifar10"):
        cifar10(tmp_path)


def test_the_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    data = digits()
    assert data.image_shape == (1, 8, 8)
    assert data.scale == 16
    found = np.concatenate([split.images.reshape(-1, 64) for split in (data.train, data.val, data.test)])
    labels = np.concatenate([split.labels for split in (data.train, data.val, data.test)])
    expected, expected_labels = load_digits(return_X_y=True)
    # as sets: each image with its label, all there and none twice
    assert sorted(map(tuple, np.column_stack([found, labels]))) == sorted(
        map(tuple, np.column_stack([expected, expected_labels]).astype(int))
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_digits_are_split_class_by_class(seed):
    data = digits(seed=seed)
    assert (len(data.train), len(data.val), len(data.test)) == (1259, 269, 269)
    for split in (data.val, data.test):
        assert set(np.bincount(split.labels, minlength=10)) <= {26, 27, 28}


def test_the_digits_depend_on_the_seed_alone():
    assert digits(seed=3).checksum == digits(seed=3).checksum
    assert digits(seed=3).checksum != digits(seed=4).checksum


@pytest.mark.parametrize("limit", [1, 10, 57, 1000, 1259])
def test_a_limit_of_the_digits_is_balanced_as_far_as_there_are_images(limit):
    counts = np.bincount(digits(limit=limit).train.labels, minlength=10)
    everything = np.bincount(digits().train.labels, minlength=10)
    assert counts.sum() == limit
    # a class has one less than another only where the round is cut, and less than that only where it has no more
    assert all(count >= counts.max() - 1 or count == available for count, available in zip(counts, everything, strict=True))


@pytest.mark.parametrize("limit", [0, -5, 1260])
def test_a_limit_that_cannot_be_kept_is_refused(limit):
    with pytest.raises(ValueError, match=f"limit is {limit}; there are 1 to 1,259 training images"):
        digits(limit=limit)


def test_the_split_of_the_digits_is_fixed():
    with pytest.raises(ValueError, match="validation is 100, but the split of the digits is fixed"):
        load("digits", validation=100)


def test_an_unknown_data_set_is_refused_with_those_that_exist():
    assert DATASETS == ("digits", "cifar10")
    with pytest.raises(ValueError, match="no data set 'mnist'; there are digits, cifar10"):
        load("mnist")


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="seed is -1"):
        digits(seed=-1)


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, chainrule.data; print(*{'sklearn', 'pooch', 'requests', 'torch', 'numba', 'matplotlib', 'scipy'} & sys.modules.keys())"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "\n"


@pytest.mark.real_data
def test_the_real_cifar10_has_its_known_statistics(real_cifar10):
    data = cifar10(real_cifar10)
    np.testing.assert_array_equal(np.bincount(data.test.labels), [1000] * 10)
    # the published 0.4914 0.4822 0.4465 and 0.2470 0.2435 0.2616, of 50,000 images; JPEG takes 0.002 off the deviations
    np.testing.assert_allclose(data.mean, [0.4914, 0.4822, 0.4465], atol=0.001)
    np.testing.assert_allclose(data.std, [0.2470, 0.2435, 0.2616], atol=0.003)


@pytest.mark.real_data
def test_cifar10_is_read_and_gives_its_first_batch_in_less_than_two_seconds(real_cifar10):
    code = (
        "import time; start = time.perf_counter()\n"
        "from chainrule.data import batches, cifar10\n"
        f"next(batches(cifar10({str(real_cifar10)!r}), 'train', 100, seed=0))\n"
        "print(time.perf_counter() - start)"
    )
    # the best of three: other processes share this machine
    times = [float(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout) for _ in range(3)]
    assert min(times) < 2.0
