import socket
import subprocess
import sys
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

import pytest
import urllib3
import yarl
from hypothesis import example, given
from hypothesis import strategies as st

from app.security.addresses import (
    Networks,
    UnsafeUrl,
    check_addresses,
    is_allowed,
    parse_url,
    resolve,
)

TEXT = "the URL must be http(s) and lead to a public address"
PUBLIC = "93.184.216.34"
PUBLIC_IPV6 = "2606:2800:220:1:248:1893:25c8:1946"


class FakeDns:
    """A resolver with fixed answers that counts its look-ups."""

    def __init__(self, *addresses, error=None):
        self.addresses = addresses
        self.error = error
        self.asked = []

    def __call__(self, host, port, **options):
        self.asked.append((host, port))
        if self.error:
            raise self.error
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in self.addresses
        ]


# URLs that no parser or guard may let through, whatever the resolver says.
HOSTILE = [
    # not a URL of the web
    "",
    " ",
    "example.com",
    "//example.com/",
    "/path",
    "ftp://example.com/",
    "file:///etc/passwd",
    "gopher://example.com:70/_x",
    "dict://example.com:2628/x",
    "ldap://example.com/",
    "data:text/plain,x",
    "javascript:alert(1)",
    "ws://example.com/",
    "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
    "httpx://example.com/",
    "http:example.com",
    "http:/example.com",
    "http:///example.com",
    "http:////example.com",
    "http://",
    "http://?x",
    "http://#x",
    "http://:80/",
    # user names: what stands before @ looks like the host
    "http://user@example.com/",
    "http://user:password@example.com/",
    "http://example.com@127.0.0.1/",
    "http://example.com:80@127.0.0.1/",
    "http://example.com%40127.0.0.1/",
    "http://@127.0.0.1/",
    "http://127.0.0.1#@example.com/",
    # white space, control characters, backslashes
    " http://example.com/",
    "http://example.com/ ",
    "http://example.com/a\\b",
    "http://exam ple.com/",
    "http://example.com/a b",
    "http://example.com/\r\nHost: internal",
    "http://example.com/\n",
    "http://exam\tple.com/",
    "http://example.com\x00.internal/",
    "http://example.com/\x7f",
    "http://example.com\\@127.0.0.1/",
    "http:\\\\example.com/",
    "http://127.0.0.1\\.example.com/",
    "http://example.com/\u2028",
    "http://exam\u200bple.com/",
    "http://exam\u00adple.com/",
    "http://example.com/\u202egnp.exe",
    "http://example.com/\ud800",
    "\ufeffhttp://example.com/",
    # hosts
    "http://example.com./",
    "http://localhost./",
    "http://127.0.0.1./",
    "http://.example.com/",
    "http://example..com/",
    "http://-example.com/",
    "http://example.com-/",
    "http://exam%70le.com/",
    "http://127.0.0.1%00.example.com/",
    "http://exam!ple.com/",
    "http://exam'ple.com/",
    "http://*.example.com/",
    "http://example.com,127.0.0.1/",
    "http://example.com;127.0.0.1/",
    "http://a" + "a" * 63 + ".com/",
    "http://" + ".".join(["a" * 60] * 5) + "/",
    "http://xn--/\u2100",
    "http://\u2100.com/",
    # ports
    "http://example.com:/",
    "http://example.com:0/",
    "http://example.com:00080/",
    "http://example.com:65536/",
    "http://example.com:999999/",
    "http://example.com:-1/",
    "http://example.com:+80/",
    "http://example.com:8a/",
    "http://example.com:80:80/",
    "http://example.com:\u0661\u0662/",
    "http://example.com:22/",
    "http://example.com:25/",
    "http://example.com:6379/",
    "http://example.com:5432/",
    "http://example.com:11211/",
    # IPv4 in odd spellings
    "http://127.1/",
    "http://127.0.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0x7f.1/",
    "http://0X7F.0.0.1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://0/",
    "http://00000000/",
    "http://127.0.0.01/",
    "http://127.0.0.001/",
    "http://256.256.256.256/",
    "http://127.0.0.1.1/",
    "http://127.0.0.0x1/",
    "http://example.0x7f/",
    "http://example.123/",
    "http://93.184.55330/",
    "http://１２７.0.0.1/",
    "http://①②⑦.0.0.1/",
    "http://127。0。0。1/",
    "http://127．0．0．1/",
    "http://93。184。216。34/",
    # IPv4 that leads inside
    "http://127.0.0.1/",
    "http://127.255.255.254/",
    "http://0.0.0.0/",
    "http://10.0.0.1/",
    "http://100.64.0.1/",
    "http://100.100.100.200/latest/meta-data/",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.170.2/v2/credentials",
    "http://168.63.129.16/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.0.0.192/opc/v2/instance/",
    "http://192.0.2.1/",
    "http://192.88.99.1/",
    "http://192.168.1.1/",
    "http://198.18.0.1/",
    "http://198.51.100.1/",
    "http://203.0.113.1/",
    "http://224.0.0.1/",
    "http://239.255.255.250/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    # IPv6
    "http://[/",
    "http://[]/",
    "http://::1/",
    "http://[::1/",
    "http://[::1]x/",
    "http://[::1]/",
    "http://[::]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::1%25eth0]/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[fe80::1]/",
    "http://[fec0::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[fd20:ce::254]/",
    "http://[ff02::1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::ffff:93.184.216.34]/",
    "http://[::127.0.0.1]/",
    "http://[::93.184.216.34]/",
    "http://[64:ff9b::127.0.0.1]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[64:ff9b:1::a00:1]/",
    "http://[100::1]/",
    "http://[2001::1]/",
    "http://[2001:0:7f00:1::]/",
    "http://[2001:2::1]/",
    "http://[2001:10::1]/",
    "http://[2001:20::1]/",
    "http://[2001:db8::1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:a9fe:a9fe::1]/",
    "http://[3fff::1]/",
    "http://[3ffe::1]/",
    "http://[5f00::1]/",
    "http://[4000::1]/",
    "http://[1::1]/",
    "http://[2600::5efe:7f00:1]/",
    "http://[2600::200:5efe:a00:1]/",
    "http://[1.2.3.4]/",
    "http://[v1.x]/",
    "http://[2606:2800:220:1:248:1893:25c8:1946/",
    "http://2606:2800:220:1:248:1893:25c8:1946/",
    "http://[2606:2800:220:1:248:1893:25c8:1946]:22/",
]


