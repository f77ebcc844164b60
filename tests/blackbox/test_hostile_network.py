# SPDX-License-Identifier: Apache-2.0
"""What a hostile function cannot reach: the host by any of its addresses and names, the AWS API, other functions and their Runtime
APIs, metadata services; with each kind of server, as C and as Python. Where a server has no network for functions there is nothing but
their own loopback, and the same must hold.

That the probe works: it reaches the same listener from outside, and from inside what --allow opens.
"""

import contextlib
import ipaddress
import os
import socket
import struct
import subprocess
import threading

import pytest

from hostile_support import KINDS, LANGUAGES, World, program, remove_program
from support import wait_for

__all__ = ["remove_program"]

# The answer must come at once or never; "silence" is what a datagram into the void gives.
UNREACHABLE = {"ECONNREFUSED", "ENETUNREACH", "EHOSTUNREACH", "EADDRNOTAVAIL", "EAFNOSUPPORT", "EACCES", "EINVAL", "ETIMEDOUT", "EPERM"}
NEVER = [
    "169.254.169.254",  # metadata of most clouds
    "169.254.170.2",  # of containers
    "100.100.100.200",  # Alibaba's
    "192.0.0.192",  # Oracle's
    "169.254.100.1",  # the gateway
    "198.18.0.1",  # the host's end of the uplink
    "198.18.0.2",  # the router's
    "198.19.0.1",  # another sandbox's address
    "10.0.2.2",  # the host as user-mode networks name it
    "10.0.0.1", "172.17.0.1", "192.168.0.1", "100.64.0.1",
    "224.0.0.1", "255.255.255.255", "240.0.0.1", "0.0.0.0",
]  # fmt: skip


def host_addresses():
    """Those that last: not the host's ends of sandboxes' links (198.18.0.0/15), which come and go with other servers' sandboxes."""
    found = subprocess.run(["hostname", "-I"], capture_output=True, text=True).stdout.split()
    return [a for a in found if "." in a and ipaddress.ip_address(a) not in ipaddress.ip_network("198.18.0.0/15")]


@pytest.fixture(scope="module")
def listener():
    """A service of the host on every address, IPv4 and IPv6."""
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as made:
        yield made.getsockname()[1]


@pytest.fixture(scope="module")
def allowed(address_of_module):
    with socket.create_server((address_of_module, 0)) as made:
        yield made.getsockname()


@pytest.fixture(scope="module")
def address_of_module():
    """A private address of this machine, for this module (see conftest's address)."""
    if os.geteuid() != 0:
        yield "127.0.0.1"  # nothing that --allow could open
        return
    own = f"10.214.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
    subprocess.run(["ip", "address", "add", own + "/32", "dev", "lo"], check=True)
    yield own
    subprocess.run(["ip", "address", "del", own + "/32", "dev", "lo"], check=True)


@pytest.fixture(scope="module", params=KINDS)
def world(request, allowed):
    made = World(request.param, "--allow", f"{allowed[0]}:{allowed[1]}") if os.geteuid() == 0 else World(request.param)
    yield made
    problem = made.end()
    assert not problem, problem


def has_network(world):
    return world.features["outgoing network"]["available"]


def test_without_a_jail_the_services_of_the_host_answer(listener):
    for address in ("127.0.0.1", "::1", *host_addresses()):
        answer = subprocess.run([program(), "connect", address, str(listener)], capture_output=True, text=True)
        assert answer.stdout == "ok\n", address


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_allowed_is_reached(world, language, allowed):
    if not has_network(world):
        pytest.skip("this kernel or user lacks: outgoing network")
    assert world.attack(language, f"connect {allowed[0]} {allowed[1]}") == "ok"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_host_is_out_of_reach(world, language, listener, address_of_module):
    for port in (listener, world.server.port):
        for address in ("127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1", address_of_module, *host_addresses()):
            assert world.attack(language, f"connect {address} {port}") in UNREACHABLE, (address, port)
    world.check()


