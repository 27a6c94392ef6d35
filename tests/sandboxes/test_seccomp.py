import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandboxes.base import SandboxUnavailableError
from sandboxes.seccomp import ARCHITECTURES, build_filter

ALLOWED = 0x7FFF0000
KILLED = 0x80000000
NAMES = {
    "x86_64": {"read": 0, "openat": 257, "execve": 59, "ptrace": 101, "mount": 165, "bpf": 321},
    "aarch64": {"read": 63, "openat": 56, "execve": 221, "ptrace": 117, "mount": 40, "bpf": 280},
}


def denied(number: int) -> int:
    return 0x00050000 | number


def decide(program: bytes, audit: int, number: int, *args: int) -> int:
    """Run the program as the kernel does and return its verdict."""
    padded = [*args, *[0] * (6 - len(args))]
    data = struct.pack("=iIQ6Q", number, audit, 0, *padded)
    steps = list(struct.iter_unpack("=HBBI", program))
    at, accumulator = 0, 0
    while True:
        code, if_true, if_false, value = steps[at]
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, value)
            case 0x15:
                at += if_true if accumulator == value else if_false
            case 0x35:
                at += if_true if accumulator >= value else if_false
            case 0x45:
                at += if_true if accumulator & value else if_false
            case 0x06:
                return value
            case _:
                raise AssertionError(hex(code))


@pytest.fixture(params=sorted(ARCHITECTURES))
def machine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("name", ["read", "openat", "execve"])
def test_ordinary_calls_pass(machine: str, name: str) -> None:
    audit = ARCHITECTURES[machine].audit
    assert decide(build_filter(machine), audit, NAMES[machine][name]) == ALLOWED


@pytest.mark.parametrize("name", ["ptrace", "mount", "bpf"])
def test_calls_escapes_are_made_of_are_denied(machine: str, name: str) -> None:
    audit = ARCHITECTURES[machine].audit
    assert decide(build_filter(machine), audit, NAMES[machine][name]) == denied(errno.EPERM)


def test_every_number_in_the_table_is_denied(machine: str) -> None:
    calls, program = ARCHITECTURES[machine], build_filter(machine)
    for number in calls.denied:
        assert decide(program, calls.audit, number) == denied(errno.EPERM)
    assert len(set(calls.denied)) == len(calls.denied)


def test_a_foreign_abi_kills(machine: str) -> None:
    program = build_filter(machine)
    assert decide(program, 0x40000003, NAMES[machine]["read"]) == KILLED
    assert decide(program, ARCHITECTURES[machine].audit, 0x40000000) == KILLED


def test_calls_nobody_knew_are_not_there(machine: str) -> None:
    program, audit = build_filter(machine), ARCHITECTURES[machine].audit
    assert decide(program, audit, 435) == denied(errno.ENOSYS)
    assert decide(program, audit, 999) == denied(errno.ENOSYS)


@given(flags=st.integers(0, 2**64 - 1), machine=st.sampled_from(sorted(ARCHITECTURES)))
def test_clone_passes_exactly_without_new_namespaces(flags: int, machine: str) -> None:
    calls = ARCHITECTURES[machine]
    verdict = decide(build_filter(machine), calls.audit, calls.clone, flags)
    assert (verdict == ALLOWED) == (flags & 0x7E020000 == 0)


@given(family=st.integers(0, 50), machine=st.sampled_from(sorted(ARCHITECTURES)))
def test_only_usual_socket_families_pass(family: int, machine: str) -> None:
    calls = ARCHITECTURES[machine]
    verdicts = {decide(build_filter(machine), calls.audit, n, family) for n in calls.socket}
    usual = family in {1, 2, 10, 16}
    assert verdicts == {ALLOWED if usual else denied(errno.EAFNOSUPPORT)}


@given(upper=st.integers(0, 2**32 - 1), machine=st.sampled_from(sorted(ARCHITECTURES)))
def test_terminal_injection_is_denied_whatever_the_upper_half(upper: int, machine: str) -> None:
    calls = ARCHITECTURES[machine]
    program = build_filter(machine)
    injection = (upper << 32) | 0x5412
    assert decide(program, calls.audit, calls.ioctl, 0, injection) == denied(errno.EPERM)
    assert decide(program, calls.audit, calls.ioctl, 0, 0x5413) == ALLOWED


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1))
def test_every_path_through_the_program_ends_in_a_verdict(number: int, argument: int) -> None:
    for machine, calls in ARCHITECTURES.items():
        signed = number - (1 << 32) if number >= 1 << 31 else number
        verdict = decide(build_filter(machine), calls.audit, signed, argument, argument)
        assert verdict in {ALLOWED, KILLED} or verdict & 0xFFFF0000 == 0x00050000


def test_a_machine_without_a_table_is_refused() -> None:
    with pytest.raises(SandboxUnavailableError, match="'riscv64'"):
        build_filter("riscv64")


def test_a_browser_may_make_the_namespaces_of_its_own_sandbox_and_no_others(machine: str) -> None:
    calls = ARCHITECTURES[machine]
    program = build_filter(machine, browser=True)
    for number in (calls.clone, calls.unshare):
        for flag in (0x10000000, 0x20000000, 0x40000000):  # user, pid, net
            assert decide(program, calls.audit, number, flag | 17) == ALLOWED
            assert decide(build_filter(machine), calls.audit, number, flag) == denied(errno.EPERM)
        for flag in (0x00020000, 0x02000000, 0x04000000, 0x08000000):  # mount, cgroup, uts, ipc
            assert decide(program, calls.audit, number, flag) == denied(errno.EPERM)
    assert decide(program, calls.audit, calls.chroot) == ALLOWED
    assert decide(program, calls.audit, NAMES[machine]["mount"]) == denied(errno.EPERM)
