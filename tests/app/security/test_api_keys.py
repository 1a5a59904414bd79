import re
from math import log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.security import api_keys

PEPPER = b"a pepper of the store"


def test_new_key_is_well_formed():
    assert all(api_keys.is_well_formed(api_keys.make_key()) for _ in range(200))


def test_key_is_one_word_that_starts_with_sk():
    assert re.fullmatch(r"sk-[0-9A-Za-z]{39}", api_keys.make_key())


def test_two_new_keys_differ():
    assert len({api_keys.make_key() for _ in range(500)}) == 500


def test_key_keeps_160_random_bits_beyond_what_lists_show():
    hidden = api_keys.RANDOM_LENGTH - api_keys.SHOWN_LENGTH
    assert hidden * log2(len(api_keys.ALPHABET)) >= 160


@given(st.data())
def test_one_wrong_character_is_noticed(data):
    key = api_keys.make_key()
    position = data.draw(st.integers(0, len(key) - 1))
    wrong = data.draw(st.characters().filter(lambda each: each != key[position]))
    assert not api_keys.is_well_formed(key[:position] + wrong + key[position + 1 :])


@given(st.integers(3, 40))
def test_two_swapped_characters_are_noticed(position):
    key = api_keys.make_key()
    first, second = key[position : position + 2]
    swapped = key[:position] + second + first + key[position + 2 :]
    assert api_keys.is_well_formed(swapped) == (first == second)


@given(st.text())
def test_text_of_a_stranger_is_no_key(text):
    assert not api_keys.is_well_formed(text)
    assert not api_keys.is_well_formed("sk-" + text)


@pytest.mark.parametrize("spoil", ["{}\n", " {}", "{}0", "Bearer {}", "{}\x00"])
def test_key_with_something_around_it_is_no_key(spoil):
    assert not api_keys.is_well_formed(spoil.format(api_keys.make_key()))


@pytest.mark.parametrize(
    "key", ["sk-" + "0" * 32 + "365VC5", "sk-" + "0" * 34 + "3XpBnv"]
)
def test_key_of_another_length_is_no_key_although_its_checksum_fits(key):
    assert not api_keys.is_well_formed(key)


def test_digits_of_other_scripts_are_no_key():
    assert not api_keys.is_well_formed("sk-" + "١" * 39)


def test_checksum_of_a_published_key_stays_the_same():
    # keys in clients' hands must stay valid when this module changes
    assert api_keys.is_well_formed("sk-" + "0" * 33 + "4UvVGq")


def test_same_key_and_pepper_give_the_same_hash():
    key = api_keys.make_key()
    assert api_keys.hash_key(key, PEPPER) == api_keys.hash_key(key, PEPPER)


def test_hash_depends_on_the_key():
    first, second = api_keys.make_key(), api_keys.make_key()
    assert api_keys.hash_key(first, PEPPER) != api_keys.hash_key(second, PEPPER)


def test_hash_depends_on_the_pepper():
    key = api_keys.make_key()
    assert api_keys.hash_key(key, PEPPER) != api_keys.hash_key(key, b"another")


def test_hash_is_hmac_sha256():
    # RFC 4231, test case 2
    assert api_keys.hash_key("what do ya want for nothing?", b"Jefe").hex() == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


def test_empty_pepper_is_refused():
    with pytest.raises(ValueError, match="pepper"):
        api_keys.hash_key(api_keys.make_key(), b"")


def test_hash_of_broken_unicode_is_a_hash_all_the_same():
    assert len(api_keys.hash_key("sk-\ud800", PEPPER)) == 32


def test_lists_show_the_start_of_a_key_only():
    key = api_keys.make_key()
    assert api_keys.display_prefix(key) == key[:9]