@pytest.mark.parametrize("language", LANGUAGES)
def test_datagrams_to_the_host_are_not_answered(world, language, address_of_module):
    done = threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as echo:
        echo.bind(("0.0.0.0", 0))
        echo.settimeout(0.1)
        heard = []

        def serve():
            while not done.is_set():
                with contextlib.suppress(TimeoutError):
                    data, peer = echo.recvfrom(100)
                    heard.append(peer)
                    echo.sendto(data, peer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            port = echo.getsockname()[1]
            answer = subprocess.run([program(), "datagram", address_of_module, str(port)], capture_output=True, text=True)
            assert answer.stdout == "ok\n"
            count = len(heard)
            for address in ("127.0.0.1", address_of_module, *host_addresses()):
                assert world.attack(language, f"datagram {address} {port}") in UNREACHABLE | {"silence"}, address
            assert len(heard) == count, heard
        finally:
            done.set()
            thread.join()
    world.check()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("address", NEVER)
def test_addresses_that_stay_closed(world, language, address):
    assert world.attack(language, f"connect {address} 80") in UNREACHABLE
    world.check()


@pytest.mark.parametrize("language", LANGUAGES)
def test_another_function_is_out_of_reach(world, language):
    other = "python" if language == "c" else "c"
    port = 7001 if language == "c" else 7002
    there = world.attack(other, f"listen {port}")
    if there == "none":
        assert not has_network(world)
        return
    assert world.attack(other, f"connect {there} {port}") == "ok"  # it does listen
    assert world.attack(language, f"connect {there} {port}") in UNREACHABLE
    assert world.attack(language, f"connect {there} 9001") in UNREACHABLE  # its Runtime API
    assert world.attack(language, f"datagram {there} {port}") in UNREACHABLE | {"silence"}
    world.check()


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_port_of_the_runtime_api_cannot_be_taken(world, language):
    assert world.attack(language, "listen 9001") == "EADDRINUSE"
    world.check()


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_is_no_ipv6_but_ones_own(world, language, listener):
    text = subprocess.run(["ip", "-6", "-o", "address"], capture_output=True, text=True).stdout
    addresses = {line.split()[3].split("/")[0] for line in text.splitlines()} | {"fe80::1", "fd00::1", "2001:db8::1", "::ffff:10.0.2.2"}
    for address in sorted(addresses):
        assert world.attack(language, f"connect {address} {listener}") in UNREACHABLE, address
    world.check()


# --- names ----------------------------------------------------------------------------------------------------------------------


class Resolver:
    """A name server on (address, 53) that answers every question for an A record with the next of its answers."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        self.answer, self.asked = "127.0.0.1", []
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def serve(self):
        while True:
            question, peer = self.socket.recvfrom(512)
            if question == b"end":
                return
            end = question.index(b"\0", 12) + 1
            kind = struct.unpack_from(">H", question, end)[0]
            self.asked.append(question[13 : end - 1])
            is_a = kind == 1
            head = question[:2] + struct.pack(">HHHHH", 0x8180, 1, is_a, 0, 0)
            record = b"\xc0\x0c" + struct.pack(">HHIH4s", 1, 1, 0, 4, socket.inet_aton(self.answer)) if is_a else b""
            self.socket.sendto(head + question[12 : end + 4] + record, peer)

    def close(self):
        self.socket.sendto(b"end", self.socket.getsockname())
        self.thread.join()
        self.socket.close()


@pytest.mark.needs("outgoing network")
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_name_that_turns_into_the_host_leads_nowhere(request, tmp_path, listener, language):
    """DNS rebinding: walls stand where packets pass, not where names are looked up."""
    address = request.getfixturevalue("address")
    resolver = Resolver(address)
    conf = tmp_path / "resolv.conf"
    conf.write_text(f"nameserver {address}\n")
    script = f'mount --bind {conf} /etc/resolv.conf && exec "$@"'
    world = World("root", "--allow", f"{address}:53", command=["unshare", "--mount", "--propagation", "private", "sh", "-ec", script, "sh"])
    try:
        for answer in ("127.0.0.1", address, "169.254.169.254", "198.18.0.1", *host_addresses()):
            resolver.answer = answer
            resolver.asked.clear()
            assert world.attack(language, f"connect harmless.example {listener}") in UNREACHABLE, answer
            wait_for(lambda: resolver.asked, "the question to be heard")
            assert b"harmless" in resolver.asked[0]
        world.check()
    finally:
        resolver.close()
        problem = world.end()
    assert not problem, problem