def test_table_of_hostile_urls_is_long():
    assert len(set(HOSTILE)) == len(HOSTILE) >= 80


@pytest.mark.parametrize("url", HOSTILE)
def test_hostile_url_is_refused_although_dns_calls_it_public(url):
    with pytest.raises(UnsafeUrl) as caught:
        resolve(url, (), FakeDns(PUBLIC))
    assert str(caught.value) == TEXT


def test_too_long_url_is_refused():
    start = "http://example.com/"
    parse_url(start + "a" * (8192 - len(start)))
    with pytest.raises(UnsafeUrl):
        parse_url(start + "a" * (8193 - len(start)))


# What is let through, and how it is rebuilt


@pytest.mark.parametrize(
    ("url", "rebuilt"),
    [
        ("http://example.com", "http://example.com/"),
        ("HTTPS://Example.COM/Path", "https://example.com/Path"),
        ("https://example.com:443/", "https://example.com/"),
        ("http://example.com:443/", "http://example.com:443/"),
        ("https://example.com?a=1", "https://example.com/?a=1"),
        ("https://example.com/a#fragment", "https://example.com/a"),
        ("https://example.com/a?b=c?d/e", "https://example.com/a?b=c?d/e"),
        ("https://example.com/a@b:c", "https://example.com/a@b:c"),
        ("https://bücher.example/", "https://xn--bcher-kva.example/"),
        (
            "https://例え.テスト/パス",
            "https://xn--r8jz45g.xn--zckzah/%E3%83%91%E3%82%B9",
        ),
        ("https://my_bucket.s3.example.com/k", "https://my_bucket.s3.example.com/k"),
        ("http://localhost:8080/hook", "http://localhost:8080/hook"),
        ("http://93.184.216.34/", "http://93.184.216.34/"),
        ("http://[2606:2800:0220::0001]:8080/", "http://[2606:2800:220::1]:8080/"),
        ('https://example.com/<a>?b="c"', "https://example.com/%3Ca%3E?b=%22c%22"),
    ],
)
def test_url_is_rebuilt_from_its_parts(url, rebuilt):
    assert parse_url(url).url == rebuilt


