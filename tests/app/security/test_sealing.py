import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.security.sealing import Sealer, SealError, derive

OLD = "the secret key of last year, 32 random bytes"
NEW = "the secret key of this year, 32 random bytes"
SECRET = "the provider's key"


@pytest.fixture
def sealer():
    return Sealer.from_secret(NEW)


@given(st.text(), st.text())
def test_sealed_value_opens_for_its_row(plain, aad):
    plain = plain.encode("utf-8", "replace").decode()
    aad = aad.encode("utf-8", "replace").decode()
    sealer = Sealer.from_secret(NEW)
    assert sealer.unseal(sealer.seal(plain, aad), aad) == plain


def test_sealed_value_does_not_show_the_secret(sealer):
    assert SECRET.encode() not in sealer.seal(SECRET, "channel:1")


def test_same_secret_seals_differently_each_time(sealer):
    assert sealer.seal(SECRET, "channel:1") != sealer.seal(SECRET, "channel:1")


def test_value_moved_to_another_row_does_not_open(sealer):
    sealed = sealer.seal(SECRET, "channel:1")
    with pytest.raises(SealError, match="channel:2 was moved from another row"):
        sealer.unseal(sealed, "channel:2")


def test_any_changed_byte_is_noticed(sealer):
    sealed = sealer.seal(SECRET, "channel:1")
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(SealError):
            sealer.unseal(bytes(changed), "channel:1")


def test_any_cut_is_noticed(sealer):
    sealed = sealer.seal(SECRET, "channel:1")
    for length in range(len(sealed)):
        with pytest.raises(SealError):
            sealer.unseal(sealed[:length], "channel:1")


@given(st.binary(max_size=80))
def test_bytes_of_a_stranger_do_not_open(sealed):
    with pytest.raises(SealError):
        Sealer.from_secret(NEW).unseal(sealed, "channel:1")


def test_unknown_version_is_told(sealer):
    sealed = b"\x02" + sealer.seal(SECRET, "channel:1")[1:]
    with pytest.raises(SealError, match="version 2 is unknown"):
        sealer.unseal(sealed, "channel:1")


def test_missing_former_key_is_told_with_its_id():
    former = Sealer.from_secret(OLD)
    sealed = former.seal(SECRET, "channel:1")
    with pytest.raises(SealError, match=former.current.hex()):
        Sealer.from_secret(NEW).unseal(sealed, "channel:1")


def test_error_text_does_not_hold_the_secret():
    sealed = Sealer.from_secret(OLD).seal(SECRET, "channel:1")
    with pytest.raises(SealError) as caught:
        Sealer.from_secret(NEW).unseal(sealed, "channel:1")
    assert SECRET not in str(caught.value)
    assert OLD not in str(caught.value)


def test_former_key_still_opens_while_it_is_in_the_ring():
    sealed = Sealer.from_secret(OLD).seal(SECRET, "channel:1")
    assert Sealer.from_secret(NEW, [OLD]).unseal(sealed, "channel:1") == SECRET


def test_new_values_are_sealed_with_the_current_key():
    sealed = Sealer.from_secret(NEW, [OLD]).seal(SECRET, "channel:1")
    assert Sealer.from_secret(NEW).unseal(sealed, "channel:1") == SECRET


def test_value_of_a_former_key_needs_rotation():
    sealed = Sealer.from_secret(OLD).seal(SECRET, "channel:1")
    assert Sealer.from_secret(NEW, [OLD]).needs_rotation(sealed)


def test_value_of_the_current_key_needs_no_rotation():
    ring = Sealer.from_secret(NEW, [OLD, NEW])
    assert not ring.needs_rotation(ring.seal(SECRET, "channel:1"))


def test_another_process_with_the_same_secret_key_opens(sealer):
    sealed = sealer.seal(SECRET, "channel:1")
    assert Sealer.from_secret(NEW).unseal(sealed, "channel:1") == SECRET


def test_repr_of_a_sealer_shows_no_key(sealer):
    assert "AESGCM" not in repr(sealer)
    assert NEW not in repr(sealer)


@pytest.mark.parametrize(("secret_key", "old"), [("", ()), (NEW, ("",))])
def test_empty_secret_key_is_refused(secret_key, old):
    with pytest.raises(ValueError, match="empty"):
        Sealer.from_secret(secret_key, old)


def test_purposes_have_different_keys():
    purposes = ["api-keys", "links", "cursors", "callbacks"]
    assert len({derive(NEW, purpose) for purpose in purposes}) == len(purposes)


def test_derived_key_has_32_bytes_and_stays_the_same():
    # a change would make every API key and every signed link invalid
    assert derive(NEW, "api-keys").hex() == (
        "5264c15d7293b69a2fa2524e588b2b3ab719990625c73aa6f681f30377ae312b"
    )


def test_secret_keys_derive_different_keys():
    assert derive(NEW, "links") != derive(OLD, "links")


def test_empty_secret_key_derives_nothing():
    with pytest.raises(ValueError, match="empty"):
        derive("", "links")
