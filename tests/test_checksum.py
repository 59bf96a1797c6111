"""Checksums survive a checkout on another system, and nothing else."""

from hypothesis import assume, example, given
from hypothesis import strategies as st

from plugin_migrate.migration import checksum_of, is_verifiable, same_text

BOM = b"\xef\xbb\xbf"
LINES = st.lists(st.binary(max_size=5).filter(lambda line: not set(line) & set(b"\r\n")))


def test_it_is_the_tagged_sha_256_of_the_text():
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert checksum_of(b"abc") == f"sha256:{digest}"
    assert checksum_of(BOM + b"abc") == f"sha256:{digest}"


@given(LINES, st.booleans())
def test_line_ends_and_byte_order_mark_do_not_count(lines, has_bom):
    assume(not b"\n".join(lines).startswith(BOM))
    unix = b"\n".join(lines)
    windows = (BOM if has_bom else b"") + b"\r\n".join(lines)
    assert checksum_of(windows) == checksum_of(unix)


@given(st.binary(), st.binary())
@example(b"a\rb", b"a\nb")
@example(b"a\n", b"a")
@example(b"a" + BOM, b"a")
@example(BOM + BOM, BOM)
def test_anything_else_counts(one, two):
    def text(content):
        return content.removeprefix(BOM).replace(b"\r\n", b"\n")

    assert (checksum_of(one) == checksum_of(two)) == (text(one) == text(two))


def test_only_a_known_tag_can_be_verified():
    assert is_verifiable(checksum_of(b""))
    for foreign in ("", "abc", "md5:abc", "SHA256:abc", "d" * 64):
        assert not is_verifiable(foreign)


def test_a_final_newline_is_no_change_of_the_text():
    assert same_text("a\nb", "a\nb\n")
    assert same_text("\ufeffa\r\nb\r\n", "a\nb")
    assert not same_text("a\nb", "a\n b")
    assert not same_text("a\n\nb", "a\nb")