def test_presigned_url_arrives_byte_for_byte():
    url = (
        "https://bucket.s3.amazonaws.com/a%20b/%E4%BD%A0+x~'(1)*.png"
        "?X-Amz-Credential=AKIA%2F20260504%2Fus-east-1&X-Amz-Signature=0a%2f&e=a=b,c;d!"
    )
    assert parse_url(url).url == url


@pytest.mark.parametrize(
    ("url", "host", "port"),
    [
        ("http://example.com/", "example.com", 80),
        ("https://example.com/", "example.com", 443),
        ("https://example.com:8443/", "example.com", 8443),
        ("http://[2606:2800::1]/", "2606:2800::1", 80),
    ],
)
def test_host_and_port_are_read(url, host, port):
    parsed = parse_url(url)
    assert (parsed.host, parsed.port) == (host, port)


def parsers_of(url):
    """(scheme, host, port) as the URL parsers of our HTTP libraries read them."""
    standard = urlsplit(url)
    yield standard.scheme, standard.hostname, standard.port
    ours = yarl.URL(url, encoded=True)
    yield ours.scheme, ours.raw_host, ours.explicit_port
    theirs = urllib3.util.parse_url(url)
    yield theirs.scheme, theirs.host.strip("[]"), theirs.port


pieces = st.sampled_from(
    [
        *"@:/?#[]\\%.-_éßa\u3002\uff0f",
        "http://",
        "https://",
        "//",
        "xn--",
        "0x7f",
        "127.0.0.1",
        "example.com",
        "::1",
        "80",
        "8443",
        "%40",
        "%00",
    ]
)
urlish = st.lists(pieces | st.text(max_size=3), max_size=12).map("".join)


@given(
    st.text()
    | urlish
    | urlish.map(lambda tail: "http://" + tail)
    | urlish.map(lambda tail: "http://example.com" + tail)
)
@example("http://127.0.0.1:80\\@example.com/")
@example("http://example.com／@127.0.0.1/")
def test_every_parser_reads_an_accepted_url_alike(url):
    try:
        parsed = parse_url(url)
    except UnsafeUrl:
        return
    is_default = parsed.port == {"http": 80, "https": 443}[parsed.scheme]
    written_port = None if is_default else parsed.port
    for reading in parsers_of(parsed.url):
        assert reading == (parsed.scheme, parsed.host, written_port)


@given(urlish.map(lambda tail: "https://example.com/" + tail))
def test_rebuilt_url_is_read_the_same_again(url):
    try:
        parsed = parse_url(url)
    except UnsafeUrl:
        return
    assert parse_url(parsed.url) == parsed
    assert parsed.url.isascii()
    assert parsed.url.isprintable()


@given(
    st.ip_addresses(v=4),
    st.sampled_from(
        [
            lambda a: str(int(a)),
            lambda a: hex(int(a)),
            lambda a: oct(int(a)).replace("o", ""),
            lambda a: ".".join(hex(part) for part in a.packed),
            lambda a: ".".join(f"0{part:o}" for part in a.packed),
            lambda a: ".".join(f"{part:04d}" for part in a.packed),
            lambda a: f"{a.packed[0]}.{int(a) & 0xFFFFFF}",
            lambda a: f"{a.packed[0]}.{a.packed[1]}.{int(a) & 0xFFFF}",
            lambda a: str(a).translate(
                str.maketrans("0123456789", "０１２３４５６７８９")
            ),
            lambda a: f"{a}.",
        ]
    ),
)
def test_no_ipv4_in_an_odd_spelling_is_read(address, spell):
    with pytest.raises(UnsafeUrl):
        parse_url(f"http://{spell(address)}/")


