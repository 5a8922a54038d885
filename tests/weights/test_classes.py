import re

import pytest

from chainrule.weights import find_class, imagenet_classes

IMAGENET = imagenet_classes()


def test_there_are_a_thousand_in_the_order_of_the_indices():
    assert len(IMAGENET) == 1000
    assert (IMAGENET[0], IMAGENET[281], IMAGENET[999]) == (
        "tench, Tinca tinca",
        "tabby, tabby cat",
        "toilet tissue, toilet paper, bathroom tissue",
    )


@pytest.mark.real_data
def test_they_are_those_of_the_list_that_caffe_published(shared_data):
    lines = (shared_data / "imagenet_synset_words.txt").read_text().splitlines()
    assert list(IMAGENET) == [line.partition(" ")[2].strip() for line in lines]


@pytest.mark.parametrize(
    ("text", "index"),
    [
        ("281", 281),
        (" 0 ", 0),
        ("tabby, tabby cat", 281),
        ("tabby cat", 281),
        ("Tabby", 281),
        ("TARANTULA", 76),
        ("tarant", 76),
        ("goose", 99),
        ("hen-of-the-woods", 996),
        ("tailed   frog", 32),  # one of several names
        ("egyptian", 285),  # a word
        ("bell toad", 32),  # a part of two words
    ],
)
def test_a_class_is_found_by_what_a_person_calls_it(text, index):
    assert find_class(IMAGENET, text) == index


def test_a_name_comes_before_a_word_and_a_word_before_a_part():
    classes = ("tiger cat", "cat, house cat", "catamaran")
    assert find_class(classes, "cat") == 1
    assert find_class(classes, "tiger") == 0
    assert find_class(classes, "catam") == 2


def test_classes_that_are_digits_are_those_digits():
    assert find_class(tuple("0123456789"), "7") == 7


def test_a_name_of_two_classes_is_refused_with_both():
    message = "'crane' fits 2 classes: 134 crane; 517 crane; name one in full, or by its number"
    with pytest.raises(ValueError, match=re.escape(message)):
        find_class(IMAGENET, "crane")


def test_a_word_of_many_classes_is_refused_with_the_first_of_them():
    with pytest.raises(
        ValueError, match=r"'cat' fits 7 classes: 281 tabby, tabby cat; 282 tiger cat; .*; name one in full, or by its number"
    ):
        find_class(IMAGENET, "cat")
    with pytest.raises(ValueError, match=r"'snake' fits \d+ classes: 52 thunder snake, .*; and \d+ more; name one in full"):
        find_class(IMAGENET, "snake")


@pytest.mark.parametrize(("text", "near"), [("tarantulla", "76 tarantula"), ("gooze", "99 goose"), ("tabby kat", "281 tabby, tabby cat")])
def test_a_near_miss_is_answered_with_what_may_have_been_meant(text, near):
    with pytest.raises(ValueError, match=rf"no class is called '{text}'; did you mean .*{near}.*\?"):
        find_class(IMAGENET, text)


@pytest.mark.parametrize("text", ["xylophonist of Thebes", "", "  ", "[", "(.*)*"])
def test_a_name_like_no_other_is_refused(text):
    with pytest.raises(ValueError, match=r"no class is called"):
        find_class(IMAGENET, text)


@pytest.mark.parametrize("text", ["1000", "-1", "123456789012345678901234567890"])
def test_an_index_that_does_not_exist_is_refused_with_those_that_do(text):
    with pytest.raises(ValueError, match=f"class {text} does not exist; there are 0 to 999"):
        find_class(IMAGENET, text)