# Addresses


@given(st.ip_addresses())
def test_what_the_standard_library_calls_special_is_refused(address):
    if is_allowed(address, ()):
        assert address.is_global
        assert not address.is_multicast


@given(
    st.ip_addresses(v=4),
    st.sampled_from(
        [
            "::{}",
            "::ffff:{}",
            "::ffff:0:{}",
            "64:ff9b::{}",
            "64:ff9b:1::{}",
            "2600::5efe:{}",
            "2600::200:5efe:{}",
        ]
    ),
)
def test_ipv4_inside_ipv6_is_refused_also_when_it_is_public(address, form):
    assert not is_allowed(IPv6Address(form.format(address)), ())


@given(st.ip_addresses(v=4), st.integers(0, 2**80 - 1))
def test_6to4_is_refused(address, rest):
    assert not is_allowed(IPv6Address(0x2002 << 112 | int(address) << 80 | rest), ())


@pytest.mark.parametrize(
    "network",
    [
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("168.63.129.16/32", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24"),
        *("192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "100.100.100.200/32"),
        *("::/96", "::1/128", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48"),
        *("100::/64", "2001::/32", "2001:2::/48", "2001:10::/28", "2001:20::/28"),
        *("2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fc00::/7"),
        *("192.31.196.0/24", "192.52.193.0/24", "192.175.48.0/24", "2620:4f:8000::/48"),
        *("fe80::/10", "fec0::/10", "ff00::/8", "4000::/3", "e000::/4"),
    ],
)
def test_whole_network_is_refused_from_its_first_to_its_last_address(network):
    (parsed,) = Networks.parse(network)
    assert not is_allowed(parsed[0], ())
    assert not is_allowed(parsed[-1], ())


@pytest.mark.parametrize(
    "address",
    [
        *("1.1.1.1", "8.8.8.8", PUBLIC, "9.255.255.255", "11.0.0.0", "100.63.255.255"),
        *("100.128.0.0", "126.255.255.255", "128.0.0.0", "168.63.129.15", "172.15.0.1"),
        *("168.63.129.17", "172.32.0.0", "192.0.1.0", "192.167.255.255", "192.169.0.0"),
        *("198.17.255.255", "198.20.0.0", "223.255.255.255"),
        *(
            PUBLIC_IPV6,
            "2001:200::1",
            "2001:4860:4860::8888",
            "2400:cb00::1",
            "2a00::1",
        ),
    ],
)
def test_public_address_is_allowed(address):
    assert is_allowed(ip_address(address), ())


def test_operators_network_lets_through():
    allow = Networks.parse("10.1.0.0/16, fd00::/8")
    assert is_allowed(IPv4Address("10.1.2.3"), allow)
    assert is_allowed(IPv6Address("fd00::1"), allow)


def test_operators_network_lets_nothing_else_through():
    allow = Networks.parse("10.1.0.0/16, fd00::/8")
    assert not is_allowed(IPv4Address("10.2.0.1"), allow)
    assert not is_allowed(IPv6Address("fc00::1"), allow)


def test_ipv4_network_does_not_let_through_its_ipv6_spelling():
    allow = Networks.parse("127.0.0.0/8")
    assert not is_allowed(IPv6Address("::ffff:127.0.0.1"), allow)


def test_checked_addresses_come_back_in_their_order():
    found = check_addresses([PUBLIC, PUBLIC_IPV6, IPv4Address("1.1.1.1")], ())
    assert [str(address) for address in found] == [PUBLIC, PUBLIC_IPV6, "1.1.1.1"]


@given(st.permutations([PUBLIC, "1.1.1.1", PUBLIC_IPV6, "10.0.0.1"]))
def test_one_private_address_among_public_ones_refuses_the_name(addresses):
    with pytest.raises(UnsafeUrl):
        check_addresses(addresses, ())


@pytest.mark.parametrize("addresses", [[], ["not an address"], ["127.1"]])
def test_answer_without_addresses_is_refused(addresses):
    with pytest.raises(UnsafeUrl):
        check_addresses(addresses, ())


def test_link_local_address_with_a_zone_is_refused():
    with pytest.raises(UnsafeUrl):
        check_addresses(["fe80::1%2"], ())


# Resolving


def test_target_is_pinned_to_the_first_address():
    target = resolve("https://Example.com:8443/a?b", (), FakeDns(PUBLIC, "1.1.1.1"))
    assert target.address == PUBLIC
    assert target.url == "https://example.com:8443/a?b"
    assert (target.scheme, target.host, target.port) == ("https", "example.com", 8443)


def test_name_is_asked_for_once():
    # an answer that changes between two look-ups is how rebinding gets in
    dns = FakeDns(PUBLIC)
    resolve("https://example.com/", (), dns)
    assert dns.asked == [("example.com", 443)]


def test_address_in_the_url_is_not_looked_up():
    dns = FakeDns("1.1.1.1")
    assert resolve(f"http://{PUBLIC}/", (), dns).address == PUBLIC
    assert resolve(f"http://[{PUBLIC_IPV6}]/", (), dns).address == PUBLIC_IPV6
    assert dns.asked == []


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], [PUBLIC, "10.0.0.1"], ["::1"], [PUBLIC, "::ffff:7f00:1"]],
)
def test_name_that_leads_inside_is_refused(addresses):
    with pytest.raises(UnsafeUrl):
        resolve("http://rebind.example.com/", (), FakeDns(*addresses))


def test_name_that_leads_into_an_allowed_network_is_let_through():
    allow = Networks.parse("127.0.0.0/8")
    target = resolve("http://localhost:9000/", allow, FakeDns("127.0.0.1"))
    assert target.address == "127.0.0.1"


@pytest.mark.parametrize(
    "error",
    [socket.gaierror(-2, "not known"), UnicodeError("label too long"), TimeoutError()],
)
def test_name_that_does_not_resolve_is_refused_with_the_same_text(error):
    with pytest.raises(UnsafeUrl) as caught:
        resolve("http://nowhere.example/", (), FakeDns(error=error))
    assert str(caught.value) == TEXT


def test_reason_is_for_the_log_and_not_in_the_text():
    with pytest.raises(UnsafeUrl) as caught:
        resolve("http://db.internal/", (), FakeDns("10.9.8.7"))
    assert "10.9.8.7" in caught.value.reason
    assert "10.9.8.7" not in str(caught.value)
    assert "10.9.8.7" not in repr(caught.value)


def test_resolver_of_the_machine_fits():
    target = resolve("http://localhost:8080/", Networks.parse("127.0.0.0/8, ::1/128"))
    assert target.address in {"127.0.0.1", "::1"}


# The setting


def test_networks_are_read_from_one_line():
    assert Networks.parse("10.0.0.0/8, 127.0.0.1/32,fd00::/8,192.168.1.7,") == (
        IPv4Network("10.0.0.0/8"),
        IPv4Network("127.0.0.1/32"),
        IPv6Network("fd00::/8"),
        IPv4Network("192.168.1.7/32"),
    )


@pytest.mark.parametrize("text", ["", "  ", ","])
def test_no_networks_let_nothing_through(text):
    assert Networks.parse(text) == ()


@pytest.mark.parametrize(
    "part",
    ["10.0.0.0/33", "localhost", "10.0.0.1/8", "10.0.0.0-10.0.0.9", "2130706433"],
)
def test_wrong_network_is_named(part):
    with pytest.raises(ValueError, match=f"'{part}' is not a network") as caught:
        Networks.parse(f"127.0.0.0/8, {part}")
    assert not isinstance(caught.value, UnsafeUrl)


def test_guard_needs_no_http_library():
    code = "import sys, app.security.addresses as a; print('aiohttp' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "False"
